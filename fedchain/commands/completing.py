"""Completing: what a shell offers when a user presses TAB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def scenario_names(incomplete: str) -> list[str]:
    """Return the shipped scenarios and the YAML files and folders whose names begin so.

    >>> scenario_names("breast")
    ['breast_cancer']
    """
    from fedchain.scenario import shipped_files

    folder, begun = Path(incomplete).parent, incomplete.rpartition("/")[2]
    place = "" if incomplete == begun else f"{incomplete.rpartition('/')[0]}/"
    found = [name for name in shipped_files() if name.startswith(incomplete)]
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.name.startswith(begun) and (begun or path.name[0] != "."):
                ending = "/" if path.is_dir() else "" if path.suffix in (".yaml", ".yml") else None
                found += [f"{place}{path.name}{ending}"] if ending is not None else []
    return found


def scenario_paths(incomplete: str) -> list[str]:
    """Return the dotted keys of a scenario that begin so; a value has no completion.

    A part's keys are those of all parts of its family.

    >>> scenario_paths("privacy.ep"), scenario_paths("nodes.ho"), scenario_paths("rounds=")
    (['privacy.epsilon='], ['nodes.holders='], [])
    """
    from fedchain.scenario import Scenario

    if "=" in incomplete:
        return []
    *above, last = incomplete.split(".")
    makers: list[Callable[..., Any]] = [Scenario]
    for step in above:
        makers = [inner for maker in makers for inner in _inside(maker, step.partition("[")[0])]
    place = "".join(f"{step}." for step in above)
    keys = dict.fromkeys(key for maker in makers for key in _keys(maker))
    return [f"{place}{key}" for key in keys if key.startswith(last)]


def _keys(maker: Callable[..., Any]) -> Iterator[str]:
    """Yield the keys of a section or a part, with a dot before keys inside and = before a value."""
    from fedchain.registry import parameters
    from fedchain.scenario import Scenario

    for name in parameters(maker):
        if not name.startswith("_") and name != "part":
            yield f"{name}{'.' if any(_inside(maker, name)) else '='}"
    if not isinstance(maker, type):
        yield "kind="
    if maker is Scenario:
        yield "attacks[0]."


def _inside(maker: Callable[..., Any], name: str) -> list[Callable[..., Any]]:
    """Return the section under a key, or all parts that it may name."""
    from fedchain.registry import nested_family, parameters, section_of
    from fedchain.scenario import Scenario
    from fedchain.scenario.attackers import HolderAttack

    if maker is Scenario and name == "attacks":
        return [HolderAttack, *_inside(HolderAttack, "part")]
    if (parameter := parameters(maker).get(name)) is None:
        return []
    if (section := section_of(parameter.annotation)) is not None:
        return [section]
    family = nested_family(parameter.annotation)
    return [family.find(kind) for kind in family.names()] if family is not None else []


def family_names(incomplete: str) -> list[str]:
    """Return the families of parts whose names begin so.

    >>> family_names("agg")
    ['aggregation']
    """
    from fedchain.registry import FAMILIES

    return [name for name in FAMILIES if name.startswith(incomplete)]


def part_names(incomplete: str) -> list[str]:
    """Return the parts of all families whose names begin so.

    >>> part_names("l_near")
    ['l_nearest']
    """
    from fedchain.registry import FAMILIES

    kinds = (kind for address in FAMILIES.values() for kind in address.family().names())
    return sorted({kind for kind in kinds if kind.startswith(incomplete)})

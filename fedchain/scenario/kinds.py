"""The keys that a block may have for a given kind, for overrides that change the kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedchain.errors import ScenarioError
from fedchain.registry import Family, Where, nested_family, parameters, section_of
from fedchain.scenario.attacking import attack_keys
from fedchain.scenario.sections import Scenario


def keys_beside_kind(values: object, where: Where, kind: str) -> set[str]:
    """Return the keys that a block of this kind may have.

    Args:
        values: the whole scenario as plain values, checked or not.
        where: the block's place: ``("privacy",)``, ``("attacks", 0)``.
        kind: the new kind.

    Returns:
        The keys beside ``kind``; none if there is no such kind, or no part belongs at the place.

    >>> sorted(keys_beside_kind({}, ("aggregation",), "l_nearest"))
    ['keep', 'scale']
    """
    if where[0] == "attacks":
        block = _inner(_inner(values, "attacks"), where[1]) if where[1:] else None
        return attack_keys({**_block(block), "kind": kind})
    try:
        family = _family(Scenario, values, where)
        return set(parameters(family.find(kind))) if family is not None else set()
    except (ValueError, ScenarioError):
        return set()


def _family(maker: Any, values: object, where: Where) -> Family[Any] | None:
    """Return the family of the block at a place inside a section or part; None: it has none."""
    parameter = parameters(maker).get(str(where[0]))
    if parameter is None:
        return None
    family, inner = nested_family(parameter.annotation), _inner(values, where[0])
    if not where[1:]:
        return family
    if family is None:
        section = section_of(parameter.annotation)
        return _family(section, inner, where[1:]) if section is not None else None
    kind = _block(inner).get("kind", getattr(parameter.default, "kind", None))
    return _family(family.find(str(kind)), inner, where[1:])


def _inner(values: object, step: str | int) -> object:
    if isinstance(values, Mapping):
        return values.get(str(step))
    if isinstance(values, list) and isinstance(step, int) and step < len(values):
        return values[step]
    return None


def _block(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

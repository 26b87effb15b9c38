"""Own parts: the user-defined parts (``module:function``) that a scenario names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fedchain.registry import Family, Part, Where, file_and_line, nested_family, parameters, within
from fedchain.scenario.attacking import family_of
from fedchain.scenario.sections import Scenario


@dataclass(frozen=True)
class OwnPart:
    """A user-defined part of a scenario."""

    where: Where
    """Its place in the scenario."""
    part: Part
    """Its kind and parameters."""
    family: str
    """The name of its family: ``loss``."""

    @property
    def file(self) -> str:
        """Its file and line."""
        return file_and_line(self.part.kind)


def own_parts(scenario: Scenario) -> tuple[OwnPart, ...]:
    """Return the user-defined parts of a scenario, also those inside other parts."""
    return tuple(_own(scenario))


def _own(scenario: Scenario) -> Iterator[OwnPart]:
    sections = parameters(Scenario).items()
    families = {name: nested_family(each.annotation) for name, each in sections}
    parts: list[tuple[Where, Part, Family[Any]]] = [
        ((n,), getattr(scenario, n), f) for n, f in families.items() if f is not None
    ]
    parts += [
        (("attacks", index), attack.part, family_of(type(attack)))
        for index, attack in enumerate(scenario.attacks)
    ]
    for top, part, family in parts:
        for where, each, its in within(part, family, top):
            if ":" in each.kind:
                yield OwnPart(where, each, its.name)

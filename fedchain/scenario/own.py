"""Parts of a scenario, and those (``module:function``) that are the user's own."""

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
    found = (OwnPart(where, part, family.name) for where, part, family in parts_of(scenario))
    return tuple(each for each in found if ":" in each.part.kind)


def parts_of(scenario: Scenario) -> Iterator[tuple[Where, Part, Family[Any]]]:
    """Yield the place, the part and its family, for every part of a scenario and those inside."""
    for name, field in parameters(Scenario).items():
        if (family := nested_family(field.annotation)) is not None:
            yield from within(getattr(scenario, name), family, (name,))
    for index, attack in enumerate(scenario.attacks):
        yield from within(attack.part, family_of(type(attack)), ("attacks", index))

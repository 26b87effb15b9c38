"""Bounds: parameters whose largest value is another value of the scenario."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fedchain.errors import Problem
from fedchain.registry.families import Family, nested_family, parameters
from fedchain.registry.parts import Part, Where


@dataclass(frozen=True)
class AtMost:
    """Annotation of a parameter whose upper bound is another value of the scenario.

    ``keep: Annotated[int, Field(ge=1), AtMost("nodes.holders", "the number of holders")]``
    """

    key: str
    """The dotted path of the bounding value in the scenario."""
    words: str
    """A description of the bounding value, for the error message."""


@dataclass(frozen=True)
class Bound:
    """A value whose upper bound is another value of the scenario."""

    where: Where
    """The value's place in the scenario."""
    value: Any
    """The value itself."""
    mark: AtMost
    """The annotation that names its bound."""
    annotation: Any
    """The whole annotation of the parameter, which has the lower bound."""

    def problem(self, limit: float) -> Problem | None:
        """Return the problem if the value is above the limit; None if it is not."""
        if self.value is None or self.value <= limit:
            return None
        lows = [
            m.ge
            for f in self.annotation.__metadata__
            for m in getattr(f, "metadata", ())
            if hasattr(m, "ge")
        ]
        allowed = f"between {lows[0]} and {limit}" if lows else f"at most {limit}"
        return Problem(self.where, f"must be {allowed} ({self.mark.words}), got {self.value}")


def within(
    part: Part, family: Family[Any], where: Where = ()
) -> Iterator[tuple[Where, Part, Family[Any]]]:
    """Yield a part and every part inside it, each with its place and its family."""
    yield where, part, family
    for name, parameter in parameters(family.find(part.kind)).items():
        inner = nested_family(parameter.annotation)
        if inner is not None:
            yield from within(part.parameters[name], inner, (*where, name))


def bounded(part: Part, family: Family[Any], where: Where = ()) -> Iterator[Bound]:
    """Yield every parameter of a part that ``AtMost`` annotates."""
    for name, parameter in parameters(family.find(part.kind)).items():
        for mark in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(mark, AtMost):
                yield Bound((*where, name), part.parameters[name], mark, parameter.annotation)

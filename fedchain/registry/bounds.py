"""Bounds: checks that parameters do not exceed other values of the scenario."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fedchain.errors import Problem
from fedchain.registry.families import Family, listed_family, nested_family
from fedchain.registry.parts import Part, Where
from fedchain.registry.signatures import parameters


@dataclass(frozen=True)
class AtMost:
    """Annotation of a parameter whose upper bound is another value of the scenario.

    For example, ``keep`` must be from 1 to the number of holders:

    ``keep: Annotated[int, Field(ge=1), AtMost("nodes.holders", "the number of holders")]``
    """

    key: str
    """Dotted path of the upper bound in the scenario."""
    words: str
    """Description of the upper bound, for the error message."""


def within(
    part: Part, family: Family[Any], where: Where = ()
) -> Iterator[tuple[Where, Part, Family[Any]]]:
    """Yield the place, the part and its family, for a part and every part nested in it."""
    yield where, part, family
    for name, parameter in parameters(family.find(part.kind)).items():
        inner, listed = nested_family(parameter.annotation), listed_family(parameter.annotation)
        if inner is not None:
            yield from within(part.parameters[name], inner, (*where, name))
        if listed is not None:
            for index, each in enumerate(part.parameters.get(name, ())):
                yield from within(each, listed, (*where, name, index))


def bound_problems(
    part: Part, family: Family[Any], values: Mapping[str, Any], where: Where = ()
) -> Iterator[Problem]:
    """Yield a problem for every parameter of a part that exceeds the bound of its ``AtMost``.

    ``values`` has the valid sections of the scenario by name; bounds in missing sections are
    skipped. ``where`` is the part's place in the scenario.
    """
    for name, parameter in parameters(family.find(part.kind)).items():
        value, marks = part.parameters[name], getattr(parameter.annotation, "__metadata__", ())
        for mark in (mark for mark in marks if isinstance(mark, AtMost)):
            limit = functools.reduce(_inside, mark.key.split("."), values)
            if limit is None or value is None or value <= limit:
                continue
            inner = [each for mark in marks for each in getattr(mark, "metadata", ())]
            lows = [each.ge for each in inner if hasattr(each, "ge")]
            allowed = f"between {lows[0]} and {limit}" if lows else f"at most {limit}"
            text = f"must be {allowed} ({mark.words}), got {value}"
            yield Problem((*where, name), text)


def _inside(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)

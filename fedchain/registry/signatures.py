"""Signatures: what the parameters of a part and the fields of a section say about YAML values."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from fedchain.registry.parts import Section

MOST_LISTED = 8
"""Largest number of parts in a list, unless its parameter says another one."""


@functools.lru_cache(maxsize=1024)
def parameters(maker: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters that the YAML sets: those after ``*``, or a section's fields."""
    named = {
        name: parameter
        for name, parameter in inspect.signature(maker).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    if isinstance(maker, type) and issubclass(maker, Section):
        hints = typing.get_type_hints(maker, include_extras=True)
    else:
        # Only these annotations are resolved: others may be imported for type checkers only.
        asked = types.SimpleNamespace(__annotations__={n: p.annotation for n, p in named.items()})
        known = inspect.unwrap(maker).__globals__
        hints = typing.get_type_hints(asked, known, include_extras=True)
    return MappingProxyType({n: p.replace(annotation=hints[n]) for n, p in named.items()})


def section_of(annotation: object) -> type[Section] | None:
    """Return the section class in a field's annotation (``Sweep``, ``Sweep | None``), or None."""
    annotation = bare(annotation)
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    for member in typing.get_args(annotation) if union else (annotation,):
        if isinstance(member, type) and issubclass(member, Section):
            return member
    return None


def bare(annotation: object) -> object:
    """Return an annotation without the marks of ``Annotated``."""
    if typing.get_origin(annotation) is typing.Annotated:
        return typing.get_args(annotation)[0]
    return annotation


def list_lengths(annotation: object) -> tuple[int, int]:
    """Return the fewest and the most blocks of a list, MOST_LISTED unless a ``Field`` says so."""
    marks = getattr(annotation, "__metadata__", ())
    inner = [each for mark in marks for each in getattr(mark, "metadata", ())]
    lows = [each.min_length for each in inner if hasattr(each, "min_length")]
    highs = [each.max_length for each in inner if hasattr(each, "max_length")]
    return max(lows, default=0), min(highs, default=MOST_LISTED)


def as_tuples(value: object) -> object:
    """Return a YAML value with all lists, also inside it, as tuples."""
    if isinstance(value, list | tuple):
        return tuple(as_tuples(v) for v in value)
    if isinstance(value, Mapping):
        return {key: as_tuples(v) for key, v in value.items()}
    return value

"""Cached field: a property that a frozen record computes once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class cached_field(Generic[Value]):  # noqa: N801 - a decorator, like property
    """A property that is computed at its first use, and kept in the record.

    ``functools.cached_property`` of Python 3.11 holds one lock for all records of a class while
    it computes, so that two threads would hash their messages one after the other. Here there is
    no lock: two threads may compute the value of one record twice, and get the same value.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute = compute

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, record: Any, owner: type) -> Value:
        value = vars(record)[self._name] = self._compute(record)
        return value

"""What a frozen record works out about itself once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class cached_field(Generic[Value]):  # noqa: N801 - a decorator, like property
    """A property that is computed when it is first asked for, and kept in the record.

    ``functools.cached_property`` of Python 3.11 holds one lock for all records of a class while
    it computes, so that two threads would hash their messages one after the other. Here two
    threads may compute the same value twice; it is the same.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute = compute

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, record: Any, owner: type) -> Value:
        value = vars(record)[self._name] = self._compute(record)
        return value

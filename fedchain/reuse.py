"""Reuse: several runs of one process make once what does not depend on the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Made = TypeVar("Made")
_kept: list[dict[str, tuple[object, Any]]] = []
"""The latest key and value of each name; empty outside of ``reusing``."""


@contextmanager
def reusing() -> Iterator[None]:
    """Within this context, ``once`` keeps its latest value for each name."""
    _kept.append({})
    try:
        yield
    finally:
        _kept.pop()


def once(name: str, key: object, make: Callable[[], Made]) -> Made:
    """Return ``make()``, or its earlier result within ``reusing`` if the key is the same.

    Only the value of the latest key is kept, so calls with the same key should follow each other.
    Only one thread may call this function at a time.

    Args:
        name: what is made.
        key: everything on which the value depends; compared by ``==``.
        make: makes the value. Runs must not change it.

    >>> with reusing():
    ...     [once("list", size, lambda: [0] * size) is once("list", size, list) for size in (1, 2)]
    [True, True]
    """
    kept = _kept[-1] if _kept else {}
    if name not in kept or kept[name][0] != key:
        kept[name] = key, make()
    made: Made = kept[name][1]
    return made

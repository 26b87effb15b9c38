"""Cache of simulated arrays: files in the user's cache folder, each found by a key."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fedchain.arrays import Array
from fedchain.cache import mark_used, place_of, try_add
from fedchain.errors import DataError
from fedchain.scans.formats.contents import contents
from fedchain.scans.formats.npz import arrays_of

Arrays = Mapping[str, Array]

LARGEST_ARRAYS = 1 << 32
"""Size of the largest cache file that is read, in bytes."""


def cached(key: Mapping[str, object], make: Callable[[], Arrays]) -> Arrays:
    """Return the arrays of a key from the cache; if they are missing, make them and store them.

    A damaged file is made anew, with a warning in the log. A cache folder that cannot be written
    raises no error.

    Args:
        key: plain JSON values that determine the arrays, including the version of the code that
            makes them. The value of ``kind`` is a key of ``fedchain.cache.FILE_KINDS``.
        make: function that makes the arrays and returns them by name; each array holds numbers or
            booleans.
    """
    text = json.dumps(key, sort_keys=True)
    path = place_of(str(key["kind"]), text, "npz")
    kept = _read(path, text)
    if kept is not None:
        mark_used(path)
        return kept
    made = make()
    try_add(path, lambda file: _write(file, text, made))
    return made


def _read(path: Path, text: str) -> Arrays | None:
    try:
        arrays = arrays_of(contents(path, LARGEST_ARRAYS), LARGEST_ARRAYS)
        if arrays.pop("key").tobytes() != text.encode():
            raise DataError(f"{path}: belongs to another key")
    except (DataError, KeyError, MemoryError) as error:
        # Another process may evict the file, or add it, at any moment.
        if not isinstance(error.__cause__, FileNotFoundError):
            logging.getLogger(__name__).warning("%s: damaged, made anew: %s", path, error)
        return None
    return arrays


def _write(file: BinaryIO, text: str, arrays: Arrays) -> None:
    named: dict[str, Any] = {**arrays, "key": np.frombuffer(text.encode(), np.uint8)}
    np.savez(file, **named)

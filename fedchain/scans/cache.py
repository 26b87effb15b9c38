"""What is simulated once is kept: arrays under the user's cache folder, by their content's key."""

from __future__ import annotations

import io
import json
import logging
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from fedchain.cache import keep, mark_used, place_of

Arrays = Mapping[str, npt.NDArray[Any]]

LOG = logging.getLogger(__name__)
LARGEST_FILE = 1 << 32
"""Bytes of the largest cache file that is read."""


def cached(key: Mapping[str, object], make: Callable[[], Arrays]) -> Arrays:
    """Return the arrays of this key: read them if they are kept, else make and keep them.

    A kept file is used only when it is whole (checksums) and says the same key; anything else
    is made anew, with a line in the log. A folder that cannot be written costs time, no result.

    Args:
        key: everything that the arrays depend on, and the version of what makes them, as
            plain JSON values; ``kind`` is one of ``fedchain.cache.KINDS``.
        make: makes the arrays; they hold numbers or truth values.

    Returns:
        Arrays by name.
    """
    text = json.dumps(key, sort_keys=True)
    path = place_of(str(key["kind"]), text, "npz")
    kept = _read(path, text)
    if kept is not None:
        mark_used(path)
        return kept
    made = make()
    keep(path, lambda file: _write(file, text, made))
    return made


def _read(path: Path, text: str) -> Arrays | None:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError("is too large")
        with zipfile.ZipFile(path) as archive:
            arrays = {e.filename.removesuffix(".npy"): _array(archive, e) for e in archive.filelist}
        if arrays.pop("key").tobytes() != text.encode():
            raise ValueError("belongs to another key")
    except FileNotFoundError:
        return None
    except (
        OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, MemoryError,
        OverflowError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        LOG.warning("%s: damaged, made anew: %s", path, error)
        return None
    return arrays


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """Read one member whole, so that its checksum is verified before its header is believed."""
    if entry.file_size > LARGEST_FILE:
        raise ValueError(f"claims {entry.file_size} bytes of {entry.filename}")
    array = np.lib.format.read_array(io.BytesIO(archive.read(entry)), allow_pickle=False)
    return np.asarray(array)


def _write(file: BinaryIO, text: str, arrays: Arrays) -> None:
    """Write arrays and their key as one archive with checksums."""
    key = np.frombuffer(text.encode(), np.uint8)
    np.savez(file, allow_pickle=False, **{**arrays, "key": key})

"""What is simulated once is kept: arrays under the user's cache folder, by their content's key."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fedchain.machine import cache_folder

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
            plain JSON values; ``kind`` begins the file's name.
        make: makes the arrays; they hold numbers or truth values.

    Returns:
        Arrays by name.
    """
    text = json.dumps(key, sort_keys=True)
    name = f"{key['kind']}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"
    path = cache_folder() / name
    kept = _read(path, text)
    if kept is not None:
        return kept
    made = make()
    try:
        _write(path, text, made)
    except OSError as error:
        LOG.warning("%s: not kept: %s", path, error)
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


def _write(path: Path, text: str, arrays: Arrays) -> None:
    """Write under a temporary name, flush to the disk, rename: never a half-written file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                **{**arrays, "key": np.frombuffer(text.encode(), np.uint8)},
            )
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

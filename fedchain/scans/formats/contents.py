"""Contents of a scan file: the bytes, and the checks that the readers of all formats share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Array
from fedchain.errors import DataError

LARGEST_SCAN = 1 << 29
"""Size of the largest file that is read, in bytes."""
LONGEST_HEADER = 1 << 16
"""Longest header of a file that begins with text, in bytes."""
LARGEST_GRID = 1 << 23
"""Pixels of the largest grid that is read: more than twice the 2064 x 1544 of a PhoXi scanner."""


@dataclass(frozen=True)
class Contents:
    """All bytes of a file, with methods that read numbers and check sizes."""

    path: Path
    """Path of the file, for error messages."""
    data: bytes
    """All bytes of the file."""

    def fail(self, problem: str) -> DataError:
        """Return an error whose message names the file and the problem."""
        return DataError(f"{self.path}: {problem}")

    def array(self, kind: npt.DTypeLike, count: int, offset: int, what: str) -> Array:
        """Return the ``count`` numbers of numpy type ``kind`` that begin at byte ``offset``.

        Raises:
            DataError: the file is too short; the message calls the numbers ``what``.
        """
        need = offset + count * np.dtype(kind).itemsize
        if not 0 <= offset <= need <= len(self.data):
            raise self.fail(f"is truncated: {what} end at byte {need} of {len(self.data)}")
        return np.frombuffer(self.data, kind, count, offset)

    def number(self, kind: str, offset: int, what: str) -> int:
        """Return the whole number at byte ``offset``; the arguments are those of ``array``."""
        return int(self.array(kind, 1, offset, what)[0])

    def check_grid(self, width: int, height: int) -> None:
        """Check that a grid is neither empty nor larger than ``LARGEST_GRID``.

        Raises:
            DataError: the grid is empty or too large.
        """
        if not (width > 0 and height > 0 and width * height <= LARGEST_GRID):
            raise self.fail(f"claims {width} x {height} pixels; allowed: 1 to {LARGEST_GRID}")


def contents(path: Path, largest: int = LARGEST_SCAN) -> Contents:
    """Read a whole file.

    Raises:
        DataError: the file is missing, empty or unreadable, has more than ``largest`` bytes, or is
            a pipe or a device.
    """
    try:
        size = path.stat().st_size
        if size > largest:
            raise DataError(f"{path}: has {size} bytes; allowed: at most {largest}")
        if not (path.is_file() or path.is_dir()):
            raise DataError(f"{path}: is a pipe or a device; allowed: a file")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not data:
        raise DataError(f"{path}: is empty; allowed: a file that holds data")
    return Contents(path, data)

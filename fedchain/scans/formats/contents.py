"""Contents of a scan file: its bytes, and the checks of size that all readers share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedchain.errors import DataError
from fedchain.scans.scan import Scan

LARGEST_SCAN = 1 << 30
"""Size of the largest file that is read, in bytes."""
LARGEST_GRID = 1 << 24
"""Pixels of the largest grid that is read: five times the 2064 x 1544 of a PhoXi scanner."""


@dataclass(frozen=True)
class Contents:
    """The bytes of a whole file; its methods read numbers and check the file's sizes."""

    path: Path
    """Path of the file, for error messages."""
    data: bytes
    """All bytes of the file."""

    def fail(self, problem: str) -> DataError:
        """Return an error whose message names the file and the problem."""
        return DataError(f"{self.path}: {problem}")

    def array(self, kind: str, count: int, offset: int, what: str) -> npt.NDArray[np.generic]:
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

    def checked(self, scan: Scan) -> Scan:
        """Return the scan, after checking that it holds at least one point.

        Raises:
            DataError: every pixel is empty.
        """
        if not scan.valid.any():
            raise self.fail("holds no point; allowed: a scan with at least one valid pixel")
        return scan


def contents(path: Path) -> Contents:
    """Read a file as a whole.

    Raises:
        DataError: the file is missing, empty, unreadable or too large.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_SCAN:
            raise DataError(f"{path}: has {size} bytes; allowed: at most {LARGEST_SCAN}")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not data:
        raise DataError(f"{path}: is empty; allowed: an organised scan")
    return Contents(path, data)

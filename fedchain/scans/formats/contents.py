"""Contents of a scan file: the bytes, and the checks that the readers of all formats share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Array
from fedchain.errors import DataError
from fedchain.scans.features import normals_of
from fedchain.scans.scan import Mask, Scan

LARGEST_SCAN = 1 << 29
"""Size of the largest file that is read, in bytes."""
FARTHEST_M = 1e6
"""Largest coordinate of a camera that is read, in metres."""
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

    @np.errstate(all="ignore")  # damaged numbers become empty pixels
    def scan(
        self,
        positions: Array,
        camera: Array,
        normals: Array | None,
        intensity: Array | None,
        keep: Mask | None = None,
    ) -> Scan:
        """Return the file's scan; the arguments have the shapes of the fields of ``Scan``.

        A pixel is empty if its point is not finite or is exactly the origin. Missing normals are
        computed, and a missing intensity is 1.

        Raises:
            DataError: an array has a wrong shape, every pixel is empty, or a coordinate of the
                camera is not finite or beyond ``FARTHEST_M``.
        """
        if camera.shape != (3,) or not (np.abs(camera) <= FARTHEST_M).all():
            raise self.fail(f"has its camera at {camera}; allowed: three finite numbers, in metres")
        positions, camera = positions.astype(np.float32), camera.astype(np.float32)
        # Many programs write zeros where they measured nothing.
        empty = ~np.isfinite(positions).all(axis=-1) | (positions == 0).all(axis=-1)
        if empty.all():
            raise self.fail("holds no point; allowed: a scan with at least one valid pixel")
        normals = normals_of(positions, camera) if normals is None else normals
        intensity = np.ones(empty.shape) if intensity is None else intensity
        # A normal or an intensity that is not finite becomes 0.
        grids = [
            np.nan_to_num(grid.astype(np.float32), posinf=0, neginf=0)
            for grid in (normals, intensity)
        ]
        try:
            for grid in (positions, *grids):
                grid[empty] = np.nan
            return Scan(
                positions=positions,
                normals=grids[0],
                intensity=grids[1],
                camera=camera,
                keep=keep,
            )
        except (ValueError, IndexError) as error:
            raise self.fail(
                f"has arrays that do not fit its {empty.shape} pixels: {error}"
            ) from error


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

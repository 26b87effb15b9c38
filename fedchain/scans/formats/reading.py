"""Reading of scans and clouds: the ending of a file's name selects the format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from fedchain.errors import DataError
from fedchain.scans.formats import meshes, picture_set
from fedchain.scans.formats.cogs import read_cogs
from fedchain.scans.formats.contents import Contents, contents
from fedchain.scans.formats.depth import read_depth
from fedchain.scans.formats.file_points import FilePoints, LengthUnit, cloud_of, in_metres, scan_of
from fedchain.scans.formats.motorcycle import read_motorcycle
from fedchain.scans.formats.npz import npz_keeps, read_npy, read_npz
from fedchain.scans.formats.pcd import pcd_keeps, read_pcd
from fedchain.scans.formats.ply import ply_keeps, read_ply
from fedchain.scans.formats.xyz import read_xyz
from fedchain.scans.scan import Cloud, Scan

READERS: Mapping[str, Callable[[Contents], FilePoints]] = {
    ".cogs": read_cogs,
    ".npy": read_npy,
    ".npz": read_npz,
    ".pcd": read_pcd,
    ".ply": read_ply,
    ".png": read_depth,
    ".xyz": read_xyz,
}
"""Functions that read a file, by the ending of its name."""

KEEPS: Mapping[str, Callable[[Contents], bool]] = {
    ".npz": npz_keeps,
    ".pcd": pcd_keeps,
    ".ply": ply_keeps,
}
"""Functions that say whether a file holds a mask of the points to keep; others hold none."""
MOTORCYCLE = Path("motorcycle")
"""Name that stands for the scan in scikit-image, where no such file exists."""


def read_scan(path: Path, unit: LengthUnit | None = None) -> Scan:
    """Read an organised scan; the ending of the file's name selects the format.

    Args:
        path: path of the file, or ``motorcycle``.
        unit: unit of length of a file that does not say its own; metres if None.

    Raises:
        DataError: the file is not a readable, organised scan; the message names the problem.
        MissingExtra: a package that the format needs is not installed.
    """
    file, points = read_file_points(path, unit)
    return scan_of(file, points)


def read_cloud(path: Path, unit: LengthUnit | None = None) -> Cloud:
    """Read the points of any file, organised or not; those of a grid come row by row.

    Args:
        path: path of the file, or ``motorcycle``.
        unit: unit of length of a file that does not say its own; metres if None.

    Raises:
        DataError: the file cannot be read; the message names the problem.
        MissingExtra: a package that the format needs is not installed.
    """
    file, points = read_file_points(path, unit)
    return cloud_of(file, points)


def read_any(path: Path, unit: LengthUnit | None = None) -> Scan | Cloud:
    """Read a file as a scan if it has a grid of pixels, otherwise as a cloud.

    The arguments and the errors are those of ``read_cloud``.
    """
    file, points = read_file_points(path, unit)
    return cloud_of(file, points) if points.grid is None else scan_of(file, points)


def holds_keep(path: Path) -> bool:
    """Return whether a file holds a mask of the points to keep; its points are not unpacked.

    Raises:
        DataError: the file cannot be read.
    """
    keeps = KEEPS.get(path.suffix.lower())
    return keeps is not None and keeps(contents(path))


def read_file_points(path: Path, unit: LengthUnit | None) -> tuple[Contents, FilePoints]:
    """Return a file, for error messages, and what it says of its points, in metres."""
    if path == MOTORCYCLE and not path.exists():
        return Contents(path, b""), read_motorcycle()
    ending = path.suffix.lower()
    if path.name.lower().endswith(picture_set.SET_ENDING):
        words = "is a set of pictures, without points; allowed: points, or read_picture_set"
        raise DataError(f"{path}: {words}")
    if ending not in READERS:
        known = ", ".join(READERS)
        if ending in meshes.ENDINGS:
            raise DataError(f"{path}: is a mesh, not a scan; allowed: {known}; read_mesh reads it")
        raise DataError(f"{path}: no scan format ends in {ending!r}; allowed: {known}")
    file = contents(path)
    return file, in_metres(file, READERS[ending](file), unit)

"""Writing of scans and clouds: the ending of a file's name selects the format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fedchain.errors import DataError
from fedchain.files import write_whole
from fedchain.scans.formats import picture_set
from fedchain.scans.formats.contents import Contents
from fedchain.scans.formats.depth import write_depth
from fedchain.scans.formats.file_points import (
    FilePoints,
    LengthUnit,
    file_points_of,
    scan_of,
    without_grid,
)
from fedchain.scans.formats.npz import npy_bytes, npz_bytes
from fedchain.scans.formats.pcd import pcd_bytes
from fedchain.scans.formats.ply import ply_bytes
from fedchain.scans.formats.reading import read_file_points
from fedchain.scans.formats.xyz import xyz_text
from fedchain.scans.scan import Cloud, Scan

FilePart = Literal["grid", "row", "normals", "intensity", "keep", "camera", "view"]
"""What a file may hold beside the points. ``row`` is a grid of one row."""


@dataclass(frozen=True)
class FormatWriter:
    """How a format is written."""

    write: Callable[[Path, FilePoints], tuple[str, ...]]
    """Function that writes points in metres, and returns in words what it rounds."""
    holds: frozenset[FilePart]
    """What the format holds beside the points."""


@dataclass(frozen=True)
class Converted:
    """What a conversion wrote."""

    points: int
    """Number of points."""
    grid: tuple[int, int] | None
    """Height and width of the grid that was written (of a picture set, before it was cropped), or
    None without a grid."""
    lost: tuple[str, ...]
    """What the source holds and the target cannot hold, in words."""


def _whole(parts: Callable[[FilePoints], Iterable[str | bytes]], *holds: FilePart) -> FormatWriter:
    """Return the writer of a format that is one file."""

    def write(path: Path, points: FilePoints) -> tuple[str, ...]:
        write_whole(path, parts(points))
        return ()

    return FormatWriter(write, frozenset(holds))


def _write_pictures(path: Path, points: FilePoints) -> tuple[str, ...]:
    if points.grid is None:
        raise DataError(f"{path}: a picture set needs a grid, which the points lack")
    picture_set.write_picture_set(path, scan_of(Contents(path, b""), points))
    return ("the positions (the set has channels of 8 bits, cropped to the points)",)


WRITERS: Mapping[str, FormatWriter] = {
    ".npy": _whole(npy_bytes, "grid", "row"),
    ".npz": _whole(npz_bytes, "grid", "row", "normals", "intensity", "keep", "camera", "view"),
    ".pcd": _whole(pcd_bytes, "grid", "normals", "intensity", "keep", "camera", "view"),
    ".ply": _whole(ply_bytes, "grid", "normals", "intensity", "keep", "camera", "view"),
    ".png": FormatWriter(write_depth, frozenset({"grid", "row", "camera", "view"})),
    ".xyz": _whole(xyz_text, "normals", "intensity", "camera", "view"),
    picture_set.SET_ENDING: FormatWriter(
        _write_pictures, frozenset({"grid", "row", "normals", "intensity", "keep"})
    ),
}
"""Writers of the formats, by the ending of the file's name."""


LOSSES: Mapping[FilePart, str] = {
    "normals": "the normals",
    "intensity": "the intensity",
    "keep": "which points to keep",
    "camera": "the place of the camera",
    "view": "the lens of the camera",
}
"""What a format that does not hold a part of a file loses, in words."""


def write_scan(path: Path, scan: Scan) -> tuple[str, ...]:
    """Write a scan in metres; the ending of the file's name selects the format.

    Returns:
        What the scan holds and the format does not, in words.

    Raises:
        DataError: the format cannot hold such a scan, or none has this ending.
        RunError: the file cannot be written.
    """
    return _write(path, file_points_of(scan)).lost


def write_cloud(path: Path, cloud: Cloud) -> tuple[str, ...]:
    """Write a cloud in metres; the ending of the file's name selects the format.

    Returns:
        What the cloud holds and the format does not, in words.

    Raises:
        DataError: the format cannot hold a cloud without a grid, or none has this ending.
        RunError: the file cannot be written.
    """
    return _write(path, file_points_of(cloud)).lost


def convert(source: Path, target: Path, unit: LengthUnit | None = None) -> Converted:
    """Read a file and write its points in metres in another format.

    Nothing is added: a target has normals or intensity only if the source has them. The grid is
    kept if both formats can say it.

    Args:
        source: path of the file to read, or ``motorcycle``.
        target: path of the file to write; an existing file is replaced.
        unit: unit of length of a source that does not say its own; metres if None.

    Returns:
        What was written, and in words what the target cannot hold.

    Raises:
        DataError: the source cannot be read, or the target's format cannot hold such points.
        MissingExtra: a package that the source needs is not installed.
        RunError: the target cannot be written.
    """
    _writer(target)
    file, points = read_file_points(source, unit)
    if not points.valid.any():
        raise file.fail("holds no point; allowed: at least one")
    return _write(target, points)


def _writer(path: Path) -> FormatWriter:
    name = path.name.lower()
    ending = max((end for end in WRITERS if name.endswith(end)), key=len, default=None)
    if ending is None:
        allowed = ", ".join(WRITERS)
        raise DataError(f"{path}: no format that is written ends so; allowed: {allowed}")
    return WRITERS[ending]


def _write(path: Path, points: FilePoints) -> Converted:
    """Write points in metres as far as the format holds them."""
    writer, lost = _writer(path), []
    if points.grid is not None:
        height, width = points.grid
        if ("grid" if height > 1 else "row") not in writer.holds:
            lost.append(f"the grid of {height} x {width} pixels")
            points = without_grid(points)
    for name, words in LOSSES.items():
        if name not in writer.holds and getattr(points, name) is not None:
            lost.append(words)
    lost += writer.write(path, points)
    return Converted(int(points.valid.sum()), points.grid, tuple(lost))

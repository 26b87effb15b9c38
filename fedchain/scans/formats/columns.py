"""Columns of a table of points: what programs call coordinates, normals and brightness."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fedchain.arrays import Array
from fedchain.scans.formats.contents import Contents
from fedchain.scans.formats.file_points import FilePoints

INTENSITIES = (
    "intensity", "scalar_intensity", "texture32", "texture", "reflectance", "gray", "grey",
)  # fmt: skip
"""Names that programs use for the intensity, in small letters. The first name that a file has is
read; capitals do not matter."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the brightness (ITU-R BT.601), for files without an
intensity."""
COLOUR_NAMES = (
    ("red", "green", "blue"),
    ("diffuse_red", "diffuse_green", "diffuse_blue"),
    ("r", "g", "b"),
)
NORMAL_NAMES = (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"))
"""Names of the normals: those of PLY and XYZ, and those of PCD."""


@np.errstate(all="ignore")  # of damaged numbers
def points_of_columns(file: Contents, table: Mapping[str, Array]) -> FilePoints:
    """Return the points of a table, without a grid.

    Args:
        file: the file, for error messages.
        table: columns by name; each has one number for each point.

    Raises:
        DataError: a coordinate is missing, or two columns have one name.
    """
    named = {name.lower(): column for name, column in table.items()}
    if not {"x", "y", "z"} <= named.keys() or len(named) < len(table):
        raise file.fail(f"has the columns {', '.join(table)}; allowed: x, y, z, each name once")
    light = next((named[name] for name in INTENSITIES if name in named), None)
    colours = _first(named, COLOUR_NAMES)
    if light is None and colours is not None:
        light = brightness(colours)
    keep = named.get("keep")
    return FilePoints(
        points=np.stack([named[axis] for axis in "xyz"], axis=-1),
        normals=_first(named, NORMAL_NAMES),
        intensity=light,
        keep=None if keep is None else keep.astype(bool),
    )


def table_of(points: FilePoints, normals: tuple[str, ...] = NORMAL_NAMES[0]) -> dict[str, Array]:
    """Return the columns of points in metres, each float32 but ``keep``, which is uint8.

    Args:
        points: the points.
        normals: names of the three columns of the normals.
    """
    columns = dict(zip("xyz", points.points.T.astype(np.float32), strict=True))
    if points.normals is not None:
        columns |= dict(zip(normals, points.normals.T.astype(np.float32), strict=True))
    if points.intensity is not None:
        columns["intensity"] = points.intensity.astype(np.float32)
    if points.keep is not None:
        columns["keep"] = points.keep.astype(np.uint8)
    return columns


def rows_of(columns: Mapping[str, Array]) -> Array:
    """Return a structured little-endian array: one record for each point, without gaps."""
    kind = [(name, column.dtype.newbyteorder("<")) for name, column in columns.items()]
    rows = np.empty(len(columns["x"]), kind)
    for name, column in columns.items():
        rows[name] = column
    return rows


def brightness(colours: Array) -> Array:
    """Return the brightness of colours (..., 3), in the unit of the colours, float64."""
    red, green, blue = np.moveaxis(colours.astype(np.float64), -1, 0)
    # The sum has a written order, so that it has the same bits on every processor.
    return np.asarray(LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)


def _first(named: Mapping[str, Array], names: tuple[tuple[str, ...], ...]) -> Array | None:
    """Return the columns of the first group of names that the table has, shape (n, 3)."""
    group = next((group for group in names if named.keys() >= set(group)), None)
    return None if group is None else np.stack([named[name] for name in group], axis=-1)

"""COGS: the file format of the real scanner's program, decoded from example files.

All numbers are little-endian; u32 and u64 are unsigned integers of 32 and 64 bits. A file consists
of these parts, in this order:

- header: "COGS FILE", 4 version bytes, u64 offset of the directory;
- points: u32 number of points, u32 number of properties, u32 0; a header for each property (u32
  length of the name, name, u32 type, u32 bytes per point, u32 0); for each property, an array of
  float32 values;
- scan: 8 zero bytes, u32 number of points, u32 width, u32 height, the camera (float32: 3x3 basis in
  rows, position, fx, fy, cx, cy, k1, k2, k3, p1, p2), and the pixel of each point (u32 x, u32 y);
- directory: the names of the parts.

The number of bytes of the camera depends on the version of the format.
"""

from __future__ import annotations

import numpy as np

from fedchain.arrays import Array, Wholes
from fedchain.scans.camera import Camera
from fedchain.scans.formats.contents import Contents
from fedchain.scans.formats.file_points import FilePoints
from fedchain.scans.formats.notes import CAMERA_NUMBERS, view_of

MAGIC = b"COGS FILE"
DIRECTORY_AT, POINTS_AT, PROPERTIES_AT = 13, 21, 33
COMPONENTS = {"positions": 3, "normals": 3, "intensities": 1}
"""Number of float32 values per point, for each property that a scan needs."""
MOST_PROPERTIES = 16
LONGEST_NAME = 64
CAMERA_BYTES = range(48, 257)
"""Allowed lengths of the camera in bytes."""


def read_cogs(file: Contents) -> FilePoints:
    """Read a COGS file.

    Raises:
        DataError: the file is damaged, truncated, or not COGS; the message names the problem.
    """
    if not file.data.startswith(MAGIC):
        raise file.fail(f"is no COGS file; allowed: a file that begins with {MAGIC.decode()!r}")
    points = file.number("<u4", POINTS_AT, "the header")
    directory = file.number("<u8", DIRECTORY_AT, "the header")
    properties, scan_block = _properties(file, points)
    again, width, height = (
        file.number("<u4", scan_block + offset, "the grid") for offset in (8, 12, 16)
    )
    if again != points:
        raise file.fail(f"counts {points} points, then {again}; allowed: the same number")
    file.check_grid(width, height)
    length = directory - 8 * points - (scan_block + 20)
    if length not in CAMERA_BYTES:
        raise file.fail(
            f"has {length} bytes for the camera; allowed: {CAMERA_BYTES[0]} to {CAMERA_BYTES[-1]}"
        )
    numbers = file.array("<f4", length // 4, scan_block + 20, "the camera")
    # The pixels are found from the directory, which begins where they end.
    table = file.array("<u4", 2 * points, directory - 8 * points, "the pixels").reshape(-1, 2)
    pixels = _pixels(file, table, width, height)
    # A point is left out if any of its values is not finite.
    values = np.hstack([properties[name] for name in COMPONENTS])
    finite = np.isfinite(values).all(axis=1)
    grid = np.full((height * width, values.shape[1]), np.nan, np.float32)
    grid[pixels[finite]] = values[finite]
    return FilePoints(
        points=grid[:, :3],
        normals=grid[:, 3:6],
        intensity=grid[:, 6],
        grid=(height, width),
        camera=numbers[9:12],
        view=_view(numbers),
        unit="m",
    )


def _view(numbers: Array) -> Camera | None:
    """Return the camera with its lens, or None if the file's numbers are not those of a camera."""
    # The rows of the file's basis point to the right, up and backward.
    signs = np.ones(CAMERA_NUMBERS, np.float32)
    signs[3:9] = -1
    known = numbers[:CAMERA_NUMBERS]
    return None if len(known) < CAMERA_NUMBERS else view_of(signs * known)


def _properties(file: Contents, points: int) -> tuple[dict[str, Array], int]:
    """Return the values of each property by name, and the byte at which the scan part begins."""
    count = file.number("<u4", POINTS_AT + 4, "the header")
    if count > MOST_PROPERTIES:
        raise file.fail(f"claims {count} properties; allowed: at most {MOST_PROPERTIES}")
    at, strides = PROPERTIES_AT, {}
    for _ in range(count):
        length = file.number("<u4", at, "the properties")
        if length > LONGEST_NAME:
            raise file.fail(f"has a name of {length} bytes; allowed: at most {LONGEST_NAME}")
        name = file.data[at + 4 : at + 4 + length].decode("ascii", "replace")
        strides[name] = file.number("<u4", at + 8 + length, "the properties")
        at += 16 + length
    values = {}
    for name, stride in strides.items():
        if (count := COMPONENTS.get(name, 0)) > 0:
            if stride != 4 * count:
                raise file.fail(f"has {stride} bytes a point of {name}; allowed: float32 values")
            values[name] = file.array("<f4", points * count, at, name).reshape(points, count)
        at += points * stride
    missing = ", ".join(COMPONENTS.keys() - values.keys())
    if missing:
        raise file.fail(f"has no {missing}; allowed: {', '.join(COMPONENTS)}")
    return values, at


def _pixels(file: Contents, table: Array, width: int, height: int) -> Wholes:
    """Return each point's index in the flattened grid; check that no two points share a pixel."""
    x, y = table.astype(np.int64).T
    if len(table) and (x.max() >= width or y.max() >= height):
        raise file.fail(f"has a point outside its {width} x {height} pixels")
    place = y * width + x
    if len(np.unique(place)) != len(place):
        raise file.fail("has two points in one pixel; allowed: an organised scan")
    return np.asarray(place)

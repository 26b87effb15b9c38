"""PLY: the Stanford format, ascii or binary.

A grid of pixels is named in one of these ways; the points stand row by row, and an empty pixel is
NaN or the origin unless stated otherwise:

- ``obj_info num_cols W`` and ``obj_info num_rows H`` (PCL without a camera);
- ``comment width W`` and ``comment height H``;
- ``obj_info .. (Width = W; Height = H; ..)`` (PhoXi Control, with coordinates in millimetres);
- an element ``range_grid`` beside ``num_cols`` and ``num_rows``: a list for each pixel that holds
  the index of its vertex, or nothing (the Stanford range scans);
- an element ``camera`` with ``viewportx`` and ``viewporty`` (PCL).

A grid of one row is how PCL writes a cloud without a grid, and is read as such.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from fedchain.arrays import Array, Flags
from fedchain.scans.formats.columns import points_of_columns, rows_of, table_of
from fedchain.scans.formats.contents import Contents
from fedchain.scans.formats.file_points import FilePoints
from fedchain.scans.formats.notes import noted, notes_of
from fedchain.scans.formats.ply_body import end_of, read_cells, read_numbers
from fedchain.scans.formats.ply_header import Element, PlyHeader, read_header

OTHER_WORDS = {"float32": "float", "uint8": "uchar"}
"""PLY's name for each of numpy's types that are written."""
NO_GRID = "names no num_cols (the width) and num_rows (the height) in its header"


def read_ply(file: Contents) -> FilePoints:
    """Read a PLY file; other elements than the vertices are passed over.

    Raises:
        DataError: the file is damaged, truncated, not PLY, or names a grid that does not fit.
    """
    header = read_header(file)
    if header.width is not None and header.height is not None and header.height > 1:
        file.check_grid(header.width, header.height)
    vertex = next((one for one in header.elements if one.name == "vertex"), None)
    if vertex is None or vertex.lists or not {"x", "y", "z"} <= {p.name for p in vertex.properties}:
        raise file.fail("has no vertices of single numbers x, y, z; allowed: 'element vertex'")
    starts = _starts(file, header)
    table = read_numbers(file, header, vertex, starts["vertex"])
    points = points_of_columns(file, table)
    if header.millimetres:
        points = replace(points, unit="mm")
    points = noted(file, points, header.comments)
    return _organised(file, header, points, starts)


def ply_keeps(file: Contents) -> bool:
    """Return whether the header of a PLY file names a mask of the points to keep."""
    vertices = (one for one in read_header(file).elements if one.name == "vertex")
    return any(each.name.lower() == "keep" for one in vertices for each in one.properties)


def _starts(file: Contents, header: PlyHeader) -> Mapping[str, int]:
    """Return the bytes at which vertex, range_grid and camera begin, as far as they exist."""
    wanted = {"vertex", "range_grid", "camera"} & {one.name for one in header.elements}
    starts: dict[str, int] = {}
    at = header.end
    for element in header.elements:
        if element.name in wanted:
            starts.setdefault(element.name, at)
        if starts.keys() >= wanted:
            break
        at = end_of(file, header, element, at)
    return starts


def _organised(
    file: Contents, header: PlyHeader, points: FilePoints, starts: Mapping[str, int]
) -> FilePoints:
    """Return the points with the grid that the file names, if it names one."""
    count, width, height = len(points.points), header.width, header.height
    if "camera" in starts:
        seen = _element(header, "camera")
        points, viewport = _with_camera(file, header, seen, points, starts["camera"])
        if width is None and height is None and viewport[0] * viewport[1] == count:
            width, height = viewport
    if width is None or height is None:
        return replace(points, why=NO_GRID)
    if "range_grid" in starts and height > 1:
        cells = _element(header, "range_grid")
        return _spread(file, header, cells, points, (height, width), starts["range_grid"])
    if height == 1 < width == count:
        return replace(points, why="its grid has one row, which means none; allowed: 2 or more")
    if count != width * height:
        return replace(points, why=f"{count} vertices on {width} x {height} pixels")
    return replace(points, grid=(height, width))


def _element(header: PlyHeader, name: str) -> Element:
    return next(one for one in header.elements if one.name == name)


def _with_camera(
    file: Contents, header: PlyHeader, element: Element, points: FilePoints, start: int
) -> tuple[FilePoints, tuple[int, int]]:
    """Return the points with the position of PCL's camera, and the size of its viewport."""
    if element.lists or element.count != 1:
        return points, (0, 0)
    named = {name: column[0] for name, column in read_numbers(file, header, element, start).items()}
    place = [named.get(f"view_p{axis}", np.nan) for axis in "xyz"]
    if points.camera is None and np.isfinite(place).all():
        points = replace(points, camera=np.array(place, np.float64))
    size = [float(named.get(name, 0)) for name in ("viewportx", "viewporty")]
    if not (np.isfinite(size).all() and min(size) > 1):
        return points, (0, 0)
    return points, (int(size[0]), int(size[1]))


def _spread(
    file: Contents,
    header: PlyHeader,
    element: Element,
    points: FilePoints,
    grid: tuple[int, int],
    start: int,
) -> FilePoints:
    """Return the points on the pixels to which ``range_grid`` sends them."""
    lists = [one.kind[0] for one in element.properties if one.length]
    if (
        element.count != grid[0] * grid[1]
        or len(element.properties) > 1
        or lists not in (["i"], ["u"])
    ):
        raise file.fail(f"has a range_grid that does not fit its {grid[1]} x {grid[0]} pixels")
    cells = read_cells(file, header, element, start, len(points.points))

    def onto(values: Array, empty: float = 0) -> Array:
        spread = np.full((len(cells), *values.shape[1:]), empty, values.dtype)
        spread[cells >= 0] = values[cells[cells >= 0]]
        return spread

    normals, intensity, keep = points.normals, points.intensity, points.keep
    return replace(
        points,
        points=onto(points.points.astype(np.float32), np.nan),
        normals=None if normals is None else onto(normals),
        intensity=None if intensity is None else onto(intensity),
        keep=None if keep is None else onto(keep),
        grid=grid,
    )


def ply_bytes(points: FilePoints) -> Iterator[bytes]:
    """Yield the parts of a binary, little-endian PLY file of points in metres.

    A grid of which most pixels are empty is written as a ``range_grid``, whose vertices are the
    other pixels alone: a scanner's grid has millions of pixels, and a vertex takes 28 bytes.
    """
    head = ["ply", "format binary_little_endian 1.0"]
    head += [f"comment {note}" for note in notes_of(points)]
    if points.grid is not None:
        head += [f"obj_info num_cols {points.grid[1]}", f"obj_info num_rows {points.grid[0]}"]
    held = points.valid if points.keep is None else points.valid | points.keep
    sparse = points.grid is not None and 2 * np.count_nonzero(held) < len(held)
    rows = rows_of(table_of(points))
    rows = rows[held] if sparse else rows
    head.append(f"element vertex {len(rows)}")
    for name in rows.dtype.names or ():
        head.append(f"property {OTHER_WORDS[rows.dtype[name].name]} {name}")
    if sparse:
        head.append(f"element range_grid {len(held)}")
        head.append("property list uchar int vertex_indices")
    yield "\n".join([*head, "end_header\n"]).encode()
    yield rows.tobytes()
    if sparse:
        yield _range_grid(held)


def _range_grid(held: Flags) -> bytes:
    """Return for each pixel the byte 0, or the byte 1 and the number of its vertex."""
    starts = np.arange(len(held)) + 4 * (np.cumsum(held) - held)
    places = starts[held]
    lists = np.zeros(len(held) + 4 * len(places), np.uint8)
    lists[places] = 1
    numbers = np.arange(len(places), dtype="<i4").view(np.uint8).reshape(-1, 4)
    lists[places[:, None] + np.arange(1, 5)] = numbers
    return lists.tobytes()

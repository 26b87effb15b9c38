"""Marching cubes on a signed distance of points: a surface without the package of Poisson's.

The distance is known near the points alone, so the grid is cut into blocks and only those near
points are computed: memory grows with the surface, not with the box around it.

Reference:
    Hoppe et al., "Surface Reconstruction from Unorganized Points", SIGGRAPH 1992 (distance to the
    tangent planes of the nearest points); Lewiner et al., "Efficient Implementation of Marching
    Cubes' Cases with Topological Guarantees", 2003 (by scikit-image).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fedchain.arrays import Array, Matrix, Vector, Wholes
from fedchain.errors import DataError
from fedchain.extras import needed_package
from fedchain.interruption import stop_if_asked
from fedchain.scans.formats.meshes import Mesh
from fedchain.scans.scan import Mask

BLOCK_CELLS = 32
"""Cells along a side of a block."""
REACH_CELLS = 2.5
"""Largest distance from a corner of the grid to a point, in cells, at which the corner counts. The
corners of a cell that the surface crosses are within 1.8 of the surface."""
WEIGHED = 8
"""Nearest points whose planes are averaged."""
MOST_CELLS = 1 << 21
"""Most cells of the grid that may hold a point."""
FINEST = 1 << 12
"""Parts of a cell to which vertices are rounded, so that blocks share those on their faces."""


def marching_mesh(points: Matrix, normals: Matrix, cell: float) -> Mesh:
    """Return the surface where the signed distance of the points is 0; nothing is trimmed.

    The signed distance at a corner x of the grid is the weighted mean of n (x - p) over the nearest
    points p whose normal n looks to the side of the nearest one's, with the weights
    exp(-|x - p|^2 / cell^2). Corners farther than 2.5 cells from all points have none, and cells
    with such a corner are left out: the surface ends where the points end.

    Args:
        points: points, shape (n, 3), at least one.
        normals: unit normals, shape (n, 3), which point outward.
        cell: side of a cell of the grid, in the unit of the points; not below their spacing, or
            the surface has holes between them.

    Raises:
        DataError: more than ``MOST_CELLS`` cells hold points.
        MissingExtra: scikit-image is not installed.
    """
    from scipy.spatial import cKDTree

    measure = needed_package("skimage.measure", "surfaces", "marching cubes")
    # An odd part of a cell keeps points that lie on planes off the corners.
    origin = points.min(axis=0) - (np.ceil(REACH_CELLS) + 1 + 1 / np.pi) * cell
    placed = (points - origin) / cell
    marks = np.unique(np.rint(placed).astype(np.int64), axis=0)
    if len(marks) > MOST_CELLS:
        raise DataError(
            f"marching cubes: {len(marks):,} cells of {cell:.3g} hold points; allowed: at most "
            f"{MOST_CELLS:,}; a smaller depth makes larger cells"
        )
    tree = cKDTree(placed, balanced_tree=False)
    corners, triangles, count = list[Matrix](), list[Wholes](), 0
    for low, wanted in _blocks(marks):
        stop_if_asked()
        values, near = _distances_in(low, wanted, tree, normals)
        vertices, faces = _surface_in(values, near, measure)
        corners.append(vertices + low)
        triangles.append(faces + count)
        count += len(vertices)
    return _joined(corners, triangles, origin, cell)


def _blocks(marks: Wholes) -> Iterator[tuple[Wholes, Mask]]:
    """Yield the first corner of each block near points, and which of its corners may be near.

    ``marks`` are the corners of the grid that are nearest to a point, shape (m, 3). A mask has one
    corner more than cells along each side, so that blocks share the corners of their faces.
    """
    from scipy.ndimage import maximum_filter

    wide = int(np.ceil(REACH_CELLS + 1))
    homes, home = np.unique(marks // BLOCK_CELLS, axis=0, return_inverse=True)
    order = np.argsort(home.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(home.ravel()))[:-1]
    own = dict(zip(map(tuple, homes.tolist()), np.split(marks[order], ends), strict=True))
    steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    for block in np.unique((homes[:, None] + steps).reshape(-1, 3), axis=0):
        around = [own[at] for at in map(tuple, (block + steps).tolist()) if at in own]
        low = block * BLOCK_CELLS
        inside = np.concatenate(around) - low + wide
        side = BLOCK_CELLS + 1 + 2 * wide
        inside = inside[((inside >= 0) & (inside < side)).all(axis=1)]
        if len(inside):
            near = np.zeros((side,) * 3, np.uint8)
            near[tuple(inside.T)] = 1
            core = (slice(wide, -wide),) * 3
            yield low, maximum_filter(near, 2 * wide + 1, mode="constant")[core] > 0


def _distances_in(low: Wholes, wanted: Mask, tree: Any, normals: Matrix) -> tuple[Array, Mask]:
    """Return the signed distances at the corners of a block, in cells, and which corners have one.

    Args:
        low: first corner of the block, shape (3,).
        wanted: corners that may be near points, shape (33, 33, 33).
        tree: k-d tree of the points in cells from the grid's origin.
        normals: their normals, shape (n, 3).
    """
    corners = np.argwhere(wanted) + low
    values, near = np.ones(wanted.shape, np.float32), np.zeros(wanted.shape, bool)
    some = np.arange(1, min(WEIGHED, tree.n) + 1)
    away, found = tree.query(corners, k=some, distance_upper_bound=REACH_CELLS)
    inside = away[:, 0] <= REACH_CELLS
    near[wanted] = inside
    away, found, corners = away[inside], found[inside], corners[inside]
    there = found < tree.n  # the others are too far
    found = np.where(there, found, 0)
    planes = normals[found]
    ahead = (planes * (corners[:, None] - tree.data[found])).sum(axis=2)
    there &= (planes * planes[:, :1]).sum(axis=2) > 0
    weights = np.exp(np.where(there, away[:, :1] ** 2 - away**2, -np.inf))
    signed = (weights * ahead).sum(axis=1) / weights.sum(axis=1)
    # A surface exactly through a corner would have triangles without area.
    values[near] = np.where(np.abs(signed) < 1 / FINEST, 1 / FINEST, signed)
    return values, near


def _surface_in(values: Array, near: Mask, measure: Any) -> tuple[Matrix, Wholes]:
    """Return vertices in cells from the block's first corner, and triangles, in cells all near."""
    whole = np.ones(tuple(side - 1 for side in near.shape), bool)
    for x in (slice(None, -1), slice(1, None)):
        for y in (slice(None, -1), slice(1, None)):
            for z in (slice(None, -1), slice(1, None)):
                whole &= near[x, y, z]
    if not whole.any() or not values.min() < 0 < values.max():
        return np.zeros((0, 3)), np.zeros((0, 3), np.int64)
    vertices, faces, *_ = measure.marching_cubes(values, 0.0, gradient_direction="descent")
    # Of an ambiguous cell a triangle may lie in the last face.
    cells = np.floor(vertices[faces].mean(axis=1)).astype(np.int64)
    cells = np.minimum(cells, np.array(whole.shape) - 1)
    return vertices.astype(np.float64), faces[whole[tuple(cells.T)]].astype(np.int64)


def _joined(corners: list[Matrix], triangles: list[Wholes], origin: Vector, cell: float) -> Mesh:
    """Return one mesh of the surfaces of all blocks, whose vertices on shared faces are one."""
    every, faces = np.concatenate(corners), np.concatenate(triangles)
    used = np.unique(faces)
    own, place = np.unique(
        np.rint(every[used] * FINEST).astype(np.int64), axis=0, return_inverse=True
    )
    number = np.zeros(len(every), np.int64)
    number[used] = place.ravel()
    faces = number[faces]
    a, b, c = faces.T
    return Mesh(own / FINEST * cell + origin, faces[(a != b) & (b != c) & (c != a)])

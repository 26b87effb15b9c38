"""Normals of clouds: planes through neighbours, turned towards the cameras or outward.

Reference:
    Hoppe, DeRose, Duchamp, McDonald and Stuetzle, "Surface Reconstruction from Unorganized Points",
    SIGGRAPH 1992: tangent planes (section 3.2) and their consistent orientation (section 3.3).
"""

from __future__ import annotations

import numpy as np

from fedchain.arrays import Array, Matrix, Wholes
from fedchain.interruption import stop_if_asked
from fedchain.scans.scan import Cloud
from fedchain.surfaces.neighbours import nearest

PLANE_POINTS = 16
"""Points, the point itself included, through which its plane is laid."""
LINKS = 10
"""Neighbours along which an orientation spreads from point to point."""
FLATTEST = 1e-6
"""Least ratio of the second to the largest variance of the points of a plane: below it, they lie on
a line (or in one place), and no plane is known."""
PLANES_AT_ONCE = 1 << 16
"""Points whose planes are computed at once."""


def cloud_normals(cloud: Cloud) -> Matrix:
    """Return a unit normal for each point of a cloud, shape (n, 3); zeros where none is known.

    Stored normals are taken as they are; otherwise they are those of planes through neighbours. If
    the cloud knows its camera, all of them point towards it. Otherwise stored normals keep their
    side, and computed ones point outward (``orient_outward``).
    """
    points = np.asarray(cloud.points, np.float64)
    stored = cloud.normals is not None and bool(cloud.normals.any())
    normals = np.asarray(cloud.normals, np.float64) if stored else plane_normals(points)
    if cloud.camera is not None:
        return orient_to_cameras(normals, points, cloud.camera.position)
    return normals if stored else orient_outward(normals, points)


def plane_normals(points: Array, neighbours: int = PLANE_POINTS) -> Matrix:
    """Return the normal of the plane through the nearest points of each point, shape (n, 3).

    It is the direction in which the nearest points vary least. Its side means nothing. It is zero
    where the nearest points lie on one line or in one place.

    Args:
        points: points, shape (n, 3).
        neighbours: points through which a plane is laid, the point itself included.

    >>> corners = np.array([[0, 0, 5], [1, 0, 5], [0, 1, 5], [1, 1, 5]])
    >>> np.abs(plane_normals(corners)[0]).tolist()
    [0.0, 0.0, 1.0]
    """
    from scipy.spatial import cKDTree

    points = np.asarray(points, np.float64)
    normals = np.zeros((len(points), 3))
    tree = cKDTree(points, balanced_tree=False)
    some = np.arange(1, min(neighbours, len(points)) + 1)
    for start in range(0, len(points), PLANES_AT_ONCE):
        stop_if_asked()
        block = slice(start, start + PLANES_AT_ONCE)
        found = points[tree.query(points[block], k=some)[1]]
        offsets = found - found.mean(axis=1, keepdims=True)
        # Distances are compared with each other, so their unit and size must not matter.
        size = np.abs(offsets).max(axis=(1, 2), keepdims=True)
        offsets /= np.where(size > 0, size, 1)
        variances, directions = np.linalg.eigh(np.swapaxes(offsets, 1, 2) @ offsets)
        flat = variances[:, 1] > FLATTEST * variances[:, 2]
        normals[block] = np.where(flat[:, None], directions[:, :, 0], 0)
    return normals


def orient_to_cameras(normals: Array, points: Array, cameras: Array) -> Matrix:
    """Return the normals, each turned towards the camera that saw its point.

    Args:
        normals: normals, shape (n, 3).
        points: points, shape (n, 3).
        cameras: positions of the cameras, shape (n, 3), or of the only one, shape (3,).

    >>> orient_to_cameras(np.eye(3)[:1], np.zeros((1, 3)), np.array([-2.0, 1, 0])).tolist()
    [[-1.0, -0.0, -0.0]]
    """
    away = ((np.asarray(cameras, np.float64) - points) * normals).sum(axis=1) < 0
    return np.where(away[:, None], -normals, normals)


def orient_outward(normals: Matrix, points: Matrix) -> Matrix:
    """Return the normals on consistent sides: outward, where no camera says the side.

    Within a connected part of the cloud, the side spreads from point to point along the tree that
    turns least on the whole (the minimum spanning tree of the neighbours, with 1 - |n_i n_j| as the
    length of a link). Then the part is turned so that the sum of n (p - middle) is positive: by the
    divergence theorem this is outward for a closed surface whose points are spread evenly, and
    for an open one it is the side that it bulges to.

    Args:
        normals: normals, shape (n, 3); their sides mean nothing.
        points: points, shape (n, 3).
    """
    if len(points) < 2:
        return normals
    part, parents = _tree(normals, nearest(points, points, min(LINKS + 1, len(points))))
    signs = np.ones(len(points) + 1)
    padded = np.concatenate([normals, np.zeros((1, 3))])
    signs[:-1] = np.where((normals * padded[parents[:-1]]).sum(axis=1) < 0, -1, 1)
    # Each pass doubles the stretch of the way to the root over which the signs are multiplied.
    while (parents != len(points)).any():
        signs *= signs[parents]
        parents = parents[parents]
    turned = normals * signs[:-1, None]
    counts = np.maximum(np.bincount(part), 1)
    middle = np.stack([np.bincount(part, axis) / counts for axis in points.T], axis=1)
    outward = np.bincount(part, (turned * (points - middle[part])).sum(axis=1))
    return turned * np.where(outward < 0, -1.0, 1.0)[part][:, None]


def _tree(normals: Matrix, neighbours: Wholes) -> tuple[Wholes, Wholes]:
    """Return the connected part of each point, (n,), and the parents in a spanning tree, (n + 1,).

    The last entry of the parents is the root, which is its own parent and that of one point of each
    connected part.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import (
        breadth_first_order,
        connected_components,
        minimum_spanning_tree,
    )

    count = len(normals)
    one = np.repeat(np.arange(count, dtype=np.int32), neighbours.shape[1])
    other = neighbours.ravel().astype(np.int32)  # scipy 1.15 takes graphs with 32-bit indices alone
    apart = one != other
    one, other = one[apart], other[apart]
    turn = 1 - np.abs((normals[one] * normals[other]).sum(axis=1))
    # A length of 0 would be no link, so every link gets a little more.
    links = coo_array((np.maximum(turn, 0) + 1e-6, (one, other)), (count + 1, count + 1))
    tree = minimum_spanning_tree(links.tocsr()).tocoo()
    part = connected_components(tree, directed=False)[1][:count]
    first = np.unique(part, return_index=True)[1]
    rows = np.concatenate([tree.coords[0], np.full(len(first), count)]).astype(np.int32)
    columns = np.concatenate([tree.coords[1], first]).astype(np.int32)
    whole = coo_array((np.ones(len(rows)), (rows, columns)), (count + 1, count + 1)).tocsr()
    parents = breadth_first_order(whole, count, directed=False)[1].astype(np.int64)
    parents[count] = count
    return part.astype(np.int64), parents

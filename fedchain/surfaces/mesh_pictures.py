"""Pictures of meshes: shaded by a light at the viewer, side by side under one camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Array, Matrix, Vector, Wholes
from fedchain.scans.camera import Camera
from fedchain.scans.formats.meshes import Mesh
from fedchain.scans.pictures import Picture

FRONT = (172, 206, 240)
"""Blue grey: a triangle that is seen from outside."""
BACK = (240, 172, 104)
"""Orange: a triangle that is seen from inside, through a hole."""
DARKEST = 0.25
"""Brightness of a triangle that is seen from the edge."""
SAMPLES = 2
"""Samples along each side of a pixel; their mean is its colour."""
MARGIN = 0.06
"""White border around the meshes, as a part of the picture's side."""
GAP_PIXELS = 16
"""White pixels between two pictures."""
CANDIDATES = 1 << 22
"""Pixels that are tried at once."""


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """A parallel view of a box: what its pixels show does not depend on the mesh in it."""

    right: Vector
    """Unit vector to the right in the picture, shape (3,)."""
    up: Vector
    """Unit vector upwards in the picture, shape (3,)."""
    towards: Vector
    """Unit vector towards the viewer, shape (3,)."""
    corner: Vector
    """Least coordinates to the right and upwards that are shown, shape (2,)."""
    scale: float
    """Pixels for a unit of length."""
    size: tuple[int, int]
    """Height and width of the picture in pixels."""


def viewpoint(
    meshes: Sequence[Mesh], towards: Array, up: Array, size: tuple[int, int] = (480, 480)
) -> Viewpoint:
    """Return the view from a direction in which all vertices of some meshes are shown.

    Args:
        meshes: the meshes, with at least one vertex together.
        towards: direction from the meshes to the viewer, shape (3,).
        up: direction that points upwards in the picture, shape (3,); not along ``towards``.
        size: height and width of the picture in pixels.

    Raises:
        ValueError: no mesh has a vertex, or both directions are along one line.
    """
    points = np.concatenate([mesh.vertices for mesh in meshes])
    forward = np.asarray(towards, np.float64)
    right = np.cross(np.asarray(up, np.float64), forward)
    if not len(points) or not np.linalg.norm(right) > 0:
        raise ValueError("view: needs a vertex, and a direction that is not upwards")
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    upward = np.cross(forward, right)
    flat = np.stack([points @ right, points @ upward], axis=1)
    low, high = flat.min(axis=0), flat.max(axis=0)
    inside = (1 - 2 * MARGIN) * np.array([size[1], size[0]])
    scale = float((inside / np.maximum(high - low, 1e-12)).min())
    corner = (low + high) / 2 - np.array([size[1], size[0]]) / (2 * scale)
    return Viewpoint(right, upward, forward, corner, scale, size)


def draw_mesh(mesh: Mesh, view: Viewpoint) -> Picture:
    """Return a picture of a mesh on white, shape (height, width, 3).

    The light stands at the viewer: a triangle is as bright as its plane faces the viewer. Blue
    grey triangles are seen from outside (their corners turn counter-clockwise), orange ones from
    inside.
    """
    flat = np.stack([mesh.vertices @ view.right, mesh.vertices @ view.up], axis=1)
    pixels = (flat - view.corner) * view.scale
    pixels[:, 1] = view.size[0] - pixels[:, 1]
    towards = np.broadcast_to(view.towards, (len(mesh.faces), 3))
    return _shaded(mesh, pixels, mesh.vertices @ view.towards, towards, view.size)


def shade_from(mesh: Mesh, camera: Camera, size: tuple[int, int]) -> Picture:
    """Return a picture of a mesh on white as a camera sees it, shape (height, width, 3).

    The colours are those of ``draw_mesh``, with the light at the camera. Triangles with a corner
    behind the camera are left out.

    Args:
        mesh: the mesh.
        camera: the camera; its focal length and its centre are in pixels of this picture.
        size: height and width of the picture in pixels.
    """
    pixels, depth = camera.project(mesh.vertices)
    ahead = mesh.faces[(depth[mesh.faces] > 0).all(axis=1)]
    shown = Mesh(mesh.vertices, ahead)
    towards = camera.position - mesh.vertices[ahead].mean(axis=1)
    # The reciprocal of the depth is linear in the picture.
    nearness = np.divide(1.0, depth, out=np.zeros(len(depth)), where=depth > 0)
    return _shaded(shown, pixels + 0.5, nearness, towards, size)


def draw_side_by_side(
    meshes: Sequence[Mesh],
    towards: Array,
    up: Array,
    size: tuple[int, int] = (480, 480),
    *,
    around: Mesh | None = None,
) -> Picture:
    """Return pictures of meshes in a row, all under the same view.

    The arguments are those of ``viewpoint``; ``size`` is that of one picture. ``around`` is the
    mesh that the view is fitted to, so that outliers far away do not make all others small; None
    for all meshes.
    """
    view = viewpoint(meshes if around is None else [around], towards, up, size)
    gap = np.full((size[0], GAP_PIXELS, 3), 255, np.uint8)
    row = [part for mesh in meshes for part in (draw_mesh(mesh, view), gap)][:-1]
    return np.concatenate(row, axis=1)


def _shaded(
    mesh: Mesh, pixels: Matrix, nearness: Vector, towards: Matrix, size: tuple[int, int]
) -> Picture:
    """Return a picture of a mesh.

    Args:
        mesh: the mesh.
        pixels: places of its vertices in the picture, to the right and down, shape (vertices, 2).
        nearness: nearness of the vertices to the viewer, shape (vertices,).
        towards: direction from each triangle to the viewer, shape (triangles, 3).
        size: height and width of the picture in pixels.
    """
    samples = (SAMPLES * size[0], SAMPLES * size[1])
    corners = (SAMPLES * pixels)[mesh.faces]
    nearest = _nearest_triangles(corners, nearness[mesh.faces], samples)
    shown, hit = np.full((len(nearest), 3), 255.0), nearest >= 0
    shown[hit] = _colours(mesh, towards)[nearest[hit]]
    grid = shown.reshape(size[0], SAMPLES, size[1], SAMPLES, 3)
    return np.asarray(np.round(grid.mean(axis=(1, 3))), np.uint8)


def _colours(mesh: Mesh, towards: Matrix) -> Matrix:
    """Return the colour of each triangle, shape (triangles, 3)."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1) * np.linalg.norm(towards, axis=1)
    facing = (normals * towards).sum(axis=1) / np.where(lengths > 0, lengths, 1)
    light = DARKEST + (1 - DARKEST) * np.abs(facing)
    return np.asarray(np.where(facing[:, None] >= 0, FRONT, BACK) * light[:, None])


def _nearest_triangles(corners: Array, depth: Matrix, size: tuple[int, int]) -> Wholes:
    """Return the index of the triangle that each sample shows, or -1; shape (height x width,).

    Args:
        corners: places of the corners in samples, to the right and down, shape (triangles, 3, 2).
        depth: nearness of the corners to the viewer, shape (triangles, 3).
        size: height and width in samples.
    """
    height, width = size
    best = np.full(height * width, -np.inf)
    shown = np.full(height * width, -1)
    low = np.ceil(corners.min(axis=1) - 0.5).astype(np.int64)
    high = np.floor(corners.max(axis=1) - 0.5).astype(np.int64)
    spans = np.maximum(high - low + 1, 0)
    # Triangles of similar size are tried together, each on the samples of its box.
    sides = 2 ** np.ceil(np.log2(np.maximum(spans.max(axis=1), 1))).astype(np.int64)
    for side in np.unique(sides).tolist():
        group = np.flatnonzero((sides == side) & (spans > 0).all(axis=1))
        rows, columns = np.divmod(np.arange(side * side), side)
        many = max(CANDIDATES // (side * side), 1)
        for part in (group[k : k + many] for k in range(0, len(group), many)):
            x = low[part, 0, None] + columns
            y = low[part, 1, None] + rows
            inside, near = _inside(corners[part], depth[part], x + 0.5, y + 0.5)
            inside &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
            triangle, place = np.nonzero(inside)
            sample = (y * width + x)[triangle, place]
            _keep_nearest(best, shown, sample, near[triangle, place], part[triangle])
    return shown


def _inside(corners: Array, depth: Matrix, x: Matrix, y: Matrix) -> tuple[Array, Matrix]:
    """Return which places lie in their triangle, and how near it is there, both (n, places)."""
    (ax, ay), (bx, by), (cx, cy) = (corners[:, k].T[..., None] for k in range(3))
    whole = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    whole = np.where(whole == 0, np.nan, whole)  # a triangle seen from the edge covers nothing
    first = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / whole
    second = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / whole
    third = 1 - first - second
    inside = (first >= 0) & (second >= 0) & (third >= 0)
    return inside, first * depth[:, :1] + second * depth[:, 1:2] + third * depth[:, 2:]


def _keep_nearest(
    best: Vector, shown: Wholes, sample: Wholes, near: Vector, triangle: Wholes
) -> None:
    """Note the nearest triangle of each sample, if it is nearer than the one noted before."""
    order = np.lexsort((triangle, -near, sample))
    sample, near, triangle = sample[order], near[order], triangle[order]
    first = np.concatenate([[True], sample[1:] != sample[:-1]]) if len(sample) else order > 0
    sample, near, triangle = sample[first], near[first], triangle[first]
    nearer = near > best[sample]
    best[sample[nearer]], shown[sample[nearer]] = near[nearer], triangle[nearer]

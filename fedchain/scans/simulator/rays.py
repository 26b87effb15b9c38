"""Rays: functions that find the first surface that each camera ray meets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedchain.elementary import dot
from fedchain.scans.scan import NONE, OBJECT, TABLE, Floats
from fedchain.scans.simulator.scenes import Scenes
from fedchain.scans.simulator.shapes import SHAPES, Distance

SceneNumbers = npt.NDArray[np.intp]

NEAR_M = 1e-4
"""Distance to a surface, in metres, at which a ray counts as arrived."""
STEPS = 72
"""Largest number of steps of a ray. A ray that has not arrived by then counts as a miss."""
STRIDE = 6
"""Number of steps after which finished rays are removed from the batch."""
LIFT_M = 1.5e-3
"""Distance above a surface at which a ray that leaves the surface starts, in metres."""


@dataclass(frozen=True)
class Hits:
    """The first surface that each ray of a batch meets."""

    distance: Floats
    """Distance along the ray, in metres, shape (rays,); infinite where the ray meets nothing."""
    kind: npt.NDArray[np.uint8]
    """Class of the surface, shape (rays,): NONE, OBJECT or TABLE."""
    points: Floats
    """Points in the camera's frame, in metres, shape (3, rays); NaN where the ray meets nothing."""
    normals: Floats
    """Unit normals of the surfaces, shape (3, rays)."""


def trace(scenes: Scenes, scan: SceneNumbers, origin: Floats, direction: Floats) -> Hits:
    """Return the first surface that each ray meets.

    Args:
        scenes: the batch of scenes.
        scan: index of each ray's scene in the batch, shape (rays,).
        origin: start of each ray in the camera's frame, in metres, shape (3, rays).
        direction: unit direction of each ray, shape (3, rays).
    """
    to_object = object_distance(scenes, scan, origin, direction)
    to_table = _table_distance(scenes, scan, origin, direction)
    distance = np.minimum(to_object, to_table)
    kind = np.where(to_object <= to_table, OBJECT, TABLE).astype(np.uint8)
    kind[np.isinf(distance)] = NONE
    reach = np.where(kind == NONE, np.float32(np.nan), distance)
    points = origin + reach * direction
    normals = scenes.up.T[:, scan]
    on_object = np.flatnonzero(kind == OBJECT)
    normals[:, on_object] = _object_normals(scenes, scan[on_object], points[:, on_object])
    return Hits(distance, kind, points, normals)


def object_distance(
    scenes: Scenes, scan: SceneNumbers, origin: Floats, direction: Floats, end: Floats | None = None
) -> Floats:
    """Return the distance of each ray to the object of its scene, shape (rays,); inf if it misses.

    The first four arguments are those of ``trace``. ``end`` is the largest distance to search on
    each ray, in metres, or None for no limit.
    """
    centre, radius = scenes.centre.T[:, scan], scenes.radius[scan]
    away = origin - centre
    middle = -dot(away, direction)
    inside = radius * radius - dot(away, away) + middle * middle
    half = np.sqrt(np.maximum(inside, 0))
    enter, leave = np.maximum(middle - half, 0), middle + half
    if end is not None:
        leave = np.minimum(leave, end)
    found = np.full(len(scan), np.inf, np.float32)
    near = np.flatnonzero((inside > 0) & (leave > enter))
    seen = scan[near]
    place = _to_object(scenes, seen, away[:, near])
    heading = _to_object(scenes, seen, direction[:, near])
    surface, own = SHAPES[scenes.site.family].distance, scenes.lengths[:, seen]
    found[near] = _march(surface, own, place, heading, enter[near], leave[near])
    return found


def _march(
    surface: Distance, own: Floats, place: Floats, heading: Floats, t: Floats, end: Floats
) -> Floats:
    """Return the distance at which each ray meets its object, at least ``t``; inf if it misses.

    Positions and directions are in the frames of the objects. ``own`` holds the numbers that define
    each ray's object, and ``end`` the largest distance to search.
    """
    found, ray = np.full(len(t), np.inf, np.float32), np.arange(len(t))
    for _ in range(STEPS // STRIDE):
        for _ in range(STRIDE):
            x, y, z = place + t * heading
            gap = surface(x, y, z, own)
            t = t + np.where(gap > NEAR_M, gap, np.float32(0))
        arrived = gap <= NEAR_M
        found[ray[arrived]] = t[arrived]
        going = np.flatnonzero(~arrived & (t < end))
        if not len(going):
            break
        ray, t, end = ray[going], t[going], end[going]
        place, heading, own = place[:, going], heading[:, going], own[:, going]
    return found


def _table_distance(
    scenes: Scenes, scan: SceneNumbers, origin: Floats, direction: Floats
) -> Floats:
    up, table = scenes.up.T[:, scan], scenes.table.T[:, scan]
    slope = dot(direction, up)
    slope = np.where(np.abs(slope) < 1e-6, np.float32(1e-6), slope)
    t = dot(table - origin, up) / slope
    off = origin + t * direction - table
    on_disc = (t > 0) & (dot(off, off) < np.square(scenes.table_radius[scan]))
    return np.where(on_disc, t, np.float32(np.inf))


def _object_normals(scenes: Scenes, scan: SceneNumbers, points: Floats) -> Floats:
    """Return unit normals: gradients of the signed distance, estimated from four nearby points."""
    x, y, z = _to_object(scenes, scan, points - scenes.centre.T[:, scan])
    surface, own, step = SHAPES[scenes.site.family].distance, scenes.lengths[:, scan], 5e-4
    slope = np.zeros_like(points)
    for i, j, k in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
        gap = surface(x + i * step, y + j * step, z + k * step, own)
        slope += np.stack([i * gap, j * gap, k * gap])
    turn = scenes.rotation[scan]
    seen = np.stack([dot(turn[:, row].T, slope) for row in range(3)])
    return np.asarray(seen / np.maximum(np.sqrt(dot(seen, seen)), 1e-12))


def _to_object(scenes: Scenes, scan: SceneNumbers, vectors: Floats) -> Floats:
    turn = scenes.rotation[scan]
    return np.stack([dot(turn[:, :, axis].T, vectors) for axis in range(3)])

"""A stage: an object on a turntable, perhaps in a bin, and the surfaces that rays meet there.

The frame of the world has y up; the turntable is the plane y = 0; lengths are metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Flags
from fedchain.elementary import dot
from fedchain.scans.scan import NONE, OBJECT, TABLE, ClassLabels, Floats
from fedchain.scans.simulator.parts import Composed, Material, Met, Solid, SolidPart

CELLS_M = 0.008, 0.025
"""Sides of the cubes of the two patterns of spots, in metres."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """An object in the world, and what stands around it."""

    solid: Solid
    """The object in its own frame."""
    turn: npt.NDArray[np.float64]
    """Rotation from the object's frame to the world's, shape (3, 3)."""
    place: npt.NDArray[np.float64]
    """Origin of the object's frame in the world, in metres, shape (3,)."""
    around: Composed
    """The turntable and the walls of a bin, in the frame of the world."""
    spots: int
    """Number that chooses the pattern of spots on the surfaces."""


@dataclass(frozen=True)
class Surfaces:
    """The surface that each ray of a batch meets first, in the frame of the world."""

    distance: Floats
    """Distance along the ray in metres, shape (rays,); infinite where the ray meets nothing."""
    kind: ClassLabels
    """Class of the surface, shape (rays,): NONE, OBJECT or TABLE (also for the walls of a bin)."""
    points: Floats
    """Points in metres, shape (3, rays); 0 where the ray meets nothing."""
    normals: Floats
    """Unit normals that face the start of the ray, shape (3, rays)."""
    albedo: Floats
    """Share of light that the surface scatters, among the light that it does not mirror."""
    gloss: Floats
    """Share of light that the surface mirrors."""


def meet(stage: Stage, origin: Floats, direction: Floats) -> Surfaces:
    """Return the first surface that each ray meets.

    Args:
        stage: the object and what stands around it.
        origin: starts of the rays in the world, in metres, shape (3, rays).
        direction: unit directions, shape (3, rays).
    """
    start, heading = _into(stage, origin), _turned(stage.turn, direction)
    own, around = stage.solid.meet(start, heading), stage.around.meet(origin, direction)
    on_object = own.distance <= around.distance
    distance = np.where(on_object, own.distance, around.distance)
    met = np.isfinite(distance)
    kind = np.where(on_object, OBJECT, TABLE).astype(np.uint8)
    kind[~met] = NONE
    reach = np.where(met, distance, np.float32(0))
    points = origin * met + reach * direction
    own_normals = _turned(stage.turn.T, own.normals)
    normals = np.where(on_object, own_normals, around.normals)
    albedo, gloss, texture = _materials(stage, on_object, own, around)
    inside = _into(stage, points) - np.float32(3e-4) * _turned(stage.turn, normals)
    albedo *= 1 - texture * (1 - _spots(stage.spots, inside))
    return Surfaces(distance, kind, points, normals, albedo * met, gloss * met)


def blocked(stage: Stage, origin: Floats, direction: Floats, end: Floats) -> Flags:
    """Return whether something stands on each ray before its end.

    ``end`` is in metres, shape (rays,); the other arguments are those of ``meet``.
    """
    start, heading = _into(stage, origin), _turned(stage.turn, direction)
    near = stage.solid.meet(start, heading).distance < end
    free = np.flatnonzero(~near)
    near[free] = stage.around.meet(origin[:, free], direction[:, free]).distance < end[free]
    return near


def _materials(stage: Stage, on_object: Flags, own: Met, around: Met) -> list[Floats]:
    """Return albedo, gloss and texture of the surface that each ray meets, (rays,) each."""
    solid, rest = (
        np.array([(each.albedo, each.gloss, each.texture) for each in materials], np.float32).T
        for materials in (stage.solid.materials, stage.around.materials)
    )
    return list(np.where(on_object, solid[:, own.part], rest[:, around.part]))


def _spots(seed: int, points: Floats) -> Floats:
    """Return a number from 0 to 1 for each point; it is the same everywhere in a small cube.

    It is the squared product of the numbers of two patterns, so that dark spots are frequent.
    """
    total = np.ones(points.shape[1], np.float32)
    for number, side in enumerate(CELLS_M):
        cells = np.floor(points / np.float32(side)).astype(np.int32).astype(np.uint32)
        mixed = np.full(points.shape[1], (seed * 0x9E3779B1 + number) & 0xFFFFFFFF, np.uint32)
        for axis in range(3):
            mixed = (mixed ^ cells[axis]) * np.uint32(0x85EBCA6B)
            mixed ^= mixed >> np.uint32(13)
            mixed *= np.uint32(0xC2B2AE35)
            mixed ^= mixed >> np.uint32(16)
        total *= (mixed >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)
    return total * total


def _into(stage: Stage, points: Floats) -> Floats:
    """Return points of the world in the object's frame."""
    shift = stage.place.astype(np.float32)[:, None]
    return _turned(stage.turn, points - shift)


def _turned(turn: npt.NDArray[np.float64], vectors: Floats) -> Floats:
    """Return the components of vectors along the columns of a rotation, shape (3, rays)."""
    columns = turn.astype(np.float32)
    return np.stack([dot(columns[:, axis], vectors) for axis in range(3)])


def surroundings(
    table: Material, radius: float, walls: tuple[float, float, float] | None, wall: Material
) -> Composed:
    """Return a turntable and, if ``walls`` is given, the walls of a bin that stands on it.

    Args:
        table: material of the turntable.
        radius: radius of the turntable in metres.
        walls: half of the bin's length and depth inside, and its height, in metres; or None.
        wall: material of the walls.
    """
    disc = SolidPart(centre=(0, -0.01, 0), half=(radius, 0.01, radius), material=table, axis=1)
    if walls is None:
        return Composed((disc,))
    long, deep, tall = walls
    thin = 0.002
    sides = [
        SolidPart(
            centre=(side * (long + thin), tall / 2, 0), half=(thin, tall / 2, deep), material=wall
        )
        for side in (-1, 1)
    ] + [
        SolidPart(
            centre=(0, tall / 2, side * (deep + thin)), half=(long, tall / 2, thin), material=wall
        )
        for side in (-1, 1)
    ]
    return Composed((disc, *sides))

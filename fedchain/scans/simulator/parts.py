"""Objects composed of boxes and cylinders, such as fins and pipes, and the rays that meet them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fedchain.elementary import dot
from fedchain.scans.scan import Floats

Triple = tuple[float, float, float]
"""Three lengths in metres, or three coordinates."""

RAYS_AT_ONCE = 8192
"""Number of rays that are intersected at once; their arrays fit into the processor's cache."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """How a surface reflects light."""

    albedo: float
    """Largest share of light that the surface scatters, among the light that it does not mirror;
    0 to 1."""
    gloss: float = 0.0
    """Share of light that the surface mirrors, 0 to 1."""
    texture: float = 0.0
    """How much darker than ``albedo`` the darkest spots of the surface are, 0 (plain) to 1
    (black)."""


@dataclass(frozen=True, kw_only=True)
class SolidPart:
    """A box, or a cylinder along an axis of the object's frame."""

    centre: Triple
    """Middle of the part in the object's frame, in metres."""
    half: Triple
    """Half the sides of the part's box, in metres. A cylinder has its radius along both axes other
    than its own."""
    material: Material
    """Material of the whole surface."""
    axis: int | None = None
    """The axis of a cylinder: 0, 1 or 2; None for a box."""


@dataclass(frozen=True)
class Met:
    """The first surface that each ray of a batch meets, in the object's frame."""

    distance: Floats
    """Distance along the ray in metres, shape (rays,); infinite where the ray meets nothing."""
    normals: Floats
    """Unit normals that face the start of the ray, shape (3, rays); 0 where it meets nothing."""
    part: npt.NDArray[np.intp]
    """Index of the part that is met, shape (rays,); 0 where the ray meets nothing."""


class Solid(Protocol):
    """An object that rays can meet: composed parts, or a mesh."""

    @property
    def materials(self) -> Sequence[Material]:
        """The material of each part."""

    @property
    def bounds(self) -> tuple[Triple, Triple]:
        """The least and the largest coordinates of the object in its own frame, in metres."""

    def meet(self, origin: Floats, direction: Floats) -> Met:
        """Return the first surface that each ray meets.

        Args:
            origin: starts of the rays in the object's frame, in metres, shape (3, rays).
            direction: unit directions of the rays, shape (3, rays).
        """


@dataclass(frozen=True)
class Composed:
    """An object composed of parts, whose rays give the same bits on every processor."""

    parts: tuple[SolidPart, ...]
    """The parts; they may overlap."""

    @property
    def materials(self) -> Sequence[Material]:
        """The material of each part."""
        return [part.material for part in self.parts]

    @property
    def bounds(self) -> tuple[Triple, Triple]:
        """The least and the largest coordinates of the object in its own frame, in metres."""
        lows = [[c - h for c, h in zip(p.centre, p.half, strict=True)] for p in self.parts]
        highs = [[c + h for c, h in zip(p.centre, p.half, strict=True)] for p in self.parts]
        low, high = np.min(lows, axis=0).tolist(), np.max(highs, axis=0).tolist()
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])

    def meet(self, origin: Floats, direction: Floats) -> Met:
        """Return the first surface that each ray meets; see ``Solid``.

        >>> wall = SolidPart(centre=(0, 0, 2), half=(1, 1, 0.5), material=Material(albedo=0.5))
        >>> ray = np.array([[0.0], [0.0], [1.0]], np.float32)
        >>> Composed((wall,)).meet(0 * ray, ray).distance
        array([1.5], dtype=float32)
        """
        count = origin.shape[1]
        distance, part = np.full(count, np.inf, np.float32), np.zeros(count, np.intp)
        away = np.where(np.abs(direction) < 1e-9, np.float32(1e-9), direction)
        for start in range(0, count, RAYS_AT_ONCE):
            own = slice(start, start + RAYS_AT_ONCE)
            self._nearest(origin[:, own], away[:, own], distance[own], part[own])
        hit = np.flatnonzero(np.isfinite(distance))
        normals = np.zeros_like(origin)
        points = origin[:, hit] + distance[hit] * direction[:, hit]
        normals[:, hit] = self._normals(part[hit], points, direction[:, hit])
        return Met(distance, normals, part)

    def _nearest(
        self, origin: Floats, away: Floats, distance: Floats, part: npt.NDArray[np.intp]
    ) -> None:
        """Write the distance of the nearest part, and its index, for each ray of a block."""
        inverse = 1 / away
        offset = origin * inverse
        low, high = (np.array(side, np.float32) for side in self.bounds)
        enter, leave = _crossing(_slabs(low, high, inverse, offset))
        near = np.flatnonzero((enter <= leave) & (leave > 0))
        inverse, offset = inverse[:, near], offset[:, near]
        best, index = np.full(len(near), np.inf, np.float32), np.zeros(len(near), np.intp)
        for number, each in enumerate(self.parts):
            middle, half = np.array(each.centre, np.float32), np.array(each.half, np.float32)
            spans = _slabs(middle - half, middle + half, inverse, offset)
            if each.axis is not None:
                round_span = _round_span(each, origin[:, near], away[:, near])
                spans = [spans[each.axis], round_span]
            enter, leave = _crossing(spans)
            nearer = (enter <= leave) & (enter > 0) & (enter < best)
            best[nearer], index[nearer] = enter[nearer], number
        distance[near], part[near] = best, index

    def _normals(self, part: npt.NDArray[np.intp], points: Floats, direction: Floats) -> Floats:
        """Return the unit normals at points of the surface."""
        centre = np.array([each.centre for each in self.parts], np.float32).T[:, part]
        half = np.array([each.half for each in self.parts], np.float32).T[:, part]
        axis = np.array([-1 if p.axis is None else p.axis for p in self.parts])[part]
        away = points - centre
        depth = np.abs(away) - half
        for along in range(3):
            # On a cylinder, the sides of its box count only along its axis.
            depth[along][(axis >= 0) & (axis != along)] = -np.inf
            off = np.where(axis == along, np.float32(0), away[along])
            away[along] = np.where(axis >= 0, off, away[along])
        face = np.argmax(depth, axis=0)
        rays = np.arange(len(part))
        normals = np.zeros_like(points)
        normals[face, rays] = -np.sign(direction[face, rays])
        radius = np.where(axis == 0, half[1], half[0])
        across = np.sqrt(dot(away, away))
        side = (axis >= 0) & (across - radius > depth[face, rays])
        normals[:, side] = away[:, side] / np.maximum(across[side], np.float32(1e-9))
        return normals


def _slabs(
    low: Floats, high: Floats, inverse: Floats, offset: Floats
) -> list[tuple[Floats, Floats]]:
    """Return where each ray enters and leaves the space between two planes of each axis."""
    spans = []
    for a in range(3):
        one, two = low[a] * inverse[a] - offset[a], high[a] * inverse[a] - offset[a]
        spans.append((np.minimum(one, two), np.maximum(one, two)))
    return spans


def _round_span(part: SolidPart, origin: Floats, away: Floats) -> tuple[Floats, Floats]:
    """Return where each ray enters and leaves an endless cylinder."""
    one, two = (axis for axis in range(3) if axis != part.axis)
    x, y = (origin[axis] - np.float32(part.centre[axis]) for axis in (one, two))
    dx, dy = away[one], away[two]
    square, half = dx * dx + dy * dy, x * dx + y * dy
    rest = x * x + y * y - np.float32(part.half[one]) ** 2
    inside = half * half - square * rest
    reach = np.sqrt(np.maximum(inside, 0))
    enter, leave = (-half - reach) / square, (-half + reach) / square
    return np.where(inside > 0, enter, np.float32(np.inf)), leave


def _crossing(spans: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Return where each ray has entered all spans, and where it leaves the first of them."""
    enter, leave = spans[0]
    for first, last in spans[1:]:
        enter, leave = np.maximum(enter, first), np.minimum(leave, last)
    return enter, leave

"""Generated shapes: points on the surfaces of random solids, and the way from a point to a surface.

Points are where random lines cross a surface. If the lines are drawn evenly from all lines, the
points are spread evenly over the surface, whatever its shape (Cauchy and Crofton). The numbers have
the same bits on every processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Array, Matrix, Vector
from fedchain.elementary import dot
from fedchain.randomness import NameStep, stream
from fedchain.surfaces.solids import SOLID_REACH, SOLIDS, Level

GRID, STEEPEST = 16, 1.2
"""Number of places along a side of the grid on which a solid is looked for, and the largest slope
of a level."""
SPACING, PARTS = 0.08, 4
"""Distance of the places on a line at which the level is computed, and the number of parts into
which an interval near a surface is divided, to find where the sign changes; walls are at least
twice as thick as such a part."""
BISECTIONS = 20
"""Number of times that the interval of a crossing is halved: 0.08 / 4 / 2^20 is 2e-8."""
LINES_AT_ONCE = 2048
"""Largest number of lines that are followed at once."""
SLOPE_STEP = 1e-4
"""Distance over which the slope of a level is measured."""
APPROACHES = 5
"""Number of steps from a point towards the surface."""


@dataclass(frozen=True, eq=False)
class GeneratedShape:
    """A random solid, with points of its surface; its size is about 1."""

    level: Level
    """Negative inside the solid, shape (3, n) to (n,)."""
    points: Matrix
    """Few points of the surface, to be made denser, shape (n, 3)."""
    truth: Matrix
    """Many other points of the surface, shape (m, 3)."""


def generate_shape(
    seed: int, names: Sequence[NameStep], family: str, points: int, truth: int
) -> GeneratedShape:
    """Draw a solid of a family, and points of its surface.

    Args:
        seed: the seed.
        names: name of the random stream; another name gives another solid.
        family: a key of ``SOLIDS``.
        points: number of points to be made denser.
        truth: number of further points.

    >>> shape = generate_shape(0, ["example"], "rings", 20, 50)
    >>> shape.points.shape, shape.truth.shape
    ((20, 3), (50, 3))
    >>> bool(np.abs(shape.level(shape.truth.T)).max() < 1e-6)
    True
    """
    random = stream(seed, "generated shape", family, *names)
    level = SOLIDS[family](random)
    found = surface_points(level, points + truth, random)
    return GeneratedShape(level, found[:points], found[points:])


def surface_points(level: Level, count: int, random: np.random.Generator) -> Matrix:
    """Draw points that are spread evenly over the surface of a solid, shape (count, 3)."""
    centre, radius = sphere_around(level)
    found: list[Matrix] = []
    while (have := sum(map(len, found))) < count:
        lines = min(LINES_AT_ONCE, max(128, 3 * (count - have)))
        direction, middle = _draw_lines(lines, radius, random)
        found.append(_crossings(level, direction, middle + centre[:, None], radius))
    return np.concatenate(found)[:count]


def sphere_around(level: Level) -> tuple[Vector, float]:
    """Return centre and radius of a sphere that holds a solid."""
    side = 2 * SOLID_REACH * np.arange(GRID) / (GRID - 1) - SOLID_REACH
    step = 2 * SOLID_REACH / (GRID - 1)
    places = np.stack(np.meshgrid(side, side, side, indexing="ij")).reshape(3, -1)
    # The nearest place to a point of the surface is at most half a diagonal away.
    half = 0.9 * step
    near = places[:, np.abs(level(places)) <= STEEPEST * half]
    centre = (near.min(axis=1) + near.max(axis=1)) / 2
    away = near - centre[:, None]
    return centre, float(np.sqrt(dot(away, away).max())) + half


def offsets_to_surface(level: Level, points: Matrix) -> Matrix:
    """Return the way from each point to the surface of a solid, shape (n, 3).

    The way follows the slope of the level by Newton's steps. It is the shortest one where the level
    is a distance, and nearly the shortest one for points near the surface.

    >>> from fedchain.surfaces.solids import ball
    >>> offsets_to_surface(ball([1, 1, 1]), np.array([[0.0, 0.0, 1.5]])).round(6).tolist()
    [[0.0, 0.0, -0.5]]
    """
    here = points.T.copy()
    for _ in range(APPROACHES):
        value, slope = level(here), slopes(level, here)
        here = here - slope * (value / np.maximum(dot(slope, slope), 1e-6))
    return np.asarray(here.T - points)


def slopes(level: Level, points: Matrix) -> Matrix:
    """Return the slope of a level at points of shape (3, n), by central differences."""
    found = np.empty_like(points)
    for axis in range(3):
        shift = np.zeros((3, 1))
        shift[axis] = SLOPE_STEP
        found[axis] = (level(points + shift) - level(points - shift)) / (2 * SLOPE_STEP)
    return found


def unit_sphere(points: Array) -> tuple[Vector, float]:
    """Return the centre of a cloud's points, and the distance of the farthest one from it.

    Points minus the centre, divided by the distance, fill the unit sphere. The distance is 1 if all
    points are equal.

    >>> unit_sphere(np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]))
    (array([1., 0., 0.]), 1.0)
    """
    points = np.asarray(points, np.float64)
    centre = np.add.accumulate(points, axis=0)[-1] / len(points)
    away = (points - centre).T
    radius = float(np.sqrt(dot(away, away).max()))
    return centre, radius or 1.0


def _draw_lines(count: int, radius: float, random: np.random.Generator) -> tuple[Matrix, Matrix]:
    """Draw lines evenly from all lines that meet the sphere of a radius around the origin.

    Returns:
        Unit directions and the points of the lines that are nearest to the origin, shape (3, count)
        each.
    """
    inside = _draw_within(count, 3, random)
    direction = inside / np.sqrt(dot(inside, inside))
    # A point of the disc across the direction: two numbers of the unit disc, along two unit
    # vectors that are perpendicular to the direction.
    u, v = _draw_within(count, 2, random)
    helper = np.where(np.abs(direction[0]) < 0.5, [[1.0], [0.0], [0.0]], [[0.0], [1.0], [0.0]])
    first = _cross(direction, helper)
    first = first / np.sqrt(dot(first, first))
    return direction, radius * (u * first + v * _cross(direction, first))


def _draw_within(count: int, axes: int, random: np.random.Generator) -> Matrix:
    """Draw points evenly from the unit ball, but not from its very middle, (axes, count)."""
    kept: list[Matrix] = []
    while sum(each.shape[1] for each in kept) < count:
        drawn = 2 * random.random((axes, 2 * count)) - 1
        squared = np.add.accumulate(drawn * drawn, axis=0)[-1]
        kept.append(drawn[:, (squared < 1) & (squared > 1e-6)])
    return np.concatenate(kept, axis=1)[:, :count]


def _crossings(level: Level, direction: Matrix, middle: Matrix, radius: float) -> Matrix:
    """Return where lines cross a surface, shape (crossings, 3), line by line.

    A line is followed from ``radius`` before its middle to ``radius`` behind it.
    """
    steps = math.ceil(2 * radius / SPACING)
    step = 2 * radius / steps
    lines, coarse = middle.shape[1], step * np.arange(steps + 1) - radius
    values = _levels_at(level, middle, direction, np.repeat(coarse[None], lines, axis=0))
    # Between two places whose levels are larger in size, the level cannot reach 0.
    size = np.abs(values)
    line, place = np.nonzero(size[:, 1:] + size[:, :-1] <= STEEPEST * step)
    fine = coarse[place][:, None] + step / PARTS * np.arange(PARTS + 1)
    inside = _levels_at(level, middle[:, line], direction[:, line], fine) < 0
    near, part = np.nonzero(inside[:, 1:] != inside[:, :-1])
    line, low, high = line[near], fine[near, part], fine[near, part + 1]
    entering = inside[near, part + 1]
    own, along = middle[:, line], direction[:, line]
    for _ in range(BISECTIONS):
        way = (low + high) / 2
        beyond = (level(own + way * along) < 0) == entering
        low, high = np.where(beyond, low, way), np.where(beyond, way, high)
    return np.asarray((own + (low + high) / 2 * along).T)


def _levels_at(level: Level, middle: Matrix, direction: Matrix, ways: Matrix) -> Matrix:
    """Return the levels at some places of each line, shape (lines, places)."""
    points = middle[:, :, None] + ways * direction[:, :, None]
    return level(points.reshape(3, -1)).reshape(ways.shape)


def _cross(a: Matrix, b: Matrix) -> Matrix:
    """Return the cross products of vectors, shape (3, n)."""
    x, y, z = a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    return np.stack([x, y, z])

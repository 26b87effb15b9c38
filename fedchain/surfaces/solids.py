"""Solids: random shapes, each a function that is negative inside, and their families.

A solid has a size of about 1 and lies around the origin. All numbers have the same bits on every
processor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fedchain.arrays import Matrix, Vector
from fedchain.elementary import cosine_and_sine, draw_between, draw_each_between
from fedchain.scans.simulator.shapes import SHAPES

Level = Callable[[Matrix], Vector]
"""Function of points, shape (3, n), that is negative inside a solid, 0 on its surface and positive
outside. Near the surface its slope is about 1, but it need not be a distance."""
SOLID_REACH = 2.0
"""Radius of a sphere around the origin that holds every solid."""
UNIT_M = 0.06
"""Length in metres of the shapes of the scanner simulator that becomes the length 1."""


def ball(radii: Sequence[float], power: int = 2) -> Level:
    """Return a superquadric: |x / a|^p + |y / b|^p + |z / c|^p = 1.

    Args:
        radii: half the sides a, b and c of the solid's box.
        power: the exponent p: 2 is an ellipsoid, 4 and 8 are nearly a box with round edges.
    """
    size = min(radii)

    def level(points: Matrix) -> Vector:
        powers = [_even_power(points[axis] / radii[axis], power) for axis in range(3)]
        total = powers[0] + powers[1] + powers[2]
        return np.asarray(size * (_root_of(total, power) - 1))

    return level


def box(half: Sequence[float], edge: float = 0.0) -> Level:
    """Return a box with half the sides ``half`` and edges of the radius ``edge``."""

    def level(points: Matrix) -> Vector:
        x, y, z = (np.abs(points[axis]) - (half[axis] - edge) for axis in range(3))
        outside = _length(np.maximum(x, 0), np.maximum(y, 0), np.maximum(z, 0))
        return np.asarray(outside + np.minimum(np.maximum(x, np.maximum(y, z)), 0) - edge)

    return level


def limb(start: Sequence[float], end: Sequence[float], first: float, last: float) -> Level:
    """Return a limb between two points, whose radius changes from ``first`` to ``last``."""
    along = [b - a for a, b in zip(start, end, strict=True)]
    squared = along[0] * along[0] + along[1] * along[1] + along[2] * along[2]

    def level(points: Matrix) -> Vector:
        x, y, z = (points[axis] - start[axis] for axis in range(3))
        way = np.clip((x * along[0] + y * along[1] + z * along[2]) / squared, 0, 1)
        away = _length(x - way * along[0], y - way * along[1], z - way * along[2])
        return np.asarray(away - (first + (last - first) * way))

    return level


def manufactured(name: str, lengths: Sequence[float]) -> Level:
    """Return a shape of the scanner simulator, by its name and the numbers that define it."""
    numbers = np.array(lengths)[:, None]
    distance = SHAPES[name].distance

    def level(points: Matrix) -> Vector:
        x, y, z = points * UNIT_M
        return np.asarray(distance(x, y, z, numbers) / UNIT_M, np.float64)

    return level


def union(parts: Sequence[Level]) -> Level:
    """Return the union of solids, with sharp creases where they meet."""

    def level(points: Matrix) -> Vector:
        found = parts[0](points)
        for part in parts[1:]:
            found = np.minimum(found, part(points))
        return found

    return level


def blend(parts: Sequence[Level], width: float) -> Level:
    """Return the union of solids that flow into one another within a width.

    Reference:
        The polynomial smooth minimum, as in the pebbles of the scanner simulator.
    """

    def level(points: Matrix) -> Vector:
        found = parts[0](points)
        for part in parts[1:]:
            other = part(points)
            near = np.maximum(width - np.abs(found - other), 0)
            found = np.minimum(found, other) - near * near / (4 * width)
        return np.asarray(found)

    return level


def placed_solid(solid: Level, centre: Sequence[float], rotation: Matrix) -> Level:
    """Return a solid that is rotated, and then moved so that its origin is at ``centre``."""

    def level(points: Matrix) -> Vector:
        x, y, z = (points[axis] - centre[axis] for axis in range(3))
        own = [rotation[0, k] * x + rotation[1, k] * y + rotation[2, k] * z for k in range(3)]
        return solid(np.stack(own))

    return level


def draw_rotation(random: np.random.Generator) -> Matrix:
    """Draw a rotation evenly from all rotations, by a unit quaternion."""
    while True:
        a, b, c, d = (2 * random.random(4) - 1).tolist()
        squared = a * a + b * b + c * c + d * d
        if 0.01 < squared <= 1:
            break
    s = 2 / squared
    return np.array(
        [
            [1 - s * (c * c + d * d), s * (b * c - a * d), s * (b * d + a * c)],
            [s * (b * c + a * d), 1 - s * (b * b + d * d), s * (c * d - a * b)],
            [s * (b * d - a * c), s * (c * d + a * b), 1 - s * (b * b + c * c)],
        ]
    )


def _even_power(values: Vector, power: int) -> Vector:
    while power > 1:
        values, power = values * values, power // 2
    return values


def _root_of(values: Vector, power: int) -> Vector:
    while power > 1:
        values, power = np.sqrt(values), power // 2
    return values


def _length(x: Vector, y: Vector, z: Vector) -> Vector:
    return np.asarray(np.sqrt(x * x + y * y + z * z))


def _draw_machined(random: np.random.Generator) -> Level:
    """Draw one or two manufactured parts that are stuck together."""
    names = ["block", "shaft", "bracket", "gear"]
    parts = []
    for number in range(1 + int(random.random() < 0.4)):
        name = names[int(random.integers(len(names)))]
        solid = manufactured(name, SHAPES[name].draw(random))
        centre = [number * draw_between(random, -0.3, 0.3) for _ in range(3)]
        parts.append(placed_solid(solid, centre, draw_rotation(random)))
    return union(parts)


def _draw_rings(random: np.random.Generator) -> Level:
    """Draw one to three tori that touch or cut each other."""
    parts = []
    for _ in range(1 + int(random.integers(3))):
        solid = manufactured("ring", SHAPES["ring"].draw(random))
        centre = draw_each_between(random, [-0.35] * 3, [0.35] * 3)
        parts.append(placed_solid(solid, centre, draw_rotation(random)))
    return union(parts)


def _draw_pebbles(random: np.random.Generator) -> Level:
    """Draw a smooth lump of ellipsoids."""
    parts = []
    for _ in range(2 + int(random.integers(4))):
        radii = draw_each_between(random, [0.2] * 3, [0.6] * 3)
        centre = draw_each_between(random, [-0.45] * 3, [0.45] * 3)
        parts.append(placed_solid(ball(radii), centre, draw_rotation(random)))
    return blend(parts, draw_between(random, 0.1, 0.5))


def _draw_creatures(random: np.random.Generator) -> Level:
    """Draw a trunk with limbs, some with a second part, that flow into one another."""
    half = draw_between(random, 0.3, 0.6)
    thick = draw_between(random, 0.5, 0.8) * half
    parts = [ball([half, thick, draw_between(random, 0.7, 1.1) * thick])]
    for _ in range(3 + int(random.integers(5))):
        root = [draw_between(random, -0.8, 0.8) * half, 0.0, 0.0]
        root[1] = draw_between(random, -0.6, 0.6) * thick
        first = draw_between(random, 0.04, 0.16)
        joint = _step(random, root, draw_between(random, 0.3, 0.6))
        middle = first * draw_between(random, 0.5, 1.0)
        parts.append(limb(root, joint, first, middle))
        if random.random() < 0.6:
            end = _step(random, joint, draw_between(random, 0.15, 0.35))
            parts.append(limb(joint, end, middle, middle * draw_between(random, 0.5, 1.6)))
    return placed_solid(
        blend(parts, draw_between(random, 0.03, 0.15)), [0.0] * 3, draw_rotation(random)
    )


def _step(random: np.random.Generator, start: Sequence[float], length: float) -> list[float]:
    """Return a point at a distance from another one, in a random direction."""
    turn = draw_rotation(random)
    return [start[axis] + length * float(turn[axis, 0]) for axis in range(3)]


def _draw_furniture(random: np.random.Generator) -> Level:
    """Draw a plate on legs, often with a back of bars or of one plate."""
    a, b = draw_each_between(random, [0.35, 0.3], [0.6, 0.5])
    plate, thin = draw_each_between(random, [0.02, 0.02], [0.07, 0.06])
    tall = draw_between(random, 0.3, 0.7)
    parts = [box([a, b, plate], plate * draw_between(random, 0, 0.9))]
    upright = np.eye(3)
    for side in (-1, 1):
        for end in (-1, 1):
            foot = [side * (a - thin), end * (b - thin), -tall]
            parts.append(limb([foot[0], foot[1], 0.0], foot, thin, thin))
    if random.random() < 0.7:
        high = draw_between(random, 0.2, 0.4)
        bars = int(random.integers(5))
        wide = b if bars == 0 else thin
        for k in range(max(bars, 1)):
            y = 0.0 if bars < 2 else (2 * k / (bars - 1) - 1) * (b - thin)
            parts.append(placed_solid(box([thin, wide, high]), [thin - a, y, high], upright))
        rail = box([thin, b, thin], 0.5 * thin)
        parts.append(placed_solid(rail, [thin - a, 0.0, 2 * high], upright))
    turned = draw_rotation(random)
    return placed_solid(union(parts), [0.0] * 3, turned)


def _draw_quadrics(random: np.random.Generator) -> Level:
    """Draw one to three superquadrics, from ellipsoids to nearly boxes, sharply joined."""
    parts = []
    for number in range(1 + int(random.integers(3))):
        radii = draw_each_between(random, [0.2] * 3, [0.7] * 3)
        solid = ball(radii, (2, 4, 8)[int(random.integers(3))])
        centre = [min(number, 1) * draw_between(random, -0.4, 0.4) for _ in range(3)]
        parts.append(placed_solid(solid, centre, draw_rotation(random)))
    return union(parts)


def _draw_castings(random: np.random.Generator) -> Level:
    """Draw a block that is cut by planes and by cylinders, with sharp edges."""
    half = draw_each_between(random, [0.3] * 3, [0.7] * 3)
    block = box(half)
    cuts = [_cutter(random, half) for _ in range(1 + int(random.integers(4)))]

    def level(points: Matrix) -> Vector:
        found = block(points)
        for cut in cuts:
            found = np.maximum(found, -cut(points))
        return found

    return placed_solid(level, [0.0] * 3, draw_rotation(random))


def _cutter(random: np.random.Generator, half: Sequence[float]) -> Level:
    """Draw a solid to be cut away from a block: a ball, a rod, or a box at an edge."""
    centre = [float(random.choice([-1.0, 0.0, 1.0])) * side for side in half]
    kind, size = int(random.integers(3)), draw_between(random, 0.15, 0.4)
    if kind == 0 and any(centre):
        return placed_solid(ball([size] * 3), centre, np.eye(3))
    axis = int(random.integers(3))
    if kind == 1:
        start, end = list(centre), list(centre)
        start[axis], end[axis] = -2.0, 2.0
        return limb(start, end, 0.7 * size, 0.7 * size)
    cosine, sine = cosine_and_sine(draw_between(random, 0, 1.5))
    turned = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    corner = [side if place == 0 else place for side, place in zip(half, centre, strict=True)]
    return placed_solid(box([size, size, 0.5 * size]), corner, turned)


SOLIDS: Mapping[str, Callable[[np.random.Generator], Level]] = {
    "machined": _draw_machined,
    "creatures": _draw_creatures,
    "furniture": _draw_furniture,
    "pebbles": _draw_pebbles,
    "castings": _draw_castings,
    "quadrics": _draw_quadrics,
    "rings": _draw_rings,
}
"""The families by name: functions that draw a solid."""

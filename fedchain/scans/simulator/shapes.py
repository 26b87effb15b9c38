"""Families of objects: functions that return signed distances to their surfaces, in metres.

In the frame of an object, z points up and the origin is the centre of the object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fedchain.elementary import cosine_and_sine, draw_between, draw_each_between
from fedchain.scans.scan import Floats

Distance = Callable[[Floats, Floats, Floats, Floats], Floats]
"""Function that returns the signed distance of points to an object's surface. Its arguments are x,
y and z, shape (points,), and the numbers that define the object's shape, one row each."""


@dataclass(frozen=True)
class Shape:
    """A family of objects that differ in a few lengths or other numbers."""

    distance: Distance
    """Signed distance, or a lower bound of it, so that no step along a ray jumps over a surface."""
    draw: Callable[[np.random.Generator], list[float]]
    """Function that draws the numbers of a random object; lengths are in metres."""
    extent: Callable[[list[float]], tuple[float, float, float]]
    """Function that returns half the sides of the box around an object, in metres."""


def _radial(x: Floats, y: Floats) -> Floats:
    return np.asarray(np.sqrt(x * x + y * y))


def _length(x: Floats, y: Floats, z: Floats) -> Floats:
    return np.asarray(np.sqrt(x * x + y * y + z * z))


def _box(x: Floats, y: Floats, z: Floats, a: Floats, b: Floats, c: Floats) -> Floats:
    dx, dy, dz = np.abs(x) - a, np.abs(y) - b, np.abs(z) - c
    outside = _length(np.maximum(dx, 0), np.maximum(dy, 0), np.maximum(dz, 0))
    return np.asarray(outside + np.minimum(np.maximum(dx, np.maximum(dy, dz)), 0))


def _tube(across: Floats, along: Floats, radius: Floats, half: Floats) -> Floats:
    dr, dl = across - radius, np.abs(along) - half
    outside = _radial(np.maximum(dr, 0), np.maximum(dl, 0))
    return np.asarray(outside + np.minimum(np.maximum(dr, dl), 0))


def _block(x: Floats, y: Floats, z: Floats, p: Floats) -> Floats:
    """Return the distance to a box with rounded edges and a hole through its middle."""
    a, b, c, edge, hole = p
    body = _box(x, y, z, a - edge, b - edge, c - edge) - edge
    return np.asarray(np.maximum(body, hole - _radial(x, y)))


def _shaft(x: Floats, y: Floats, z: Floats, p: Floats) -> Floats:
    """Return the distance to a cylinder with a flange."""
    radius, half, flange, thickness, place = p
    across = _radial(x, y)
    wheel = _tube(across, z - place, flange, thickness)
    return np.minimum(_tube(across, z, radius, half), wheel)


def _pebble(x: Floats, y: Floats, z: Floats, p: Floats) -> Floats:
    """Return the distance to three spheres that blend smoothly into one another."""
    large, small, sx, sy, tx, ty, melt = p
    one = _length(x, y, z) - large
    low = z + large - small
    two = _length(x - sx, y - sy, low) - small
    three = _length(x - tx, y - ty, low) - small
    return _melt(_melt(one, two, melt), three, melt)


def _melt(one: Floats, two: Floats, width: Floats) -> Floats:
    h = np.maximum(width - np.abs(one - two), 0)
    return np.asarray(np.minimum(one, two) - h * h / (4 * width))


def _bracket(x: Floats, y: Floats, z: Floats, p: Floats) -> Floats:
    """Return the distance to a plate with a high and a low wall, which can mirror each other."""
    a, b, c, wall, second = p
    plate = _box(x, y, z + c - wall, a, b, wall)
    left = _box(x + a - wall, y, z, wall, b, c)
    right = _box(x - a + wall, y, z + c * (1 - second), wall, b, c * second)
    return np.asarray(np.minimum(plate, np.minimum(left, right)))


def _gear(x: Floats, y: Floats, z: Floats, p: Floats) -> Floats:
    """Return the distance to a toothed wheel with a hub."""
    radius, tooth, half, teeth, hub, height = p
    across = _radial(x, y)
    wave = np.clip(1.5 * _cosine_of_multiple(x / np.maximum(across, 1e-12), teeth), -1, 1)
    # A lower bound of the distance must have no slope above 1: divide by the slope of the flanks.
    slope = 1.5 * tooth * teeth / (radius - tooth)
    rim = (across - radius - tooth * wave) / np.sqrt(1 + slope * slope)
    wheel = np.maximum(rim, np.abs(z + height - half) - half)
    return np.asarray(np.minimum(wheel, _tube(across, z, hub, height)))


def _cosine_of_multiple(cosine: Floats, times: Floats) -> Floats:
    """Return the cosine of each angle times a whole number below 16, from the angle's cosine."""
    # Chebyshev polynomials of degree k and k + 1, where k begins with 0 and takes one bit a step.
    here, after, bits = np.ones_like(cosine), cosine, times.astype(np.int32)
    for bit in (8, 4, 2, 1):
        odd = (bits & bit) > 0
        both = 2 * here * after - cosine
        one = np.where(odd, after, here)
        square = 2 * one * one - 1
        here, after = np.where(odd, both, square), np.where(odd, square, both)
    return here


def _ring(x: Floats, y: Floats, z: Floats, p: Floats) -> Floats:
    """Return the distance to a torus."""
    radius, thickness = p
    return np.asarray(_radial(_radial(x, y) - radius, z) - thickness)


def _draw_block(r: np.random.Generator) -> list[float]:
    low, high = [0.035, 0.025, 0.012, 0.001, -0.005], [0.06, 0.05, 0.035, 0.008, 0.018]
    return draw_each_between(r, low, high)


def _draw_shaft(r: np.random.Generator) -> list[float]:
    half = draw_between(r, 0.025, 0.055)
    low, high = [0.014, 0.03, 0.003, -0.7 * half], [0.024, 0.045, 0.009, 0.7 * half]
    radius, flange, thickness, place = draw_each_between(r, low, high)
    return [radius, half, flange, thickness, place]


def _draw_pebble(r: np.random.Generator) -> list[float]:
    low = [0.028, 0.015, 0, 0, 0.03, 0.03, 0.008]
    high = [0.042, 0.027, 2 * np.pi, 2 * np.pi, 0.045, 0.045, 0.02]
    large, small, turn, second, reach, other, melt = draw_each_between(r, low, high)
    first = [reach * part for part in cosine_and_sine(turn)]
    return [large, small, *first, *(other * part for part in cosine_and_sine(second)), melt]


def _draw_bracket(r: np.random.Generator) -> list[float]:
    low, high = [0.03, 0.025, 0.025, 0.003, 0.1], [0.055, 0.05, 0.045, 0.007, 0.9]
    return draw_each_between(r, low, high)


def _draw_gear(r: np.random.Generator) -> list[float]:
    low, high = [0.035, 0.004, 0.006, 0.01, 0.016], [0.052, 0.008, 0.014, 0.018, 0.032]
    radius, tooth, half, hub, height = draw_each_between(r, low, high)
    return [radius, tooth, half, float(r.integers(7, 15)), hub, height]


def _draw_ring(r: np.random.Generator) -> list[float]:
    return draw_each_between(r, [0.03, 0.01], [0.045, 0.018])


SHAPES: Mapping[str, Shape] = {
    "block": Shape(_block, _draw_block, lambda p: (p[0], p[1], p[2])),
    "shaft": Shape(_shaft, _draw_shaft, lambda p: (p[2], p[2], max(p[1], abs(p[4]) + p[3]))),
    "pebble": Shape(_pebble, _draw_pebble, lambda p: (0.075, 0.075, p[0])),
    "bracket": Shape(_bracket, _draw_bracket, lambda p: (p[0], p[1], p[2])),
    "gear": Shape(_gear, _draw_gear, lambda p: (p[0] + p[1], p[0] + p[1], p[5])),
    "ring": Shape(_ring, _draw_ring, lambda p: (p[0] + p[1], p[0] + p[1], p[1])),
}
"""The families by name."""
UPRIGHT_ONLY = frozenset({"pebble"})
"""Families whose objects always rest on the same side."""

"""Families of composed objects: cards, coolers, manifolds and housings of fins, slots and pipes.

In the frame of an object, y points up, the object rests on y = 0, and lengths are metres.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from fedchain.elementary import draw_between
from fedchain.scans.simulator.parts import Composed, Material, SolidPart, Triple


@dataclass(frozen=True, kw_only=True)
class Materials:
    """The materials of one object."""

    metal: Material
    """Fins, plates and pipes."""
    plastic: Material
    """Covers, frames and walls: dark."""
    board: Material
    """Circuit boards and their components: dark, with spots."""
    polished: Material
    """Brackets and contacts: bright, with the most gloss."""


ObjectFamily = Callable[[np.random.Generator, Materials], Iterator[SolidPart]]
"""Function that draws the parts of a random object; it may rest at any height and place."""


def compose(family: str, random: np.random.Generator, materials: Materials) -> Composed:
    """Draw an object of a family that rests on y = 0, with its middle above the origin.

    >>> shiny = Material(albedo=0.5, gloss=0.3)
    >>> materials = Materials(metal=shiny, plastic=shiny, board=shiny, polished=shiny)
    >>> low, high = compose("cooler", np.random.default_rng(0), materials).bounds
    >>> abs(low[1]) < 1e-9
    True
    """
    parts = list(OBJECTS[family](random, materials))
    if random.random() < STANDING.get(family, 0.0):
        parts = [_on_edge(part) for part in parts]
    (x, y, z), (far_x, _, far_z) = Composed(tuple(parts)).bounds
    shift = (-(x + far_x) / 2, -y, -(z + far_z) / 2)
    return Composed(tuple(replace(part, centre=_sum(part.centre, shift)) for part in parts))


def _card(random: np.random.Generator, materials: Materials) -> Iterator[SolidPart]:
    """Draw a graphics card: board, components, fins, pipes, a frame with two fans, a bracket."""
    long, deep = draw_between(random, 0.13, 0.2), draw_between(random, 0.08, 0.11)
    tall = draw_between(random, 0.018, 0.03)
    yield _box((0, 0, 0), (long / 2, 0.0008, deep / 2), materials.board)
    for _ in range(18):
        half = (draw_between(random, 0.002, 0.009), draw_between(random, 0.0006, 0.003), 0.003)
        side = 1.0 if random.random() < 0.6 else -1.0
        place = (_off(random, long / 2 - 0.01), side * half[1], _off(random, deep / 2 - 0.006))
        yield _box(place, half, materials.board)
    yield from _fins(random, materials.metal, (long * 0.86, tall, deep * 0.8), 0.0015)
    for side in (-1.0, 1.0):
        yield _pipe(0, (0, tall * 0.55, side * deep * 0.25), 0.003, long * 0.46, materials.polished)
    top, bar = tall + 0.004, draw_between(random, 0.004, 0.009)
    for side in (-1.0, 1.0):
        yield _box((0, top, side * (deep / 2 - bar)), (long * 0.46, 0.003, bar), materials.plastic)
    for share in (-0.45, 0.0, 0.45):
        across = (bar * (0.8 + abs(share)), 0.003, deep / 2)
        yield _box((share * long, top, 0), across, materials.plastic)
    for side in (-1.0, 1.0):
        hub = (side * long * 0.225, top - 0.002, 0)
        yield _pipe(1, hub, deep * 0.13, 0.004, materials.plastic)
        for sweep in ((0.036, 0.001, 0.004), (0.004, 0.001, 0.036)):
            yield _box(hub, sweep, materials.plastic)
    slots = int(random.integers(5, 9))
    for k in range(slots + 1):
        place = (-long / 2 - 0.004, tall / 2, (k / slots - 0.5) * deep * 0.96)
        yield _box(place, (0.0008, tall / 2 + 0.006, deep * 0.22 / slots), materials.polished)
    for low in (-0.005, tall + 0.006):
        yield _box((-long / 2 - 0.004, low, 0), (0.001, 0.002, deep / 2), materials.polished)
    yield _box((long * 0.1, 0, deep / 2 + 0.003), (long * 0.2, 0.0008, 0.004), materials.polished)


def _cooler(random: np.random.Generator, materials: Materials) -> Iterator[SolidPart]:
    """Draw a cooler on a board: a plate with many fins, pipes through them, and screws."""
    long, deep = draw_between(random, 0.07, 0.13), draw_between(random, 0.06, 0.1)
    tall = draw_between(random, 0.02, 0.055)
    board = (long * 0.8, 0.001, deep * draw_between(random, 0.6, 0.9))
    yield _box((0, -0.004, 0), board, materials.board)
    yield _box((0, 0, 0), (long / 2, 0.003, deep / 2), materials.metal)
    yield from _fins(random, materials.metal, (long, tall, deep), 0.003)
    for _ in range(int(random.integers(1, 4))):
        place = (0, draw_between(random, 0.3, 0.9) * tall, _off(random, deep * 0.4))
        yield _pipe(0, place, draw_between(random, 0.003, 0.005), long * 0.55, materials.polished)
    for x in (-1, 1):
        for z in (-1, 1):
            foot = (x * (long / 2 + 0.008), 0.002, z * (deep / 2 - 0.008))
            yield _box(foot, (0.009, 0.0015, 0.007), materials.polished)
            yield _pipe(1, foot, 0.003, 0.006, materials.plastic)


def _manifold(random: np.random.Generator, materials: Materials) -> Iterator[SolidPart]:
    """Draw a manifold: pipes with flanges on a block."""
    long, deep = draw_between(random, 0.08, 0.14), draw_between(random, 0.04, 0.07)
    tall = draw_between(random, 0.012, 0.03)
    yield _box((0, 0, 0), (long / 2, tall / 2, deep / 2), materials.plastic)
    for side in (-1, 1):
        yield _box((side * long * 0.4, 0, 0), (0.005, tall * 0.7, deep * 0.6), materials.polished)
    count = int(random.integers(2, 5))
    for k in range(count):
        radius, reach = draw_between(random, 0.006, 0.012), draw_between(random, 0.015, 0.04)
        x = ((k + 0.5) / count - 0.5) * long * 0.8
        yield _pipe(1, (x, tall / 2 + reach / 2, 0), radius, reach / 2, materials.metal)
        flange = (x, tall / 2 + reach, 0)
        yield _pipe(1, flange, radius * 1.7, draw_between(random, 0.002, 0.004), materials.polished)
        out = (x, 0, deep / 2 + 0.01)
        yield _pipe(2, out, radius * 0.8, 0.02, materials.metal)
    along = (0, tall / 2 + 0.008, -deep * 0.35)
    yield _pipe(0, along, draw_between(random, 0.005, 0.009), long * 0.6, materials.polished)


def _housing(random: np.random.Generator, materials: Materials) -> Iterator[SolidPart]:
    """Draw an open housing: a floor, four walls, ribs with slots between them, and bosses."""
    long, deep = draw_between(random, 0.09, 0.16), draw_between(random, 0.07, 0.11)
    tall, wall = draw_between(random, 0.02, 0.045), draw_between(random, 0.0012, 0.003)
    yield _box((0, 0, 0), (long / 2, wall, deep / 2), materials.board)
    for side in (-1, 1):
        yield _box((side * long / 2, tall / 2, 0), (wall, tall / 2, deep / 2), materials.polished)
        yield _box((0, tall / 2, side * deep / 2), (long / 2, tall / 2, wall), materials.plastic)
    ribs = int(random.integers(2, 6))
    for k in range(ribs):
        x, high = ((k + 1) / (ribs + 1) - 0.5) * long, draw_between(random, 0.2, 0.8) * tall
        yield _box(
            (x, high / 2, _off(random, 0.01)), (wall, high / 2, deep * 0.35), materials.metal
        )
    for _ in range(int(random.integers(4, 9))):
        radius, high = draw_between(random, 0.003, 0.009), draw_between(random, 0.2, 0.9) * tall
        place = (_off(random, long * 0.4), high / 2, _off(random, deep * 0.4))
        yield _pipe(1, place, radius, high / 2, materials.polished)
    for _ in range(8):
        half = (draw_between(random, 0.003, 0.012), draw_between(random, 0.001, 0.006), 0.004)
        place = (_off(random, long * 0.4), half[1], _off(random, deep * 0.4))
        yield _box(place, half, materials.metal)


def _fins(
    random: np.random.Generator, material: Material, size: Triple, low: float
) -> Iterator[SolidPart]:
    """Draw thin fins side by side along x, with slots between them."""
    long, tall, deep = size
    pitch, thin = draw_between(random, 0.004, 0.008), draw_between(random, 0.0004, 0.001)
    count = int(long / pitch)
    for k in range(count):
        x = ((k + 0.5) / count - 0.5) * long
        yield _box((x, low + tall / 2, 0), (thin, tall / 2, deep / 2), material)


def _box(centre: Triple, half: Triple, material: Material) -> SolidPart:
    return SolidPart(centre=centre, half=half, material=material)


def _pipe(axis: int, centre: Triple, radius: float, half: float, material: Material) -> SolidPart:
    sides = [half if along == axis else radius for along in range(3)]
    return SolidPart(
        centre=centre, half=(sides[0], sides[1], sides[2]), material=material, axis=axis
    )


def _on_edge(part: SolidPart) -> SolidPart:
    """Return the part with y and z exchanged."""
    (x, y, z), (a, b, c) = part.centre, part.half
    axis = None if part.axis is None else (0, 2, 1)[part.axis]
    return replace(part, centre=(x, z, y), half=(a, c, b), axis=axis)


def _off(random: np.random.Generator, reach: float) -> float:
    return draw_between(random, -reach, reach)


def _sum(a: Triple, b: Triple) -> Triple:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


OBJECTS: Mapping[str, ObjectFamily] = {
    "card": _card,
    "cooler": _cooler,
    "manifold": _manifold,
    "housing": _housing,
}
"""The families by name."""
STANDING: Mapping[str, float] = {"card": 0.5, "cooler": 0.3}
"""Probability that an object rests on its edge, by the name of its family."""

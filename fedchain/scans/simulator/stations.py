"""Stations: holders of simulated scans, each with objects, a scanner and materials of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedchain.elementary import draw_between, exp
from fedchain.randomness import stream
from fedchain.scans.simulator.capture import Scanner
from fedchain.scans.simulator.objects import OBJECTS, Materials
from fedchain.scans.simulator.parts import Material

THREEFOLD = 1.0986122886681098
"""Logarithm of 3."""


@dataclass(frozen=True, kw_only=True)
class Station:
    """Properties that all turntables of one holder share."""

    family: str
    """The family of objects, a key of ``OBJECTS``."""
    scanner: Scanner
    """The scanner."""
    brightness: float
    """Factor of the albedo of all materials."""
    gloss: float
    """Factor of the gloss of all materials."""
    table: Material
    """Material of the turntable."""
    walled: bool
    """Whether the objects lie in a bin: walls stand around them."""
    rings: tuple[float, ...]
    """Angle of each ring of cameras above the turntable, in radians."""


def station_of(
    seed: int, number: int, height: int = 96, width: int = 128, *, walled: bool = False
) -> Station:
    """Return the properties of a station, from its index; the families take turns.

    Args:
        seed: the seed of the random stream.
        number: index of the station.
        height: rows of the scanner's images.
        width: columns of the scanner's images.
        walled: whether the objects lie in a bin.

    >>> station_of(0, 1).family
    'cooler'
    """
    random = stream(seed, "station", number)
    scanner = Scanner(
        baseline=draw_between(random, 0.1, 0.18),
        field=draw_between(random, 0.24, 0.32),
        height=height,
        width=width,
        noise=0.02 * exp(draw_between(random, 0, THREEFOLD)),
        exposure=1.3 * exp(draw_between(random, 0, THREEFOLD)),
        mixing=draw_between(random, 0.9, 1.8),
        drop_out=draw_between(random, 0.01, 0.06),
    )
    return Station(
        family=list(OBJECTS)[number % len(OBJECTS)],
        scanner=scanner,
        brightness=draw_between(random, 0.6, 1.1),
        gloss=draw_between(random, 0.6, 1.2),
        table=Material(albedo=draw_between(random, 0.1, 0.3), texture=0.3),
        walled=walled,
        rings=(draw_between(random, 0.5, 0.75), draw_between(random, 0.85, 1.15)),
    )


def draw_materials(station: Station, random: np.random.Generator) -> Materials:
    """Draw the materials of one object of a station."""

    def material(
        albedo: tuple[float, float], gloss: tuple[float, float], texture: float
    ) -> Material:
        return Material(
            albedo=min(station.brightness * draw_between(random, *albedo), 0.95),
            gloss=min(station.gloss * draw_between(random, *gloss), 0.8),
            texture=texture,
        )

    return Materials(
        metal=material((0.5, 0.9), (0.25, 0.5), 0.97),
        plastic=material((0.03, 0.1), (0.0, 0.05), 0.8),
        board=material((0.06, 0.2), (0.0, 0.03), 0.85),
        polished=material((0.6, 0.95), (0.4, 0.7), 0.93),
    )

"""Scenes: an object on a turntable, and the materials of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedchain.elementary import cosine_and_sine, dot, draw_between, exp
from fedchain.randomness import stream
from fedchain.scans.scan import Floats
from fedchain.scans.simulator.shapes import SHAPES, UPRIGHT_ONLY

DISTANCE_M = 0.55
"""Working distance from the camera to the middle of the turntable, in metres."""
LEAST_NOISE = 0.03
"""Least ``Site.noise``, in columns."""
NOISE_RANGE = 1.8971199848858813
"""Logarithm of the largest ``Site.noise``, 0.2 columns, divided by the least."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """Properties that all scans of one site share; they differ from site to site."""

    family: str
    """The family of objects that the site scans."""
    albedo: float
    """Share of light that the objects scatter, among the light that they do not mirror; 0 to 1."""
    gloss: float
    """Share of light that the objects mirror, 0 to 1; it causes ghosts and saturation."""
    table_albedo: float
    """Share of light that the turntable scatters, 0 to 1."""
    noise: float
    """Standard deviation of the noise of a decoded projector column, in columns, at a signal of
    1."""
    elevation: float
    """Angle of the camera above the turntable, in radians."""


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """A batch of scenes with objects of one family, in the camera's frame, in metres."""

    site: Site
    """The site of all scenes."""
    lengths: Floats
    """The numbers that define the shape of each object, shape (numbers, scenes)."""
    rotation: Floats
    """Rotations from each object's frame to the camera's frame, shape (scenes, 3, 3)."""
    centre: Floats
    """Middle of each object, shape (scenes, 3)."""
    radius: Floats
    """Radius of a sphere that encloses each object, shape (scenes,)."""
    up: Floats
    """Unit normal of the turntable, shape (scenes, 3)."""
    table: Floats
    """Middle of the turntable, shape (scenes, 3)."""
    table_radius: Floats
    """Radius of the turntable, shape (scenes,)."""
    albedo: Floats
    """``Site.albedo`` with a random change for each object, shape (scenes,)."""


def site_of(seed: int, number: int) -> Site:
    """Return the properties of a site, from its index.

    The sites take the families of objects in turn.

    >>> site_of(0, 1).family
    'shaft'
    """
    random = stream(seed, "scan site", number)
    names = list(SHAPES)
    return Site(
        family=names[number % len(names)],
        albedo=draw_between(random, 0.35, 0.8),
        gloss=float(random.choice([0.2, 0.6, 0.85])) * draw_between(random, 0.8, 1.15),
        table_albedo=draw_between(random, 0.1, 0.3),
        noise=LEAST_NOISE * exp(draw_between(random, 0, NOISE_RANGE)),
        elevation=draw_between(random, 0.6, 1.1),
    )


def draw_scenes(site: Site, streams: list[np.random.Generator]) -> Scenes:
    """Draw one scene of the site from each random stream."""
    rows = [_draw_scene(site, random) for random in streams]
    columns: dict[str, npt.NDArray[np.float32]] = {
        name: np.stack([np.asarray(row[name], np.float32) for row in rows]) for name in rows[0]
    }
    columns["lengths"] = np.ascontiguousarray(columns["lengths"].T)
    return Scenes(site=site, **columns)


def _draw_scene(site: Site, random: np.random.Generator) -> dict[str, object]:
    family = SHAPES[site.family]
    lengths = family.draw(random)
    elevation = site.elevation + draw_between(random, -0.15, 0.15)
    frame = _table_frame(elevation, draw_between(random, -0.1, 0.1))
    middle = np.array([0, 0, DISTANCE_M + draw_between(random, -0.04, 0.04)])
    resting = np.eye(3)
    if site.family not in UPRIGHT_ONLY:
        resting = _AXES[int(random.integers(len(_AXES)))]
    extent = np.array(family.extent(lengths))
    height = float(dot(np.abs(resting[2]), extent))
    place = np.array([draw_between(random, -0.02, 0.02), draw_between(random, -0.02, 0.02), height])
    return {
        "lengths": lengths,
        "rotation": _product(_product(frame, _turn(draw_between(random, 0, 2 * np.pi))), resting),
        "centre": middle + dot(frame.T, place),
        "radius": np.sqrt(dot(extent, extent)) + 1e-3,
        "up": frame[:, 2],
        "table": middle,
        "table_radius": draw_between(random, 0.09, 0.12),
        "albedo": np.clip(site.albedo + draw_between(random, -0.1, 0.1), 0.1, 0.9),
    }


def _turn(angle: float) -> npt.NDArray[np.float64]:
    """Return the matrix of a rotation about the z axis by an angle in radians."""
    c, s = cosine_and_sine(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _table_frame(elevation: float, roll: float) -> npt.NDArray[np.float64]:
    """Return the rotation from the turntable's frame (z up) to the camera's (y down, z ahead)."""
    c, s = cosine_and_sine(elevation)
    seen = np.array([[1, 0, 0], [0, -s, -c], [0, c, -s]])
    return _product(_turn(roll), seen)


def _product(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the matrix product of two 3 x 3 matrices."""
    return np.asarray(dot(a.T[:, :, None], b[:, None]))


_AXES = (
    np.eye(3),
    np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
    np.array([[1, 0, 0], [0, -1, 0], [0, 0, -1]]),
)
"""Rotations that choose the side on which an object rests."""

"""Light in a stage: what each point scatters, mirrors, and receives from other surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedchain.elementary import dot
from fedchain.scans.scan import NONE, Floats
from fedchain.scans.simulator.optics import mirror
from fedchain.scans.simulator.stage import Stage, Surfaces, blocked, meet

SURFACE_LIFT_M = 2e-4
"""Distance above a surface at which a ray that leaves the surface starts, in metres."""

REACH_M = 0.012
"""Distance between two surfaces, in metres, at which half of the mirrored light remains."""


@dataclass(frozen=True)
class Lighting:
    """The projector's light that each pixel receives, shape (rays,) each."""

    direct: Floats
    """Light that the surface scatters; 0 in shadow."""
    highlight: Floats
    """Light that the surface mirrors from the projector."""
    mirrored: Floats
    """Light that another surface scatters and this one mirrors."""
    sources: Floats
    """Points of the other surfaces, in the world, in metres, shape (3, rays); 0 without light."""


def lighting(stage: Stage, lamp: Floats, away: float, seen: Surfaces, sight: Floats) -> Lighting:
    """Return the light of each pixel after at most one reflection.

    Args:
        stage: the object and what stands around it.
        lamp: position of the projector in the world, in metres, shape (3, 1).
        away: distance in metres at which the projector's light is 1.
        seen: the surface that each camera ray meets.
        sight: directions of the camera rays, shape (3, rays).
    """
    direct, toward = _scattered(stage, lamp, away, seen)
    cosine = np.maximum(dot(mirror(sight, seen.normals), toward), 0)
    eighth = np.square(np.square(np.square(cosine)))
    # Phong's highlight with the exponent 40, as in the first scanner.
    shine = 2 * seen.gloss * eighth * np.square(np.square(eighth)) * (direct > 0)
    mirrored, sources = np.zeros_like(direct), np.zeros_like(seen.points)
    glossy = np.flatnonzero((seen.gloss > 0) & (direct > 0))
    normals = seen.normals[:, glossy]
    start = seen.points[:, glossy] + np.float32(SURFACE_LIFT_M) * normals
    other = meet(stage, start, mirror(sight[:, glossy], normals))
    light, _ = _scattered(stage, lamp, away, other)
    # A rough mirror scatters light into a cone: what is far away fills a small part of it.
    fading = 1 / (1 + np.square(other.distance / np.float32(REACH_M)))
    mirrored[glossy] = seen.gloss[glossy] * light * fading
    sources[:, glossy] = other.points * (light > 0)
    return Lighting(direct, shine, mirrored, sources)


def _scattered(stage: Stage, lamp: Floats, away: float, seen: Surfaces) -> tuple[Floats, Floats]:
    """Return the light that each point scatters, and its unit direction to the projector.

    The light is albedo (1 - gloss) cos(n, l) (D / r)^2, as in ``optics.scattered``.
    """
    path = lamp - seen.points
    distance = np.sqrt(dot(path, path))
    toward = path / distance
    cosine = np.maximum(dot(seen.normals, toward), 0)
    light = seen.albedo * (1 - seen.gloss) * cosine * np.square(np.float32(away) / distance)
    bright = np.flatnonzero((light > 0) & (seen.kind != NONE))
    start = seen.points[:, bright] + np.float32(SURFACE_LIFT_M) * seen.normals[:, bright]
    light[bright[blocked(stage, start, toward[:, bright], distance[bright])]] = 0
    return np.asarray(light), np.asarray(toward)

"""Optics: the projector's light that reaches each pixel, directly or after one reflection."""

from __future__ import annotations

import numpy as np

from fedchain.arrays import Flags
from fedchain.elementary import dot
from fedchain.scans.scan import OBJECT, Floats
from fedchain.scans.simulator.rays import LIFT_M, Hits, SceneNumbers, object_distance, trace
from fedchain.scans.simulator.scenes import DISTANCE_M, Scenes

BASELINE_M = 0.13
"""Distance from the camera to the projector beside it, in metres."""
PROJECTOR = np.array([[BASELINE_M], [0], [0]], np.float32)
"""Position of the projector in the camera's frame, in metres, shape (3, 1)."""
DARK = 0.045
"""Light at or below which a pixel is too dark to decode."""
SATURATED = 1.0
"""Light at or above which a pixel is too bright to decode."""
GRAZING = 0.15
"""Least cosine of the angle between the normal of a surface and the direction to the camera, for a
pixel that can be decoded."""


def scattered(scenes: Scenes, scan: SceneNumbers, hits: Hits) -> Floats:
    """Return the projector's light that each point scatters, shape (rays,); 0 in shadow.

    The light is albedo (1 - gloss) cos(n, l) (D / r)^2. Here n is the normal, l is the direction to
    the projector, r is the distance to the projector, and D is the working distance. The turntable
    has no gloss.
    """
    toward, distance = _toward_projector(hits.points)
    cosine = np.maximum(dot(hits.normals, toward), 0)
    scatters = scenes.albedo * (1 - np.float32(scenes.site.gloss))
    table = np.float32(scenes.site.table_albedo)
    albedo = np.where(hits.kind == OBJECT, scatters[scan], table)
    light = np.nan_to_num(albedo * cosine * np.square(DISTANCE_M / distance))
    bright = np.flatnonzero(light > 0)
    start = hits.points[:, bright] + np.float32(LIFT_M) * hits.normals[:, bright]
    path = toward[:, bright]
    block = object_distance(scenes, scan[bright], start, path, distance[bright])
    light[bright[np.isfinite(block)]] = 0
    return np.asarray(light)


def highlight(scenes: Scenes, hits: Hits, sight: Floats, light: Floats) -> Floats:
    """Return the light of the projector that each glossy point mirrors to the camera.

    This is the highlight of Phong's model with the exponent 40.
    """
    toward, _ = _toward_projector(hits.points)
    cosine = np.maximum(dot(mirror(sight, hits.normals), toward), 0)
    eighth = np.square(np.square(np.square(cosine)))
    lobe = eighth * np.square(np.square(eighth))
    glossy = np.float32(scenes.site.gloss) * (hits.kind == OBJECT) * (light > 0)
    return np.asarray(np.nan_to_num(glossy * lobe * 2))


def reflection(
    scenes: Scenes, scan: SceneNumbers, hits: Hits, sight: Floats, light: Floats
) -> tuple[Floats, Floats]:
    """Return the light that each pixel receives after one reflection, and the points it comes from.

    Returns:
        Light, shape (rays,), 0 where it could not be brighter than the surface itself; the mirrored
        points, shape (3, rays).
    """
    gloss = np.float32(scenes.site.gloss) * (hits.kind == OBJECT)
    mirrors = np.flatnonzero((gloss > light) & (gloss > DARK))
    normals = hits.normals[:, mirrors]
    bounced = mirror(sight[:, mirrors], normals)
    start = hits.points[:, mirrors] + np.float32(LIFT_M) * normals
    seen = trace(scenes, scan[mirrors], start, bounced)
    gained, sources = np.zeros_like(light), np.zeros_like(hits.points)
    gained[mirrors] = gloss[mirrors] * scattered(scenes, scan[mirrors], seen)
    sources[:, mirrors] = np.nan_to_num(seen.points)
    return gained, sources


def decodable(hits: Hits, sight: Floats, signal: Floats) -> Flags:
    """Return whether the light and the angle of each pixel are good enough to decode it."""
    facing = -dot(hits.normals, sight)
    return np.asarray((signal > DARK) & (signal < SATURATED) & (facing > GRAZING))


def _toward_projector(points: Floats) -> tuple[Floats, Floats]:
    path = PROJECTOR - points
    distance = np.sqrt(dot(path, path))
    return path / distance, distance


def mirror(sight: Floats, normals: Floats) -> Floats:
    """Return the directions in which surfaces mirror rays, shape (3, rays) each."""
    return np.asarray(sight - 2 * dot(sight, normals) * normals)

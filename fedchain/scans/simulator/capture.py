"""A scanner that measures a stage from one place: columns, their mixing, noise and drop-out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Flags
from fedchain.elementary import dot
from fedchain.scans.camera import Camera
from fedchain.scans.scan import FLYING, GHOST, NONE, ClassLabels, Floats
from fedchain.scans.simulator.decoding import Projector, across_edges
from fedchain.scans.simulator.light import lighting
from fedchain.scans.simulator.optics import DARK, SATURATED
from fedchain.scans.simulator.scanner import draw_noise
from fedchain.scans.simulator.stage import Stage, meet

EDGE_STEP = 0.006
"""Neighbouring pixels lie across an edge if their distances differ by more than this share of the
distance."""
LARGEST_ERROR_M = 0.0013
"""Largest error of a distance in metres, without noise, of a good point."""
LEAST_DIRECT = 0.5
"""Least share of direct light, among direct and mirrored light, with which a pixel is decoded."""
SPREAD_M = 0.003
"""Width on the surface, in metres, over which mirrored light blurs."""
LEAST_FACING = 0.35
"""Least cosine of the angle between the normal of a surface and the direction to the camera, for a
pixel that can be decoded."""
SATURATED_INTENSITY = 2.0**-4
"""Intensity of a saturated pixel; that of a PhoXi scanner is about .06."""
RAGGED = 0.1
"""Standard deviation of the signal's random factor at the threshold of darkness."""


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """Properties of a scanner."""

    baseline: float = 0.13
    """Distance from the camera to the projector, in metres."""
    away: float = 0.55
    """Working distance in metres."""
    field: float = 0.26
    """Width of the image at the working distance, in metres."""
    height: int = 96
    """Rows of the image."""
    width: int = 128
    """Columns of the image."""
    noise: float = 0.06
    """Standard deviation of the noise of a decoded projector column, in columns, at a signal of
    1."""
    exposure: float = 1.0
    """Factor of all light."""
    mixing: float = 1.0
    """Factor of the light that glossy surfaces mirror from each other, 0 or more."""
    drop_out: float = 0.03
    """Share of pixels that drop out in random patches, 0 to 1."""

    @property
    def step(self) -> float:
        """Width of a pixel at the working distance, in metres."""
        return self.field / self.width


@dataclass(frozen=True)
class Captured:
    """What a scanner measured from one place, as grids of shape (height, width)."""

    distance: Floats
    """Measured distance along the camera ray in metres; NaN where a pixel is empty."""
    intensity: Floats
    """Light of each pixel in the scanner's unit, 0 to 1/16; NaN where a pixel is empty."""
    labels: ClassLabels
    """Class of each pixel."""


def capture_stage(
    stage: Stage, camera: Camera, scanner: Scanner, random: np.random.Generator
) -> Captured:
    """Scan a stage from the place of a camera.

    A decoded column is a mean of the columns of direct and of mirrored light, weighted by the
    light: near glossy parts, patches lie some millimetres off and are brighter.

    Args:
        stage: the object and what stands around it.
        camera: place of the camera; ``camera_at`` gives one that fits the scanner.
        scanner: properties of the scanner.
        random: stream of the noise.
    """
    grid = scanner.height, scanner.width
    sight = unit_rays(camera, grid).reshape(-1, 3).T
    position = camera.position.astype(np.float32)[:, None]
    lamp = position + np.float32(scanner.baseline) * camera.basis[0].astype(np.float32)[:, None]
    seen = meet(stage, np.broadcast_to(position, sight.shape), sight)
    light = lighting(stage, lamp, scanner.away, seen, sight)
    column_noise, light_noise, side, share = draw_noise(random, grid)
    patches = random.random(grid, np.float32)
    projector = Projector(baseline=scanner.baseline, away=scanner.away)
    own, other = (projector.columns(_in_camera(camera, at)) for at in (seen.points, light.sources))
    mirrored, mean = _blurred(light.mirrored.reshape(grid), other.reshape(grid), scanner)
    direct = light.direct / np.maximum(light.direct + mirrored, np.float32(1e-9))
    columns = own + (1 - direct) * (mean - own)
    signal = np.float32(scanner.exposure) * (light.direct + light.highlight + mirrored)
    rough = signal * (1 + np.float32(RAGGED) * light_noise.ravel())
    ok = (rough > DARK) & (signal < SATURATED)
    ok &= (-dot(seen.normals, sight) > LEAST_FACING) & (direct > LEAST_DIRECT)
    ok &= ~_lowest(_blur(_blur(patches)), scanner.drop_out).ravel()
    columns[~ok] = np.nan
    clear = np.where(seen.kind == NONE, np.float32(np.nan), seen.distance).reshape(grid)
    blended, flying = across_edges(
        columns.reshape(1, *grid), clear[None], side[None], share[None], EDGE_STEP
    )
    local = _in_camera(camera, sight + position)
    exact = projector.distance(blended.ravel(), local)
    blur = np.float32(scanner.noise) / np.sqrt(np.maximum(signal, np.float32(1e-3)))
    decoded = projector.distance(blended.ravel() + blur * column_noise.ravel(), local)
    ok &= (decoded > 0.6 * scanner.away) & (decoded < 1.6 * scanner.away)
    labels = seen.kind.copy()
    off = np.abs(exact - seen.distance) > LARGEST_ERROR_M
    labels[off] = np.where(flying.ravel()[off], FLYING, GHOST)
    labels[~ok] = NONE
    shown = np.clip(signal * (1 + np.float32(0.04) * light_noise.ravel()), 0, 1)
    distance, intensity = (
        np.where(ok, values, np.float32(np.nan)).reshape(grid)
        for values in (decoded, np.float32(SATURATED_INTENSITY) * shown)
    )
    return Captured(distance, intensity, labels.reshape(grid))


def unit_rays(camera: Camera, grid: tuple[int, int]) -> Floats:
    """Return the unit direction in which each pixel looks, shape (height, width, 3), float32."""
    rays = np.moveaxis(camera.rays(*grid), -1, 0)
    return np.asarray(np.moveaxis(rays / np.sqrt(dot(rays, rays)), 0, -1), np.float32)


def _in_camera(camera: Camera, points: Floats) -> Floats:
    """Return points of the world in the camera's frame, shape (3, points)."""
    away = points - camera.position.astype(np.float32)[:, None]
    return np.stack([dot(row, away) for row in camera.basis.astype(np.float32)])


def _blurred(light: Floats, columns: Floats, scanner: Scanner) -> tuple[Floats, Floats]:
    """Return mirrored light, and the mean of its columns, after it blurs, shape (pixels,) each."""
    weighted, total = _blur(light * columns), _blur(light)
    # Each pass adds 2 / 3 of a squared pixel to the variance.
    passes = 1.5 * (SPREAD_M / scanner.step / 2) ** 2
    for _ in range(min(max(round(passes), 1), 12) - 1):
        weighted, total = _blur(weighted), _blur(total)
    mean = weighted / np.maximum(total, np.float32(1e-12))
    return np.float32(scanner.mixing) * total.ravel(), mean.ravel()


def _blur(grid: Floats) -> Floats:
    """Return the mean of the nine pixels around each pixel; pixels beyond the border count as 0."""
    padded = np.pad(grid, 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) * np.float32(1 / 9))


def _lowest(values: Floats, share: float) -> Flags:
    """Return which pixels have the lowest values; ``share`` of all pixels, rounded down."""
    many = int(share * values.size)
    return np.asarray(values < np.sort(values, axis=None)[many])

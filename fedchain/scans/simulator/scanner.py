"""Simulated scanner: it turns scenes into organised scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fedchain.elementary import dot
from fedchain.randomness import NameStep, stream
from fedchain.scans.scan import FLYING, GHOST, NONE, ClassLabels, Floats
from fedchain.scans.simulator.decoding import Projector, across_edges
from fedchain.scans.simulator.optics import decodable, highlight, reflection, scattered
from fedchain.scans.simulator.rays import SceneNumbers, trace
from fedchain.scans.simulator.scenes import Scenes, Site, draw_scenes

SIMULATOR_VERSION = 3
"""Version of the simulator, a part of the cache's key. Increase it with every change after which
the same seed gives other scans."""
VIEW_M = 0.21
"""Width of the image at the working distance (0.55 m), in metres."""
VOLUME_M = (0.35, 0.8)
"""Range of distances that the scanner measures, in metres."""
OFF_M = 0.003
"""Largest error of a distance, in metres, with which a pixel still counts as a good point if its
column is mixed or mirrored."""
_PROJECTOR = Projector()
"""The projector of every site."""
BATCH_RAYS = 65536
"""Number of rays in one batch; a batch of this size fits into the processor's cache."""


@dataclass(frozen=True, eq=False)
class Scanned:
    """Many simulated scans of one size, in the form that the cache stores."""

    distance: Floats
    """Measured distance along the camera ray, in metres, shape (scans, height, width); NaN where a
    pixel is empty."""
    intensity: Floats
    """Light of each pixel, 0 to 1, shape (scans, height, width); NaN where a pixel is empty."""
    labels: ClassLabels
    """Class of each pixel, shape (scans, height, width)."""
    table: Floats
    """Plane of each scan's turntable, shape (scans, 4): the unit normal n (three values) and the
    offset o. A point p lies on the plane if n . p = o."""
    site: npt.NDArray[np.int64]
    """Index of the site of each scan, shape (scans,)."""

    def __getitem__(self, chosen: slice | npt.NDArray[np.int64]) -> Scanned:
        """Return the scans with these indices."""
        return Scanned(*(array[chosen] for array in vars(self).values()))

    @property
    def positions(self) -> Floats:
        """Points in the camera's frame, in metres; NaN where a pixel is empty.

        The shape is (scans, height, width, 3).
        """
        rays = camera_rays(self.distance.shape[-1]).T.reshape(*self.distance.shape[1:], 3)
        return np.asarray(self.distance[..., None] * rays)

    @property
    def height(self) -> Floats:
        """Measured height above the turntable, in metres; NaN where a pixel is empty.

        The shape is (scans, height, width).
        """
        x, y, z = np.moveaxis(self.positions, -1, 0)
        nx, ny, nz, offset = self.table.T[..., None, None]
        return np.asarray(x * nx + y * ny + z * nz - offset)


def join_scans(parts: list[Scanned]) -> Scanned:
    """Return all scans of several sets as one set."""
    arrays = zip(*(vars(part).values() for part in parts), strict=True)
    return Scanned(*map(np.concatenate, arrays))


def camera_rays(size: int) -> Floats:
    """Return the unit directions of an image's rays, row by row, shape (3, size * size)."""
    step = VIEW_M / 0.55 / size
    grid = (np.arange(size, dtype=np.float32) - (size - 1) / 2) * np.float32(step)
    y, x = np.meshgrid(grid, grid, indexing="ij")
    rays = np.stack([x.ravel(), y.ravel(), np.ones(size * size, np.float32)])
    return np.asarray(rays / np.sqrt(dot(rays, rays)), np.float32)


def simulate(
    site: Site, seed: int, names: list[tuple[NameStep, ...]], size: int, number: int
) -> Scanned:
    """Simulate scans of random scenes of one site, one scan for each name.

    Scene and noise are drawn from the random stream with this name. ``size`` is the number of
    pixels along a side. ``number`` is the index of the site, which is stored with each scan.
    """
    many = max(1, BATCH_RAYS // (size * size))
    batches = [names[start : start + many] for start in range(0, len(names), many)]
    return join_scans([_batch(site, seed, batch, size, number) for batch in batches])


def _batch(
    site: Site, seed: int, names: list[tuple[NameStep, ...]], size: int, number: int
) -> Scanned:
    streams = [stream(seed, *name) for name in names]
    scenes = draw_scenes(site, streams)
    draws = np.stack([draw_noise(random, (size, size)) for random in streams], axis=1)
    rays = camera_rays(size)
    scan = np.repeat(np.arange(len(names)), size * size)
    sight = np.tile(rays, len(names))
    grid = (len(names), size, size)
    seen = _scan_rays(scenes, scan, sight, draws, grid)
    distance, intensity, labels = (field.reshape(grid) for field in seen)
    table = np.column_stack([scenes.up, dot(scenes.up.T, scenes.table.T)])
    site_numbers = np.full(len(names), number, np.int64)
    return Scanned(distance, intensity, labels, table, site_numbers)


def draw_noise(random: np.random.Generator, grid: tuple[int, int]) -> Floats:
    """Draw four random numbers for each pixel: column noise, light noise, side and share.

    The noise has mean 0 and variance 1, and is nearly normal: it is the sum of twelve uniform
    numbers minus 6. Side and share are arguments of ``across_edges``.
    """
    # numpy's own normal numbers come from the C library's exponential and logarithm.
    noise = random.random((2, *grid), np.float32)
    for _ in range(11):
        noise += random.random((2, *grid), np.float32)
    return np.concatenate([noise - 6, random.random((2, *grid), np.float32)])


def _scan_rays(
    scenes: Scenes, scan: SceneNumbers, sight: Floats, draws: Floats, grid: tuple[int, int, int]
) -> list[npt.NDArray[Any]]:
    """Return distance, intensity and label of each ray, defined as the fields of ``Scanned``."""
    hits = trace(scenes, scan, np.zeros_like(sight), sight)
    light = scattered(scenes, scan, hits)
    mirrored, sources = reflection(scenes, scan, hits, sight, light)
    signal = light + mirrored + highlight(scenes, hits, sight, light)
    ghost = mirrored > light
    seen = decodable(hits, sight, signal)
    columns = _PROJECTOR.columns(np.where(ghost, sources, hits.points))
    columns[~seen] = np.nan
    column_noise, light_noise, side, share = draws
    clear = np.where(hits.kind == NONE, np.float32(np.nan), hits.distance).reshape(grid)
    mixed, flying = across_edges(columns.reshape(grid), clear, side, share)
    blur = np.float32(scenes.site.noise) / np.sqrt(np.maximum(signal, 1e-3))
    decoded = _PROJECTOR.distance(mixed.ravel() + blur * column_noise.ravel(), sight)
    seen &= (decoded > VOLUME_M[0]) & (decoded < VOLUME_M[1])
    off = np.abs(_PROJECTOR.distance(mixed.ravel(), sight) - hits.distance) > OFF_M
    labels = hits.kind.copy()
    labels[off & ghost] = GHOST
    labels[off & flying.ravel()] = FLYING
    labels[~seen] = NONE
    distance = np.where(seen, decoded, np.float32(np.nan)).astype(np.float32)
    shown = np.clip(signal * (1 + 0.04 * light_noise.ravel()), 0, 1)
    intensity = np.where(seen, shown, np.float32(np.nan)).astype(np.float32)
    return [distance, intensity, labels]

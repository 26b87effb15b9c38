"""Cameras around a turntable, and clouds without a grid that one of these cameras has measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Array, Matrix, Vector, Wholes
from fedchain.scans.camera import Camera
from fedchain.scans.features import normals_of
from fedchain.scans.scan import Cloud, Scan, bounding_box

FINEST_STEPS = 72
"""Most steps of a full turn: a turntable that turns by less than 5 degrees is not recognised."""
STEP_ERROR_DEG = 0.1
"""Largest error of a step, in degrees, against the nearest one that divides a full turn."""
ALONG_AXIS_M = 1e-3
"""Largest shift along the axis between two cameras of one ring, in metres."""
WHOLE_PIXEL = 0.02
"""Largest distance from a whole pixel, in pixels, at which a point counts as measured there. The
points of the right camera are within .003; of a wrong one, one in a thousand is within .02."""
LEAST_SHARE = 0.95
"""Least share of a cloud's points that the right camera maps to whole pixels."""
TRIED_POINTS = 500
"""Points of a cloud on which the cameras are tried."""


@dataclass(frozen=True, eq=False)
class Sight:
    """A camera and the size of its pictures."""

    camera: Camera
    size: tuple[int, int]
    """Height and width in pixels."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The camera that measured a cloud."""

    camera: Camera
    sight: int
    """Index of the known camera on whose ring it stands."""
    degrees: float
    """Angle from the known camera to this one, 0 or more and below 360."""


@dataclass(frozen=True, eq=False)
class Organised:
    """A cloud on the grid of the camera that measured it."""

    scan: Scan
    pixels: Wholes
    """Index of each point of the cloud in the flattened grid, or -1 for a point that is left out
    because it falls beside the picture or onto the pixel of another point; shape (points,)."""


@dataclass(frozen=True, eq=False)
class Turntable:
    """A turntable: its axis, and the smallest step by which it was turned."""

    axis: Vector
    """Unit vector, shape (3,); its largest component is positive."""
    centre: Vector
    """A point of the axis, in metres, shape (3,)."""
    steps: int
    """Number of steps of a full turn."""

    def motion(self, step: int) -> tuple[Matrix, Vector]:
        """Return rotation (3, 3) and shift (3,) of a turn by ``step`` steps."""
        from scipy.spatial.transform import Rotation

        turn = Rotation.from_rotvec(2 * np.pi * step / self.steps * self.axis).as_matrix()
        return turn, self.centre - turn @ self.centre


def turntable_of(sights: Sequence[Sight]) -> Turntable | None:
    """Return the turntable around which cameras stand, or None if no two share a ring.

    Two cameras share a ring if their lens is the same and a turn about an axis, by a whole part of
    a full turn, moves one to the other. The smallest such turn gives the axis and the step.
    """
    found = [
        turned
        for k, one in enumerate(sights)
        for other in sights[k + 1 :]
        if (turned := _turn_between(one.camera, other.camera)) is not None
    ]
    return max(found, key=lambda turned: turned.steps, default=None)


def _turn_between(one: Camera, other: Camera) -> Turntable | None:
    from scipy.spatial.transform import Rotation

    if not all(np.allclose(getattr(one, n), getattr(other, n)) for n in ("focal", "distortion")):
        return None
    turn = other.basis.T @ one.basis
    vector = Rotation.from_matrix(turn).as_rotvec()
    degrees = float(np.degrees(np.sqrt(vector @ vector)))
    steps = round(360 / max(degrees, 1))
    if steps > FINEST_STEPS or abs(360 / steps - degrees) > STEP_ERROR_DEG:
        return None
    axis = vector / np.sqrt(vector @ vector)
    axis = axis * np.sign(axis[np.abs(axis).argmax()])  # one direction for turns either way
    shift = other.position - turn @ one.position
    if abs(axis @ shift) > ALONG_AXIS_M:
        return None
    centre = np.asarray(np.linalg.lstsq(np.eye(3) - turn, shift, rcond=None)[0], np.float64)
    return Turntable(axis, centre, steps)


def camera_of(cloud: Cloud, sights: Sequence[Sight], table: Turntable | None) -> Fit | None:
    """Return the camera that measured a cloud, or None if no camera fits.

    Every known camera, turned by every step of the turntable, is tried. The right one maps 95 % of
    the points or more to whole pixels.

    Args:
        cloud: the points, in the coordinates of the cameras.
        sights: the known cameras.
        table: the turntable, or None to try only the known cameras as they stand.
    """
    points = cloud.points[:: max(len(cloud.points) // TRIED_POINTS, 1)]
    best, score = None, LEAST_SHARE
    for fit in _candidates(sights, table):
        pixels, depth = fit.camera.project(points)
        off = np.abs(pixels - np.rint(pixels)).max(axis=-1)
        share = float(((off < WHOLE_PIXEL) & (depth > 0)).mean())
        if share > score or (best is None and share >= score):
            best, score = fit, share
    return best


def organise(cloud: Cloud, sights: Sequence[Sight], table: Turntable | None) -> Organised | None:
    """Put a cloud on the grid of the camera that measured it, or return None if no camera fits.

    The arguments are those of ``camera_of``.
    """
    fit = camera_of(cloud, sights, table)
    return None if fit is None else Organised(*_on_grid(cloud, fit.camera, sights[fit.sight].size))


def _candidates(sights: Sequence[Sight], table: Turntable | None) -> Iterator[Fit]:
    for place, sight in enumerate(sights):
        yield Fit(sight.camera, place, 0.0)
        if table is not None:
            for step in range(1, table.steps):
                turned = sight.camera.moved(*table.motion(step))
                yield Fit(turned, place, 360 * step / table.steps)


def _on_grid(cloud: Cloud, camera: Camera, size: tuple[int, int]) -> tuple[Scan, Wholes]:
    """Return the scan, and the index of each point in the flattened grid."""
    height, width = size
    pixels, depth = camera.project(cloud.points)
    near = np.rint(pixels)
    inside = (depth > 0) & (np.abs(pixels - near).max(axis=-1) < WHOLE_PIXEL)
    inside &= (near >= 0).all(axis=-1) & (near < (width, height)).all(axis=-1)
    column, row = np.where(inside[:, None], near, 0).astype(np.int64).T
    places = np.where(inside, row * width + column, -1)
    _, first = np.unique(places, return_index=True)
    alone = np.zeros(len(places), bool)
    alone[first] = True
    places[~alone] = -1
    kept = places >= 0

    def grid(values: Array | None, fallback: float, parts: tuple[int, ...]) -> Array:
        filled = np.full((height * width, *parts), np.nan, np.float32)
        filled[places[kept]] = fallback if values is None else values[kept]
        return filled.reshape(height, width, *parts)

    positions = grid(cloud.points, np.nan, (3,))
    position = camera.position.astype(np.float32)
    normals = grid(cloud.normals, np.nan, (3,))
    if cloud.normals is None:
        box = bounding_box(np.isfinite(positions[..., 0]))
        normals[box] = normals_of(positions[box], position)
    intensity = grid(cloud.intensity, 1.0, ())
    scan = Scan(
        positions=positions, normals=normals, intensity=intensity, camera=position, view=camera
    )
    return scan, places

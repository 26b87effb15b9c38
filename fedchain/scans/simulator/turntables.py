"""Turntables: scans of one object from rings of cameras, with poses that are slightly wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fedchain.elementary import cosine_and_sine, dot, draw_between
from fedchain.randomness import NameStep, stream
from fedchain.scans.camera import Camera
from fedchain.scans.features import normals_of
from fedchain.scans.scan import OBJECT, TABLE_CROP_M, Floats, Scan
from fedchain.scans.simulator.capture import Captured, Scanner, capture_stage, unit_rays
from fedchain.scans.simulator.objects import compose
from fedchain.scans.simulator.parts import Material, Solid
from fedchain.scans.simulator.stage import Stage, surroundings
from fedchain.scans.simulator.stations import Station, draw_materials

TURNTABLE_VERSION = 1
"""Version of the simulated turntables, a part of the cache's key. Increase it with every change
after which the same seed gives other scans."""
STEPS_OF_RING = 8
"""Number of places of a ring of cameras: one every 45 degrees."""
POSE_ERROR_M = 0.0004, 0.0012
"""Range of the distance by which a stored pose is off, at the middle of the object, in metres."""
POSE_TURN = 0.002
"""Largest angle by which a stored pose is turned about each axis, in radians."""
WALL = Material(albedo=0.35, gloss=0.02, texture=0.2)
"""Material of the walls of a bin."""


@dataclass(frozen=True, kw_only=True)
class SimulatedView:
    """One scan of a turntable, with its truth."""

    captured: Captured
    """What the scanner measured."""
    stored: Camera
    """The stored camera, by which ``scan`` places the points."""
    ring: int
    """Index of the ring of cameras."""
    angle: int
    """Place of the camera on its ring, in degrees."""
    camera: Camera
    """The true camera, from which the scan was taken."""

    @cached_property
    def scan(self) -> Scan:
        """Scan in the frame of the world: y is up, and the turntable is the plane y = 0.

        ``view`` is the stored camera, and ``keep`` has the good points of the object. Points up to
        2.5 mm above the turntable are removed.
        """
        return as_scan(self.captured, self.stored)


def simulate_turntable(
    station: Station,
    seed: int,
    name: tuple[NameStep, ...],
    *,
    views: int = 2 * STEPS_OF_RING,
    solid: Solid | None = None,
) -> Iterator[SimulatedView]:
    """Simulate the scans of one object on a station's turntable.

    The cameras take turns on the station's rings, in steps of 45 degrees.

    Args:
        station: the holder's properties.
        seed: the seed of all random streams.
        name: name of the turntable's random streams.
        views: number of scans.
        solid: object that rests on y = 0 in its own frame; None draws one of the station's family.

    Yields:
        The scans, one after another, so that a long sequence takes the memory of one.
    """
    random = stream(seed, *name)
    stage = draw_stage(station, random, solid)
    start = draw_between(random, 0, 2 * np.pi)
    low, high = stage.solid.bounds
    middle = np.array([0, (low[1] + high[1]) / 3, 0])
    for number in range(views):
        ring, step = number % len(station.rings), number // len(station.rings) % STEPS_OF_RING
        turn = start + step * 2 * np.pi / STEPS_OF_RING
        camera = camera_at(station.scanner, station.rings[ring], turn, middle)
        own = stream(seed, *name, "view", number)
        captured = capture_stage(stage, camera, station.scanner, own)
        stored = moved_slightly(camera, own, middle)
        angle = step * 360 // STEPS_OF_RING
        yield SimulatedView(captured=captured, stored=stored, ring=ring, angle=angle, camera=camera)


def draw_stage(station: Station, random: np.random.Generator, solid: Solid | None) -> Stage:
    """Draw an object of a station on its turntable, or place the given one there."""
    materials = draw_materials(station, random)
    object_ = compose(station.family, random, materials) if solid is None else solid
    place = np.array([draw_between(random, -0.01, 0.01), 0, draw_between(random, -0.01, 0.01)])
    (x, _, z), (far_x, tall, far_z) = object_.bounds
    reach = math.sqrt(max(x * x, far_x * far_x) + max(z * z, far_z * far_z))
    walls = (reach + 0.02, reach + 0.02, 0.4 * tall + 0.02) if station.walled else None
    return Stage(
        solid=object_,
        turn=_about_y(draw_between(random, -np.pi, np.pi)),
        place=place,
        around=surroundings(station.table, 2 * reach + 0.05, walls, WALL),
        spots=int(random.integers(1 << 31)),
    )


def camera_at(
    scanner: Scanner, elevation: float, turn: float, middle: npt.NDArray[np.float64]
) -> Camera:
    """Return the camera of a scanner that looks at a point from a ring around it.

    Args:
        scanner: gives the working distance, the field of view, and the size of the image.
        elevation: angle of the ring above the turntable, in radians.
        turn: angle about the vertical axis, in radians.
        middle: the point, shape (3,), in metres.
    """
    (across, up), (c, s) = cosine_and_sine(elevation), cosine_and_sine(turn)
    forward = np.array([-across * s, -up, -across * c])
    right = np.array([c, 0, -s])
    down = np.array([-up * s, across, -up * c]) * -1
    focal = scanner.away / scanner.step
    return Camera(
        basis=np.stack([right, down, forward]),
        position=middle - scanner.away * forward,
        focal=np.array([focal, focal]),
        centre=np.array([(scanner.width - 1) / 2, (scanner.height - 1) / 2]),
        distortion=np.zeros(5),
    )


def moved_slightly(
    camera: Camera, random: np.random.Generator, middle: npt.NDArray[np.float64]
) -> Camera:
    """Return the stored pose of a camera: it moves a scan by .4 to 1.2 mm at the middle."""
    rotation = np.eye(3)
    for axis in range(3):
        c, s = cosine_and_sine(draw_between(random, -POSE_TURN, POSE_TURN))
        one, two = (along for along in range(3) if along != axis)
        turned = np.eye(3)
        turned[[one, one, two, two], [one, two, one, two]] = c, -s, s, c
        rotation = np.asarray(dot(rotation.T[:, :, None], turned[:, None]))
    aim = np.array([draw_between(random, -1, 1) for _ in range(3)])
    length = draw_between(random, *POSE_ERROR_M)
    shift = aim * length / max(math.sqrt(dot(aim, aim)), 1e-9)
    return camera.moved(rotation, middle + shift - dot(rotation.T, middle[:, None]))


def as_scan(captured: Captured, camera: Camera) -> Scan:
    """Return a scan in the world's frame, as the stored camera places it, without the table."""
    rays = unit_rays(camera, captured.labels.shape)
    position = camera.position.astype(np.float32)
    points: Floats = position + captured.distance[..., None] * rays
    gone = ~(points[..., 1] > TABLE_CROP_M)  # also where there is no point
    points[gone] = np.nan
    return Scan(
        positions=points,
        normals=normals_of(points, position),
        intensity=np.where(gone, np.float32(np.nan), captured.intensity),
        camera=position,
        keep=(captured.labels == OBJECT) & ~gone,
        view=camera,
    )


def _about_y(angle: float) -> npt.NDArray[np.float64]:
    """Return the matrix of a rotation about the vertical axis."""
    c, s = cosine_and_sine(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])

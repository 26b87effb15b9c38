"""Small scans of a turntable: a bumpy ball, seen by cameras in steps of 45 degrees."""

from __future__ import annotations

import numpy as np

from fedchain.scans.camera import Camera
from fedchain.scans.features import normals_of
from fedchain.scans.scan import Scan

SIZE = 30, 40
RADIUS_M = 0.05
LENS = {"focal": [90.0, 91.0], "centre": [19.3, 14.6]}
DISTORTION = [-0.12, 0.15, 0.01, 1e-3, -2e-3]


def camera_at(degrees: float, height: float = 0.12, distance: float = 0.25) -> Camera:
    """Return a camera that looks at the origin from the ring of this height."""
    angle = np.radians(degrees)
    position = np.array([distance * np.sin(angle), height, distance * np.cos(angle)])
    forward = -position / np.linalg.norm(position)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    basis = np.stack([right, np.cross(forward, right), forward])
    return Camera(basis=basis, position=position, **LENS, distortion=DISTORTION)


def scan_of(camera: Camera, radius: float = RADIUS_M) -> Scan:
    """Return what a camera sees of a ball at the origin."""
    rays = camera.rays(*SIZE)
    along = (rays**2).sum(-1), (rays @ camera.position), (camera.position**2).sum() - radius**2
    under = along[1] ** 2 - along[0] * along[2]
    with np.errstate(invalid="ignore"):
        depth = (-along[1] - np.sqrt(under)) / along[0]
    positions = (camera.position + depth[..., None] * rays).astype(np.float32)
    position = camera.position.astype(np.float32)
    light = np.where(np.isfinite(depth), 0.01 + 0.001 * np.arange(SIZE[1]), np.nan)
    return Scan(
        positions=positions,
        normals=normals_of(positions, position),
        intensity=light.astype(np.float32),
        camera=position,
        view=camera,
    )

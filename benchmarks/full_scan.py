"""Speed of filtering a full scan, beside the queries of scipy's k-d tree alone.

A wavy sheet fills all 2064 x 1544 pixels of a scan, and eleven cameras around it give the views.
The filter is a model of single pixels on the channels of the views; the yardstick is one query of
the 8 nearest points of all views, for the same points and in the same process:

    python benchmarks/full_scan.py [--every N]

``--every`` takes every N-th row and column of the views: 4 makes them as dense as real views of a
turntable, of which most pixels are empty.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import replace

import numpy as np
import torch

from fedchain.learning.models import seeded
from fedchain.learning.task import models
from fedchain.registry import Part
from fedchain.scans.camera import Camera
from fedchain.scans.scan import Scan
from fedchain.scans.turntable import CHANNEL_NAMES, ScanView, Views, channel_image

HEIGHT, WIDTH = 1544, 2064
LENS = {"focal": [2240.0, 2239.0], "centre": [1002.0, 760.0]}
DISTORTION = [-0.127, 0.148, 0.009, 1e-4, 2e-4]


def camera_at(degrees: float) -> Camera:
    """Return a camera that looks down at the origin, turned about the vertical axis."""
    angle = np.radians(degrees)
    position = np.array([0.2 * np.sin(angle), 0.55, 0.2 * np.cos(angle)])
    forward = -position / np.sqrt(position @ position)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.sqrt(right @ right)
    basis = np.stack([right, np.cross(forward, right), forward])
    return Camera(basis=basis, position=position, **LENS, distortion=DISTORTION)


def sheet(camera: Camera, every: int = 1) -> Scan:
    """Return what a camera sees of the sheet y = 5 mm sin(50 x) sin(50 z), at every N-th pixel."""
    thin = replace(camera, focal=camera.focal / every, centre=camera.centre / every)
    rays = thin.rays(-(-HEIGHT // every), -(-WIDTH // every))
    depth = -camera.position[1] / rays[..., 1]
    for _ in range(4):
        x, _, z = np.moveaxis(camera.position + depth[..., None] * rays, -1, 0)
        depth = (0.005 * np.sin(50 * x) * np.sin(50 * z) - camera.position[1]) / rays[..., 1]
    points = np.full((HEIGHT, WIDTH, 3), np.nan, np.float32)
    points[::every, ::every] = camera.position + depth[..., None] * rays
    light = np.where(np.isfinite(points[..., 0]), np.float32(0.01), np.float32(np.nan))
    # The channels of the views need no normals.
    return Scan(
        positions=points,
        normals=np.zeros_like(points),
        intensity=light,
        camera=camera.position.astype(np.float32),
        view=camera,
    )


def main() -> None:
    """Filter the scan once, and query the tree once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=4)
    every = parser.parse_args().every
    torch.set_num_threads(1)
    views = [ScanView.of(sheet(camera_at(30.0 * k), every)) for k in range(1, 12)]
    scan = sheet(camera_at(0))
    part = Part("pixels", {"hidden": 0})
    model = seeded(lambda: models.build(part, (len(CHANNEL_NAMES["views"]), 8, 8), 1), 0)()
    print(f"{scan.valid.sum():,} points, {sum(len(view.points) for view in views):,} of the views")
    begun = time.process_time()
    compared = Views(views)
    image = channel_image(scan, "views", compared)
    with torch.inference_mode():
        kept = model(torch.from_numpy(image)[None])[0, 0].numpy() >= 0
    filtered = time.process_time() - begun
    from scipy.spatial import cKDTree

    tree = cKDTree(np.concatenate([view.points for view in views]))
    points = scan.positions[scan.valid]
    begun = time.process_time()
    for start in range(0, len(points), 1 << 16):
        tree.query(points[start : start + (1 << 16)], 8)
    queried = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"filtered in {filtered:.1f} s of the processor ({kept.mean():.2f} kept)")
    print(f"queries alone {queried:.1f} s: the filter takes {filtered / queried:.2f} times as long")
    print(f"memory at most {peak:.2f} GiB")


if __name__ == "__main__":
    main()

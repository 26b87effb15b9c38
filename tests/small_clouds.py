"""Small clouds and untrained models for tests of surfaces."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fedchain.learning.models import seeded
from fedchain.scans.formats import write_cloud
from fedchain.scans.scan import Cloud
from fedchain.surfaces.model_file import SurfaceCard, SurfaceModel, surface_module

BLOCKS = {"refine": ({"kind": "refine", "width": 4}, 16), "pu_net": (
    {"kind": "pu_net", "width": 0.0625, "residual": True}, 64)}  # fmt: skip


def dome(count: int = 200, seed: int = 0) -> Cloud:
    """Return a cloud of points on an upper half of a sphere of 10 cm; brighter to the right."""
    points = np.random.default_rng(seed).normal(size=(count, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    points[:, 2] = np.abs(points[:, 2])
    return Cloud(
        points=(0.1 * points).astype(np.float32),
        normals=points.astype(np.float32),
        intensity=(1 + points[:, 0]).astype(np.float32),
    )


def folder_of_clouds(folder: Path, count: int = 3) -> Path:
    """Write clouds cloud_0.ply, cloud_1.ply ..; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        write_cloud(folder / f"cloud_{number}.ply", dome(60 + number, number))
    return folder


def untrained(kind: str, still: bool = False) -> SurfaceModel:
    """Return a small model of this kind without training; a ``still`` one answers 0."""
    block, points = BLOCKS[kind]
    card = SurfaceCard(model=block, points=points, trained_on="", training={}, scores={})
    module = seeded(lambda: surface_module(card, "test"), 0)()
    for value in module.parameters() if still else ():
        value.data.zero_()
    return SurfaceModel(card, module.eval())

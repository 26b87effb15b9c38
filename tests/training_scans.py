"""Small folders of scans to train on: a bumpy plane with a patch of ghosts above it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fedchain.learning.models import seeded
from fedchain.scans.features import normals_of
from fedchain.scans.scan import Scan
from fedchain.scans.training.model_file import Card, Channel, TrainedModel, module_of
from fedchain.scans.turntable import CHANNEL_NAMES

LIGHT = CHANNEL_NAMES["picture"].index("intensity")
CAMERA = np.array([0, 0, 1], np.float32)


def bumpy(seed: int = 0, height: int = 40, width: int = 48) -> Scan:
    """Return a scan whose dark points, a rectangle, are to be erased; a fifth is empty."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    depth = 0.002 * generator.normal(size=(height, width))
    positions = np.stack([columns / 500, rows / 500, depth], -1).astype(np.float32)
    dark = np.zeros((height, width), bool)
    row, column = generator.integers(0, height // 2), generator.integers(0, width // 2)
    dark[row : row + height // 3, column : column + width // 3] = True
    light = np.where(dark, 0.2, 0.9) + 0.02 * generator.random((height, width))
    empty = generator.random((height, width)) < 0.2
    positions[empty] = np.nan
    return Scan(
        positions=positions,
        normals=normals_of(positions, CAMERA),
        intensity=np.where(empty, np.nan, light).astype(np.float32),
        camera=CAMERA,
        keep=~dark & ~empty,
    )


def write_npz(path: Path, scan: Scan, *, keep: bool = True) -> None:
    """Write a scan as an NPZ file, with or without its mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ["positions", "normals", "intensity", "camera", *(["keep"] if keep else [])]
    np.savez(path, **{name: getattr(scan, name) for name in names})


def folder_of_pairs(folder: Path, pairs: int = 2, more: int = 1) -> Path:
    """Write scans with their mask inside, and further scans without a truth; return the folder."""
    for number in range(pairs + more):
        write_npz(folder / f"scan_{number:03d}.npz", bumpy(number), keep=number < pairs)
    return folder


def by_light(threshold: float = 0.5, low: float = -1e9, high: float = 1e9) -> TrainedModel:
    """Return a model of one pixel that keeps the points whose intensity channel is high."""
    block = {"kind": "pixels", "hidden": 0}
    names = CHANNEL_NAMES["picture"]
    module = seeded(lambda: module_of(block, len(names), (16, 16), "test"), 0)()
    weights, bias = module.parameters()
    weights.data.zero_()
    weights.data[0, LIGHT] = 100.0
    bias.data.fill_(-50.0)
    channels = tuple(Channel(name=n, mean=0.0, deviation=1.0, low=low, high=high) for n in names)
    card = Card(
        model=block, kind="picture", channels=channels, window=16, margin=2, threshold=threshold,
        trained_on="", training={}, scores={},
    )  # fmt: skip
    return TrainedModel(card, module.eval())

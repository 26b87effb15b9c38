"""Simulated scans, tables and first weights have the same bits with every processor's kernels."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import kernels
import numpy as np
import pytest

from fedchain.learning.models import seeded
from fedchain.learning.prediction import outputs_of
from fedchain.learning.task import Records, models, tasks
from fedchain.learning.tasks.augmented import views_of
from fedchain.learning.tasks.classic import standards_of
from fedchain.learning.tasks.directions import principal_directions, random_directions
from fedchain.learning.tasks.features import coordinates
from fedchain.randomness import stream
from fedchain.scans.simulator.scanner import join_scans, simulate
from fedchain.scans.simulator.scenes import site_of
from fedchain.scans.simulator.shapes import SHAPES
from fedchain.scans.tasks.simulated import scan_records
from fedchain.surfaces.solids import SOLIDS

SCANS = "44fd191cb5412c7d"
WEIGHTS = "a7aa65adbb5db93d"
TABLES = "7a002bcbd553b75d"
CLOUDS = "7b75065d8b11a6fd"
"""First digits of the hashes of all scans, all weights, all tables and all clouds."""
NUMPY = {
    "NPY_DISABLE_CPU_FEATURES": kernels.numpy_instructions(),
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
}
TORCH = {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
"""Environment variables that take instructions away from numpy and the C library, and from
torch."""
MODELS = [
    {"kind": "gajdosech_unet", "levels": 2, "width": 2, "norm": "group"},
    {"kind": "gajdosech_unet", "levels": 1, "width": 3, "norm": "group_and_weights"},
    {"kind": "mlp", "hidden": [7, 5]},
    {"kind": "softmax"},
]
LARGE = [
    {"kind": "fcn8s", "width": 1, "window": 1},
    {"kind": "deconvnet", "width": 1, "window": 1},
    {"kind": "havaei", "width": 2},
]
"""Models of images of 8 x 8 and of 32 x 32 pixels."""


def hashed(arrays) -> str:
    """Return the first digits of a hash of some arrays."""
    return hashlib.sha256(b"".join(each.tobytes() for each in arrays)).hexdigest()[:16]


def scans() -> str:
    """Return the hash of scans of all families of shapes, and of their images and targets."""
    names = [("scan", 0, i) for i in range(3)]
    scanned = join_scans([simulate(site_of(0, k), 0, names, 24, k) for k in range(len(SHAPES))])
    records = [scan_records(scanned, mask) for mask in ("object", "outliers")]
    return hashed([*vars(scanned).values(), *(a for r in records for a in (r.inputs, r.targets))])


def weights() -> str:
    """Return the hash of the initial weights of the models."""
    parts = [(models.check(block), 8) for block in MODELS]
    parts += [(models.check(block), 32) for block in LARGE]
    made = [
        seeded(lambda p=part, s=side: models.build(p, (5, s, s), 1), 0)() for part, side in parts
    ]
    return hashed(p.detach().numpy() for model in made for p in model.parameters())


def tables() -> str:
    """Return the hash of a standardised table, its features, and shifted views of its rows."""
    table, public = stream(0, "table").random((300, 30)), np.arange(75)
    found = (standards_of(table, public, scale) for scale in (None, 16))
    standard = [outputs_of(each, table) for each in found]
    pictures = Records(standard[0].reshape(-1, 6, 5), np.zeros(300, np.int64))
    rows, nowhere = standard[1].astype(np.float64), np.zeros(30)
    bases = principal_directions(rows, 7), random_directions(30, 7, 0)
    features = [coordinates(standard[0], nowhere, basis) for basis in bases]
    return hashed([*standard, views_of(pictures, 3, 1, 0).inputs, *bases, *features])


def clouds() -> str:
    """Return the hash of the records of generated shapes of all families."""
    blocks = (
        {"kind": "cloud_refinement", "points": 48, "shapes": 1, "held_out": 1},
        {"kind": "cloud_upsampling", "points": 48, "shapes": 1, "held_out": 1, "patch": 16},
    )
    made = [tasks.build(tasks.check(block), len(SOLIDS), 0) for block in blocks]
    records = [each for task in made for each in (*task.holders, task.held_out)]
    return hashed([array for each in records for array in (each.inputs, each.targets)])


def test_this_process_computes_the_same_as_every_other():
    assert (scans(), weights(), tables(), clouds()) == (SCANS, WEIGHTS, TABLES, CLOUDS)


@pytest.mark.parametrize("fewer", [NUMPY, TORCH, NUMPY | TORCH], ids=["numpy", "torch", "both"])
def test_with_fewer_instructions_the_bits_are_the_same(fewer):
    done = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, **fewer},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [SCANS, WEIGHTS, TABLES, CLOUDS]


if __name__ == "__main__":
    print(scans(), weights(), tables(), clouds())  # noqa: T201

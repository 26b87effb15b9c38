"""Trains the models that make clouds denser on generated shapes, and measures them on real clouds.

    python benchmarks/upsampling.py FOLDER                 # measures the shipped models
    python benchmarks/upsampling.py FOLDER --train OUT     # trains them first: OUT/refine.npz, ..
    python benchmarks/upsampling.py FOLDER --pictures OUT  # also draws the clouds, four and sixteen

FOLDER has clouds of some thousand points (XYZ). A quarter of the points of each is made four times
as dense, and is compared with all points. The trained files belong into
fedchain/surfaces/shipped/. One thread computes, so that the same machine makes the same bytes
again. Prints tables as Markdown.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from fedchain.arrays import Matrix
from fedchain.randomness import stream
from fedchain.scans.formats import read_cloud
from fedchain.surfaces.generated import generate_shape, unit_sphere
from fedchain.surfaces.metrics import NUC_SHARES, chamfer_distance, deviation, nuc
from fedchain.surfaces.midpoints import midpoint_candidates
from fedchain.surfaces.model_file import SHIPPED, ShippedName, read_surface_model
from fedchain.surfaces.model_file import SurfaceModel, write_surface_model
from fedchain.surfaces.solids import FAMILIES
from fedchain.surfaces.training import RECIPES, train_on_shapes
from fedchain.surfaces.upsampling import upsample

FACTOR = 4
"""Number of points that are made of one point."""
JUDGED = 3
"""Number of generated shapes of each family on which the scores of the cards are measured."""
SHOWN = 1000
"""Factor of the Chamfer distance in tables."""
METHODS = "plain midpoints", "midpoints", "refine", "pu_net"
"""Names of the methods, as in tables."""


def main() -> None:
    """Train if asked for, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--train", type=Path, metavar="OUT")
    parser.add_argument("--only", choices=get_args(ShippedName))
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.train is not None:
        for name in [given.only] if given.only else get_args(ShippedName):
            train(name, given.train)
    models = {name: model_at(given.train or SHIPPED, name) for name in get_args(ShippedName)}
    clouds = {path.stem: cloud_of(path) for path in sorted(given.folder.glob("*.xyz"))}
    print_tables(clouds, models)

"""Trains the weights that come with fedchain on simulated turntables, and scores them on others.

    python benchmarks/shipped_weights.py OUT

Does what ``fedchain scan simulate``, ``scan train`` and ``scan evaluate`` do, and writes
OUT/shipped.npz, which belongs into fedchain/scans/training/. One thread computes, so that the same
machine makes the same bytes again. Prints the card's scores as JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from fedchain.randomness import stream
from fedchain.scans.formats import read_scan, write_scan
from fedchain.scans.simulator.folder import simulate_folder
from fedchain.scans.training.cleaning import chances
from fedchain.scans.training.evaluation import evaluate_folder
from fedchain.scans.training.folders import list_folder
from fedchain.scans.training.images import OpenSet, truth_of
from fedchain.scans.training.model_file import (
    TrainedModel,
    read_model,
    weights_digest,
    write_model,
)
from fedchain.scans.training.scores import Judged, scores_of
from fedchain.scans.training.training import Recipe, train_folder


@dataclass(frozen=True)
class Turntables:
    """Some simulated turntables."""

    seed: int
    """Seed of the simulator."""
    turntables: int
    """Number of turntables."""
    views: int
    """Scans of each turntable."""
    size: tuple[int, int] = (192, 256)
    """Rows and columns of a scan."""


LEARNED = Turntables(100, 8, 16), Turntables(101, 8, 8), Turntables(102, 4, 8, (384, 512))
"""Turntables that the model learns from: two whole rings of cameras, or two half ones."""
JUDGED = Turntables(0, 4, 16), Turntables(1, 4, 8)
"""Turntables that the model is judged on."""
EXPOSURE = 5
"""The brightness of each turntable that the model learns from is multiplied by a power of two,
whose exponent lies between minus and plus this number: scanners count their light in units of their
own."""
RECIPE = Recipe.of(
    {
        "model.kind": "pixels",
        "model.hidden": 16,
        "channels": "all",
        "steps": 800,
        "learning_rate": 0.03,
        "threshold": 0.35,
        "held_out": "none",
        "check_every": 200,
    }
)
"""How the model is trained. A model of single pixels knows nothing of the size of a pixel, which
differs between scanners. A threshold below one half keeps points in doubt, because the scans of
other scanners hold more doubtful points than simulated ones."""


def main() -> None:
    """Make the weights in the folder OUT."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    out = parser.parse_args().out
    shutil.rmtree(out, ignore_errors=True)
    torch.set_num_threads(1)
    learned = simulate(out / "learned", LEARNED)
    expose(learned)
    made = train_folder(learned, out / "shipped.npz", RECIPE, device="cpu").trained
    judged = simulate(out / "judged", JUDGED)
    write_model(out / "shipped.npz", with_scores(made, judged))
    print(json.dumps(read_model(out / "shipped.npz").card.scores))


def with_scores(made: TrainedModel, folder: Path) -> TrainedModel:
    """Return a model whose card says what it learned from, and how it scores on others."""
    points = made.card.training["points_learned_from"]
    learned, judged = (
        sum(each.turntables * each.views for each in parts) for parts in (LEARNED, JUDGED)
    )
    told = {
        "trained_on": f"simulated turntables alone: {learned} scans of {points:,} points",
        "scores": {
            **evaluate_folder(folder, made).mean,
            "model_over_all_points": scores_together(made, folder),
        },
        "training": {
            **made.card.training,
            "held_out": f"{judged} scans of other simulated turntables",
            "weights_digest": weights_digest(made.module),
            "licence": "MIT",
        },
    }
    return replace(made, card=made.card.model_copy(update=told))


def scores_together(made: TrainedModel, folder: Path) -> Mapping[str, float]:
    """Return the metrics of a model over the points of all scans together."""
    keep, chance = [], []
    for each in list_folder(folder).sets:
        opened = OpenSet.for_model(each, made.card)
        for file in each.scans:
            read = opened.image(file)
            keep.append(truth_of(file, read.scan)[read.box][read.valid])
            chance.append(chances(made, read.image, read.valid)[read.valid])
    right, found = np.concatenate(keep)[None], np.concatenate(chance)[None]
    whole = np.ones(right.shape, bool)
    return scores_of(Judged(whole, right, found >= made.card.threshold, found))


def simulate(folder: Path, parts: Sequence[Turntables]) -> Path:
    """Write turntables, each a folder of its own; return the folder of all."""
    folder.mkdir(parents=True)
    for part in parts:
        place = folder / f"part_{part.seed}"
        made = simulate_folder(
            place, seed=part.seed, turntables=part.turntables, views=part.views, size=part.size
        )
        list(made)
        for turntable in sorted(place.iterdir()):
            turntable.rename(folder / f"{part.seed:03d}_{turntable.name}")
        place.rmdir()
    return folder


def expose(folder: Path) -> None:
    """Multiply the brightness of each turntable by a factor of its own."""
    for turntable in sorted(folder.iterdir()):
        octaves = stream(0, "exposure", turntable.name).uniform(-EXPOSURE, EXPOSURE)
        for path in sorted(turntable.glob("scan_*.npz")):
            scan = read_scan(path)
            write_scan(
                path,
                replace(scan, intensity=scan.intensity * scan.intensity.dtype.type(2**octaves)),
            )


if __name__ == "__main__":
    main()

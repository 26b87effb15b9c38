"""Real scans: what filters and small models reach on scans of a turntable, trained on others.

Trains on one cleaned scan and measures on another, in both directions, with and without a cleaned
scan as a view, in the stored and in refined poses, and prints a table for docs/scans.md:

    python benchmarks/real_scans.py FOLDER [--refined]

FOLDER holds pairs gpu_X.cogs and clean_X.cogs; other scans of it and of its sub-folders are views.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fedchain.learning.models import seeded
from fedchain.learning.task import Records, losses, models
from fedchain.registry import Part
from fedchain.scans.baselines import classical, learned
from fedchain.scans.formats import read_scan
from fedchain.scans.scan import Scan, bounding_box
from fedchain.scans.segmentation import mask_metrics, targets_of
from fedchain.scans.training.cleaning import logits_in
from fedchain.scans.training.examples import statistics_of
from fedchain.scans.training.optimisation import Example, StepSchedule, begin, optimise
from fedchain.scans.training.recipe import DEFAULT_MODEL
from fedchain.scans.turntable import CHANNEL_NAMES, ScanView, Views, channel_image, read_set
from fedchain.scans.turntable.refinement import refined_poses, refined_scan

BCE = Part("bce", {"keep_weight": 0.5})
SIDE, MARGIN, SEEDS = 96, 16, (0, 1, 2)
MODELS = {
    # The model, its steps, the largest learning rate, and the chance to be kept below which a point
    # is erased.
    "single pixels": (Part("pixels", {"hidden": 0}), 400, 0.1, 0.7),
    "single pixels, 16 hidden": (Part("pixels", {"hidden": 16}), 400, 0.01, 0.7),
    # What `fedchain scan train` does without options.
    "U-Net": (DEFAULT_MODEL, 200, 3e-3, 0.2),
}


def scans_of(folder: Path, refined: bool) -> tuple[dict[str, Scan], dict[str, np.ndarray]]:
    """Return all scans by name, and the masks of those that were cleaned."""
    cleaned = {path.stem[6:]: path for path in sorted(folder.glob("clean_*.cogs"))}
    files = [path for path in sorted(folder.rglob("*.*")) if path not in set(cleaned.values())]
    found = read_set(files)
    scans = {path.name.split(".")[0]: found.member(path).scan for path in found.cameras}
    if refined:
        poses = refined_poses(scans)
        for name, pose in poses.items():
            print(
                f"{name}: moved {1000 * pose.moved_m:.2f} mm, {pose.turned_deg:.2f} degrees, "
                f"{pose.inliers} inliers {pose.refused and '(refused: ' + pose.refused + ')'}"
            )
        scans = {name: refined_scan(scan, poses[name]) for name, scan in scans.items()}
    masks = {f"gpu_{name}": read_scan(path).valid for name, path in cleaned.items()}
    return scans, masks


def measured(kept: np.ndarray, rank: np.ndarray | None, example: Example) -> Mapping[str, float]:
    """Return the metrics of a mask."""
    record = Records(np.zeros((1, 0)), targets_of(example.keep, example.valid)[None])
    return mask_metrics(kept[None], record, None if rank is None else -rank[None])


def trained(name: str, training: Example, test: Example, seed: int) -> Mapping[str, float]:
    """Train a model on one scan, and measure it on another."""
    part, steps, rate, threshold = MODELS[name]
    channels = statistics_of([training], CHANNEL_NAMES["views"], 0)
    state = begin(seeded(lambda: models.build(part, (len(channels), SIDE, SIDE), 1), seed)())
    schedule = StepSchedule(
        steps=steps, batch=6, window=SIDE, margin=MARGIN, learning_rate=rate, check_every=steps,
        patience=steps, seed=seed,
    )  # fmt: skip
    loss = losses.build(BCE)
    optimise(state, [training], channels, loss, schedule, lambda _: None, lambda *_: None)
    logits = logits_in(state.module, test.image, test.valid, test.valid, channels, SIDE, MARGIN)
    return measured(1 / (1 + np.exp(-logits)) >= threshold, logits, test)


def main() -> None:
    """Print one table for each direction and each set of views."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--refined", action="store_true", help="refine the poses (small_gicp)")
    asked = parser.parse_args()
    scans, masks = scans_of(asked.folder, asked.refined)
    frame = "refined" if asked.refined else "stored"
    for clean in (False, True):
        views = {n: ScanView.of(s) for n, s in scans.items() if clean or not n.startswith("clean_")}
        parts: dict[str, tuple[Scan, Views, Example]] = {}
        for name, keep in masks.items():
            box = bounding_box(scans[name].valid)
            part = scans[name].part(box)
            others = Views([view for other, view in views.items() if other != name])
            nothing = np.zeros(part.valid.shape, bool)
            image = channel_image(part, "views", others)
            parts[name] = part, others, Example(name, image, part.valid, keep[box], nothing)
        for test, (scan, others, example) in parts.items():
            (training,) = (parts[other][2] for other in parts if other != test)
            print(
                f"\ntrained on {training.name}, measured on {test}, {frame} poses, "
                f"cleaned scan among the views: {'yes' if clean else 'no'}"
            )
            show(table_of(scan, others, training, example))


def table_of(
    scan: Scan, views: Views, training: Example, test: Example
) -> dict[str, tuple[Mapping[str, float], float]]:
    """Return the metrics and the seconds of the processor of every filter and model."""
    found: dict[str, tuple[Mapping[str, float], float]] = {}
    for name, made in classical(scan, views).items():
        found[name] = (measured(made.kept, made.rank, test), 0.0)
    for name, chances in learned([training.image], [training.valid], [training.keep]).items():
        chance = chances(test.image)
        found[name] = (measured(chance >= 0.7, chance, test), 0.0)
    for name in MODELS:
        begun = time.process_time()
        each = [trained(name, training, test, seed) for seed in SEEDS]
        mean = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
        found[name] = (mean, (time.process_time() - begun) / len(SEEDS))
    return found


def show(found: Mapping[str, tuple[Mapping[str, float], float]]) -> None:
    """Print a table in Markdown."""
    names = (
        "iou",
        "outlier_precision",
        "outlier_recall",
        "outlier_f1",
        "outlier_ap",
        "outlier_auc",
    )
    print("| filter | IoU | precision | recall | F1 | AP | AUC | CPU-s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, (metrics, seconds) in found.items():
        cells = " | ".join(f"{metrics[key]:.3f}" for key in names)
        print(f"| {name.replace('_', ' ')} | {cells} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()

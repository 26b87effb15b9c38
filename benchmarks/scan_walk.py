"""Makes the pictures and the table of the walk in docs/scans.md, from simulated scans.

    python benchmarks/scan_walk.py OUT

Does what the walk's commands do: simulates turntables, trains a model on some of their scans,
cleans the others and compares them with the truth. Prints the mean scores as JSON. OUT is a new
folder.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from fedchain.reports.figures.style import axes, legend_below, styled
from fedchain.scans.formats import read_scan
from fedchain.scans.pictures import ERASED, KEPT, LOST, MISSED, draw_panels
from fedchain.scans.scan import Scan, bounding_box
from fedchain.scans.simulator.folder import simulate_folder
from fedchain.scans.training.cleaning import chances
from fedchain.scans.training.evaluation import evaluate_folder
from fedchain.scans.training.folders import list_folder
from fedchain.scans.training.images import OpenSet, truth_of
from fedchain.scans.training.model_file import TrainedModel, read_model
from fedchain.scans.training.recipe import Recipe
from fedchain.scans.training.training import train_folder
from fedchain.scans.turntable import Views, channel_image

CLEANED_BY_HAND, UNSEEN = "*_00[0-5]", "*_00[67]"
"""Names of the scans to learn from, and of those on which the model is measured."""
SHOWN = "turntable_00/scan_006"
"""Scan whose panels and cloud are shown."""
RING = 4
"""Views of one turntable that are shown."""


def main() -> None:
    """Take the walk into the folder OUT."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    out = parser.parse_args().out
    scans, recipe = out / "scans", Recipe.of({"channels": "all"})
    list(simulate_folder(scans))
    made = train_folder(scans, out / "cleaner.npz", recipe, scans=CLEANED_BY_HAND)
    trained = read_model(out / "cleaner.npz")
    found = evaluate_folder(scans, trained, scans=UNSEEN)
    draw_simulated(scans / "turntable_00", out / "scan_simulated.png")
    draw_history(made.history, out / "scan_training.png")
    draw_shown(scans, trained, out)
    print(json.dumps({"mean": found.mean, "card": made.trained.card.scores}))


def picture_of(scan: Scan) -> np.ndarray:
    """Return the five channels of a scan within the box of its points."""
    return channel_image(scan.part(bounding_box(scan.valid)), "picture", Views([]))


def enlarged(picture: np.ndarray) -> np.ndarray:
    """Return a picture (height, width, 3) at twice the size, without blur."""
    return picture.repeat(2, axis=0).repeat(2, axis=1)


def draw_simulated(folder: Path, path: Path) -> None:
    """Draw some views of one turntable: scan, points to keep, points to erase."""
    rows = []
    for number in range(RING):
        scan = read_scan(folder / f"scan_{number:03d}.npz")
        keep = read_scan(folder / f"clean_{number:03d}.npz").valid
        box = bounding_box(scan.valid)
        panels = draw_panels(picture_of(scan), scan.valid[box], keep[box], scan.valid[box])
        width = (panels.shape[1] + 4) // 5
        rows.append(np.concatenate([panels[:, : width - 4], panels[:, 4 * width :]], axis=1))
    height = max(row.shape[0] for row in rows)
    below = [((0, height - row.shape[0]), (0, 8), (0, 0)) for row in rows]
    whole = [np.pad(row, each, constant_values=255) for row, each in zip(rows, below, strict=True)]
    sheet = np.concatenate(whole, axis=1)
    Image.fromarray(enlarged(sheet)).save(path)


def draw_history(history: list[tuple[int, float]], path: Path) -> None:
    """Draw the loss on the points held out against the step."""
    with styled():
        figure, ax = axes()
        ax.plot(*zip(*history, strict=True), marker="o")
        ax.set(xlabel="step", ylabel="cross-entropy of the points held out", ylim=(0, None))
        figure.savefig(path, dpi=150)


def draw_shown(scans: Path, trained: TrainedModel, out: Path) -> None:
    """Draw one scan: its panels, and its cloud from the side in the colours of right and wrong."""
    each, file = next(
        (each, file)
        for each in list_folder(scans).sets
        for file in each.scans
        if file.name == SHOWN
    )
    read = OpenSet.for_model(each, trained.card).image(file)
    keep, valid = truth_of(file, read.scan)[read.box], read.valid
    kept = chances(trained, read.image, valid) >= trained.card.threshold
    panels = draw_panels(picture_of(read.scan), valid, keep, kept)
    Image.fromarray(enlarged(panels)).save(out / "scan_cleaned.png")
    points = read.scan.positions[read.box]
    with styled():
        figure, ax = axes()
        for where, colour, name in (
            (keep & kept, KEPT, "rightly kept"), (~keep & ~kept, ERASED, "rightly erased"),
            (~keep & kept, MISSED, "wrongly kept"), (keep & ~kept, LOST, "wrongly erased"),
        ):  # fmt: skip
            x, y, _ = 1000 * points[where & valid].T
            ax.scatter(x, y, s=0.5, color=np.array(colour) / 255, label=name)
        ax.set(xlabel="x, mm", ylabel="height, mm", aspect="equal")
        legend_below(figure, 2)
        figure.savefig(out / "scan_errors.png", dpi=150)


if __name__ == "__main__":
    main()

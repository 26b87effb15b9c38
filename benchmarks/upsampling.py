"""Trains the models that make clouds denser on generated shapes, and measures them on real clouds.

    python benchmarks/upsampling.py FOLDER                   # measures the shipped models
    python benchmarks/upsampling.py FOLDER --train OUT       # trains them first: OUT/refine.npz, ..
    python benchmarks/upsampling.py FOLDER --pictures OUT    # also draws clouds, x4 and x16
    python benchmarks/upsampling.py FOLDER --large           # also times 20,000 points

FOLDER has clouds of 5,000 points (XYZ). Of each, 1,250 points are drawn and made four times as
dense, and the result is compared with all points. The trained files belong into
fedchain/surfaces/shipped/. One thread computes, so that the same machine makes the same bytes
again. Prints tables as Markdown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from fedchain.arrays import Matrix
from fedchain.scans.formats import read_cloud
from fedchain.surfaces.examples import CANDIDATE_NEIGHBOURS
from fedchain.surfaces.generated import generate_shape, unit_sphere
from fedchain.surfaces.metrics import (
    NUC_SHARES,
    chamfer_distance,
    deviation,
    hausdorff_distance,
    nuc,
)
from fedchain.surfaces.midpoints import midpoint_candidates
from fedchain.surfaces.model_file import (
    SHIPPED_MODELS,
    ShippedName,
    SurfaceModel,
    read_surface_model,
    write_surface_model,
)
from fedchain.surfaces.neighbours import farthest_points
from fedchain.surfaces.solids import SOLIDS
from fedchain.surfaces.tasks.shapes import plain_midpoints
from fedchain.surfaces.training import RECIPES, train_on_shapes
from fedchain.surfaces.upsampling import upsample

POINTS, FACTOR = 1250, 4
"""Number of points that are made denser, and by which factor."""
JUDGED = 3
"""Number of generated shapes of each family on which the scores of the cards are measured."""
LARGE = 20_000
"""Number of points whose upsampling is timed."""
Method = Callable[[Matrix], Matrix]
"""Function that makes points denser."""


def main() -> None:
    """Train if asked for, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--train", type=Path, metavar="OUT")
    parser.add_argument("--only", choices=get_args(ShippedName), help="train this model only")
    parser.add_argument("--pictures", type=Path, metavar="OUT")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--timed", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.timed:
        print(json.dumps(timed(given.timed)))
        return
    if given.train is not None:
        for name in [given.only] if given.only else get_args(ShippedName):
            train(name, given.train)
    models = {name: read_surface_model(place_of(given.train, name)) for name in RECIPES}
    clouds = {path.stem: unit_cloud(path) for path in sorted(given.folder.glob("*.xyz"))}
    print_tables(clouds, models)
    if given.large:
        print_large(given.folder)
    if given.pictures is not None:
        from upsampling_pictures import draw_clouds

        draw_clouds(given.pictures, {name: drawn_points(each) for name, each in clouds.items()})


def place_of(trained: Path | None, name: str) -> Path:
    """Return the file of a model: that of a training, or the shipped one."""
    own = None if trained is None else trained / f"{name}.npz"
    return own if own is not None and own.exists() else SHIPPED_MODELS / f"{name}.npz"


def train(name: ShippedName, out: Path) -> None:
    """Train a model, measure it on generated shapes that it has not seen, and write its file."""

    def show(step: int, steps: int, loss: float) -> None:
        if step % max(1, steps // 20) == 0:
            print(f"{name}: step {step} of {steps}, loss {loss:.5f}", file=sys.stderr)

    began = time.process_time()
    made = train_on_shapes(RECIPES[name], show)
    seconds = round(time.process_time() - began)
    training = {**made.card.training, "processor_seconds": seconds}
    card = made.card.model_copy(update={"training": training, "scores": scores_of(made)})
    out.mkdir(parents=True, exist_ok=True)
    write_surface_model(out / f"{name}.npz", replace(made, card=card))
    print(f"{name}: {seconds} s of one processor", file=sys.stderr)


def scores_of(made: SurfaceModel) -> dict[str, dict[str, float]]:
    """Return the Chamfer distance times 1,000 on generated shapes, for a model and baselines."""
    found: dict[str, list[float]] = {}
    for family in SOLIDS:
        for number in range(JUDGED):
            shape = generate_shape(0, ["judged", number], family, POINTS, (FACTOR - 1) * POINTS)
            truth = np.concatenate([shape.points, shape.truth])
            centre, radius = unit_sphere(truth)
            for method, run in methods({made.card.kind: made}).items():
                denser = run((shape.points - centre) / radius)
                distance = chamfer_distance(denser, (truth - centre) / radius)
                found.setdefault(method, []).append(1000 * distance)
    return {name: {"chamfer": round(float(np.mean(each)), 4)} for name, each in found.items()}


def methods(models: Mapping[str, SurfaceModel]) -> dict[str, Method]:
    """Return the methods by name: those without learning, then the models."""
    plain: dict[str, Method] = {
        "plain midpoints": plain_midpoints,
        "midpoints": lambda points: upsample(points, "midpoints", factor=FACTOR),
        "unmoved": unmoved,
    }
    learned: dict[str, Method] = {
        name: lambda points, name=name: upsample(  # type: ignore[misc]
            points, name, factor=FACTOR, model=models[name]
        )
        for name in models
    }
    return {**plain, **learned}


def unmoved(points: Matrix) -> Matrix:
    """Return what ``refine`` returns if its model moves nothing."""
    every = np.concatenate([points, midpoint_candidates(points, CANDIDATE_NEIGHBOURS)])
    return every[farthest_points(every, FACTOR * len(points), len(points))]


def unit_cloud(path: Path) -> Matrix:
    """Return the points of a file, moved and scaled into the unit sphere."""
    points = read_cloud(path).points.astype(np.float64)
    centre, radius = unit_sphere(points)
    return np.asarray((points - centre) / radius)


def drawn_points(cloud: Matrix) -> Matrix:
    """Return the points of a cloud that are made denser."""
    chosen = np.random.default_rng(0).choice(len(cloud), POINTS, replace=False)
    return np.asarray(cloud[chosen])


def print_tables(clouds: Mapping[str, Matrix], models: Mapping[str, SurfaceModel]) -> None:
    """Print distances of every method, and the uniformity of the learned ones."""
    inputs = {name: drawn_points(cloud) for name, cloud in clouds.items()}
    denser = {
        method: {name: run(points) for name, points in inputs.items()}
        for method, run in methods(models).items()
    }
    every = {"input": inputs, **denser}
    chamfer = {
        method: [1000 * chamfer_distance(own[name], cloud) for name, cloud in clouds.items()]
        for method, own in every.items()
    }
    print("Squared Chamfer distance times 1,000:\n")
    header = ["method", *clouds, "mean", "of midpoints", "of plain midpoints"]
    known = [float(np.mean(chamfer[name])) for name in ("midpoints", "plain midpoints")]
    print_rows(header, (distance_row(*each, known) for each in chamfer.items()))
    print(
        "\nMeans over the clouds: Hausdorff distance, distance to the nearest point of the truth:\n"
    )
    print_rows(["method", "Hausdorff", "deviation"], (mean_row(*e, clouds) for e in every.items()))
    shares = [f"{100 * share:g} %" for share in NUC_SHARES]
    print("\nApproximate NUC at shares p of the surface:\n")
    shown = {name: every[name] for name in ("input", "midpoints", *models)}
    print_rows(["cloud", "method", *shares], nuc_rows(clouds, shown))
    print("\nTraining:\n")
    print_rows(
        ["model", "weights", "shapes", "steps", "processor seconds"], map(card_row, models.values())
    )


def distance_row(method: str, values: Sequence[float], known: Sequence[float]) -> list[str]:
    """Return the row of a method in the table of Chamfer distances."""
    mean = float(np.mean(values))
    return [method, *map(short, values), short(mean), *(short(mean / each) for each in known)]


def mean_row(method: str, own: Mapping[str, Matrix], clouds: Mapping[str, Matrix]) -> list[str]:
    """Return the row of a method in the table of other distances."""
    far = [hausdorff_distance(own[name], cloud) for name, cloud in clouds.items()]
    near = [deviation(own[name], cloud) for name, cloud in clouds.items()]
    mean, spread = np.mean(near, axis=0)
    return [method, f"{np.mean(far):.4f}", f"{mean:.4f} ± {spread:.4f}"]


def nuc_rows(
    clouds: Mapping[str, Matrix], shown: Mapping[str, Mapping[str, Matrix]]
) -> Iterable[list[str]]:
    """Yield the rows of the table of the NUC."""
    for name, cloud in clouds.items():
        for method, own in shown.items():
            yield [name, method, *map(short, nuc(own[name], cloud))]


def card_row(model: SurfaceModel) -> list[str]:
    """Return the row of a model in the table of trainings."""
    names = "weights", "shapes", "steps", "processor_seconds"
    return [model.card.kind, *(f"{model.card.training[name]:,}" for name in names)]


def short(value: float) -> str:
    """Return a number with three digits, without the zero before the point."""
    return f"{value:.3f}".lstrip("0")


def print_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as Markdown."""
    for row in (header, ["---"] * len(header), *rows):
        print(f"| {' | '.join(row)} |")


def print_large(folder: Path) -> None:
    """Print seconds and memory of each method for 20,000 points, each in a process of its own."""
    print(f"\n{LARGE:,} points, four times as many:\n")
    rows = []
    for method in ("midpoints", "refine", "pu_net"):
        told = subprocess.run(
            [sys.executable, __file__, str(folder), "--timed", method],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds, before, after = json.loads(told.stdout)
        rows.append([method, f"{seconds:.1f}", f"{before:.2f}", f"{after:.2f}"])
    print_rows(["method", "processor seconds", "GB before", "GB at most"], rows)


def timed(method: str) -> tuple[float, float, float]:
    """Return the processor seconds of a method, and the peak of memory before and after, in GB."""
    import resource

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6

    points = generate_shape(0, ["large"], "creatures", LARGE, 0).points
    model = None if method == "midpoints" else read_surface_model(SHIPPED_MODELS / f"{method}.npz")
    before, began = peak(), time.process_time()
    upsample(points, method, factor=FACTOR, model=model)  # type: ignore[arg-type]
    return time.process_time() - began, before, peak()


if __name__ == "__main__":
    main()

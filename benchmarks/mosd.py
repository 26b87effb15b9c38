"""Measures scenarios/mosd.yaml on a folder of scans: centralised, federated, and private.

python benchmarks/mosd.py FOLDER [--seeds 3] [--epochs 60] [--pictures OUT]

FOLDER holds the 85 scans as NPZ files with a mask keep: learn0.npz .. learn44.npz to train on, and
test0.npz .. test39.npz for measuring. About seven minutes of one processor. Prints one row for each
kind of training: the mean IoU of the kept object over the seeds, and the IoU of each seed.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import fedchain
from fedchain.learning.task import Records, Task, join_records, models, tasks
from fedchain.registry import Part
from fedchain.scenario import Scenario

SCENARIO = Path(__file__).resolve().parents[1] / "scenarios" / "mosd.yaml"
LARGE = {"kind": "gajdosech_unet", "levels": 4, "width": 5, "norm": "group"}
BATCH, RATE = 6, 0.01


def task_of(scenario: Scenario, seed: int, model: dict[str, object] | None) -> Task:
    """Return the task of the scenario, with another model if one is given."""
    parameters = dict(scenario.task.parameters)
    if model:
        parameters["model"] = models.check(model)
    return tasks.build(Part(scenario.task.kind, parameters), scenario.nodes.holders, seed)


def trained(task: Task, records: Records, epochs: int, seed: int) -> nn.Module:
    """Train the task's model on records of all holders together: Adam, a rate of one cycle."""
    torch.manual_seed(seed)
    model = task.model()
    inputs, targets = (torch.tensor(each) for each in (records.inputs, records.targets))
    optimizer = torch.optim.Adam(model.parameters())
    batches = -(-len(inputs) // BATCH)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * batches)
    for _ in range(epochs):
        for some in torch.randperm(len(inputs)).split(BATCH):
            images, masks = inputs[some], targets[some]
            if torch.rand(()) < 0.5:
                images, masks = images.flip(-1), masks.flip(-1)
            optimizer.zero_grad()
            task.loss(model(images), masks).mean().backward()
            optimizer.step()
            cycle.step()
    return model


def centralised(
    scenario: Scenario, epochs: int, seed: int, model: dict[str, object] | None = None
) -> float:
    """Return the IoU of a model that is trained where all records are, without noise."""
    task = task_of(scenario, seed, model)
    module = trained(task, join_records(task.holders), epochs, seed)
    with torch.inference_mode():
        outputs = module(torch.tensor(task.held_out.inputs)).numpy()
    return task.measure(outputs, task.held_out)["iou"]


def federated(folder: Path, seed: int, pictures: Path | None, **other: object) -> float:
    """Return the IoU of a run of the scenario; copy its pictures if a folder is given."""
    changed = {"task.path": str(folder), "seed": seed, "evaluate.every": 40, **other}
    with tempfile.TemporaryDirectory() as runs:
        run = fedchain.run(fedchain.load(SCENARIO, set=changed), runs)
        if pictures:
            shutil.copytree(run.folder / "samples", pictures, dirs_exist_ok=True)
        return run.summary()["metrics"]["iou"]


def main() -> None:
    """Train in every way with every seed, and print a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with the scans")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, from 0 on")
    parser.add_argument("--epochs", type=int, default=60, help="epochs of centralised training")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of the private run")
    given = parser.parse_args()
    torch.set_num_threads(1)
    scenario = fedchain.load(SCENARIO, set={"task.path": str(given.folder)})
    for name, metrics in task_of(scenario, 0, None).baselines.items():
        print(f"{name:40} {metrics['iou']:.3f}", flush=True)
    ways: dict[str, Callable[[int], float]] = {
        "centralised, 93,666 weights": lambda seed: centralised(
            scenario, given.epochs, seed, LARGE
        ),
        "centralised, 2,035 weights": lambda seed: centralised(scenario, given.epochs, seed),
        "ten holders, no noise": lambda seed: federated(
            given.folder, seed, None, privacy={"kind": "none"}
        ),
        "ten holders, epsilon 8": lambda seed: federated(given.folder, seed, given.pictures),
    }
    for name, way in ways.items():
        found = [way(seed) for seed in range(given.seeds)]
        each = " ".join(f"{iou:.3f}" for iou in found)
        print(f"{name:40} {statistics.mean(found):.3f}   {each}", flush=True)


if __name__ == "__main__":
    main()

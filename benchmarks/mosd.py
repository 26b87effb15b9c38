"""Measures scenarios/mosd.yaml on a folder of scans: centralised, federated, and private.

python benchmarks/mosd.py FOLDER [--seeds 3] [--epochs 60] [--pictures OUT]

FOLDER holds the 85 scans as NPZ files with a mask keep: learn0.npz .. learn44.npz to train on, and
test0.npz .. test39.npz for measuring. About seven minutes of one processor. Prints one row for each
kind of training: the mean IoU of the kept object over the seeds, and the IoU of each seed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib import image
from torch import nn

import fedchain
from fedchain.learning.task import Records, Task, join_records, tasks
from fedchain.scenario import Scenario

SCENARIO = Path(__file__).resolve().parents[1] / "scenarios" / "mosd.yaml"
LARGE = {"kind": "gajdosech_unet", "levels": 4, "width": 5, "norm": "group"}
BATCH, RATE = 6, 0.01


def task_of(scenario: Scenario, seed: int, model: dict[str, object] | None) -> Task:
    """Return the task of the scenario, with another model if one is given."""
    part = scenario.task
    block = {"kind": part.kind, **part.parameters} | ({"model": model} if model else {})
    return tasks.build(tasks.check(block), scenario.nodes.holders, seed)


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
    scenario: Scenario, model: dict[str, object] | None, epochs: int, seed: int
) -> Task: ...

"""The models of scans, small: parameters, quality and time of each on simulated scans.

    python benchmarks/zoo.py [--only unet] [--json]

Every model learns the object task of ``scan_segmentation`` centrally, from 600 simulated scans of
32 x 32 pixels, with GroupNorm, Adam and one cycle of the learning rate, for 8 epochs; ``havaei`` is
trained in two phases, for 3 epochs in all. Prints the parameters, the mean intersection over union
on 400 held-out scans, and the processor time of training, beside keeping every point. One thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fedchain.machine import prepare

prepare()  # before torch is loaded

import torch  # noqa: E402

from fedchain.learning.evaluation import Evaluation, dimension, flat_weights  # noqa: E402
from fedchain.learning.task import Task, join_records, tasks  # noqa: E402
from fedchain.scans.models.havaei import TwoPaths  # noqa: E402
from fedchain.scans.models.two_phases import train_two_phases  # noqa: E402

HOLDERS, RECORDS, HELD_OUT = 20, 30, 400


@dataclass(frozen=True)
class Entry:
    """A model at a small width, and how it is trained."""

    kind: str
    """Name of the model."""
    width: int
    """Its width."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Its further parameters."""
    rate: float = 3e-3
    """Largest learning rate."""
    loss: str = "dice"
    """Name of the loss."""
    batch: int = 4
    """Number of scans in a step."""
    epochs: int = 8
    """How often training goes through the scans."""


ENTRIES = (
    Entry("gajdosech_unet", 2, {"levels": 2}, rate=1e-2),
    Entry("gajdosech_unet", 8, {"levels": 4}),
    Entry("gajdosech_fcn", 4, loss="bce"),
    Entry("havaei", 4, batch=8, epochs=3),
    Entry("fcn8s", 4, {"window": 1}),
    Entry("deconvnet", 4, {"window": 1}, batch=8),
    Entry("unet", 8, batch=8),
    Entry("ternausnet", 8),
)


@dataclass(frozen=True)
class Row:
    """What was measured of one model."""

    kind: str
    """Name of the model."""
    width: int
    """Its width."""
    parameters: int
    """Number of its parameters."""
    iou: float
    """Mean intersection over union on the held-out scans."""
    kept: float
    """The same of keeping every point."""
    seconds: float
    """Processor time of training, seconds."""


def main() -> None:
    """Train every model, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="name of the one model to train")
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [entry for entry in ENTRIES if asked.only in (None, entry.kind)]
    if asked.json:
        print(json.dumps([asdict(measured(entry)) for entry in chosen]))
        return
    for entry in chosen:
        row = measured(entry)
        print(
            f"{row.kind:15} width {row.width:2} {row.parameters:9,} parameters  "
            f"IoU {row.iou:.3f} (keep everything {row.kept:.3f})  {row.seconds:5.1f} CPU-s",
            flush=True,
        )


def measured(entry: Entry) -> Row:
    """Train one model, and measure it."""
    task = task_of(entry)
    model = task.model()
    began = time.process_time()
    train(task, model, entry)
    seconds = time.process_time() - began
    metrics, _ = Evaluation(task)(flat_weights(model))
    kept = task.baselines["keep_everything"]["iou"]
    return Row(entry.kind, entry.width, dimension(model), metrics["iou"], kept, seconds)


def task_of(entry: Entry) -> Task:
    """Return the object task with a model."""
    model = {"kind": entry.kind, "width": entry.width, "norm": "group", **entry.more}
    block = {"kind": "scan_segmentation", "records_per_holder": RECORDS, "held_out": HELD_OUT}
    block |= {"model": model, "loss": {"kind": entry.loss}}
    return tasks.build(tasks.check(block), HOLDERS, 0)


def train(task: Task, model: torch.nn.Module, entry: Entry) -> None:
    """Train a model on the records of all holders."""
    known = join_records(task.holders)
    images, masks = torch.from_numpy(known.inputs), torch.from_numpy(known.targets)
    if isinstance(model, TwoPaths):
        times, how = (entry.epochs - 2, 2), {"batch": entry.batch, "rate": entry.rate}
        train_two_phases(model, images, masks, epochs=times, **how)
        return
    draws = torch.Generator().manual_seed(0)
    orders = [torch.randperm(len(images), generator=draws) for _ in range(entry.epochs)]
    steps = [some for order in orders for some in order.split(entry.batch)]
    optimiser = torch.optim.Adam(model.parameters(), entry.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, entry.rate, len(steps))
    for some in steps:
        optimiser.zero_grad()
        task.loss(model(images[some]), masks[some]).mean().backward()
        optimiser.step()
        schedule.step()


if __name__ == "__main__":
    main()

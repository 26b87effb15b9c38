"""What a central model reaches on the simulated scans of today's tasks, beside the baselines.

``python benchmarks/scan_accuracy.py [--size 64] [--records 50] [--epochs 12] [--width 8]``

For each mask (object, outliers) it trains a U-Net on the scans of all holders together, on one
thread, and prints IoU and F1 of outliers on held-out scans, and the processor time.
"""

from __future__ import annotations

import argparse
import time
from typing import get_args

import torch

from fedchain.learning.task import Task
from fedchain.registry import Part
from fedchain.scans.scan import MaskName
from fedchain.scans.tasks.simulated import scan_segmentation

HOLDERS, BATCH, RATE = 12, 8, 3e-3


def main() -> None:
    """Print one line for each mask."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("size", 64), ("records", 50), ("epochs", 12), ("width", 8), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = Part("gajdosech_unet", {"levels": 3, "width": options.width, "norm": "group"})
    for mask in get_args(MaskName):
        task = scan_segmentation(
            HOLDERS,
            options.seed,
            mask=mask,
            size=options.size,
            records_per_holder=options.records,
            held_out=240,
            model=model,
        )
        start = time.process_time()
        metrics = trained(task, options.epochs, options.seed)
        spent = time.process_time() - start
        keep = task.baselines["keep_everything"]
        print(
            f"{mask:8s} IoU {metrics['iou']:.3f} (keep everything {keep['iou']:.3f}), "
            f"F1 of outliers {metrics['outlier_f1']:.3f}, {spent:.0f} CPU-s",
            flush=True,
        )


def trained(task: Task, epochs: int, seed: int) -> dict[str, float]:
    """Train the task's model with Adam on all records, and return its metrics."""
    inputs = torch.cat([torch.from_numpy(own.inputs.copy()) for own in task.holders])
    targets = torch.cat([torch.from_numpy(own.targets.copy()) for own in task.holders])
    model, generator = task.model(), torch.Generator().manual_seed(seed)
    steps = epochs * -(-len(inputs) // BATCH)
    adam = torch.optim.Adam(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, RATE, total_steps=steps)
    for _ in range(epochs):
        order = torch.randperm(len(inputs), generator=generator)
        for chosen in order.split(BATCH):
            adam.zero_grad()
            task.loss(model(inputs[chosen]), targets[chosen]).mean().backward()
            adam.step()
            schedule.step()
    with torch.no_grad():
        held_out = torch.from_numpy(task.held_out.inputs.copy())
        outputs = torch.cat([model(some) for some in held_out.split(64)])
    return dict(task.measure(outputs.numpy(), task.held_out))


if __name__ == "__main__":
    main()

"""Seconds a round of the gradient engine on the cohort of the first scenario.

Run: python benchmarks/gradients.py [--width 2] [--holders 20] [--records 200] [--workers 2]
Prints the best and the median of a few rounds for every way to single examples' gradients,
the largest difference between them, and the cost of the noise.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.nn import functional

from fedchain.learning.example_gradients import by_layers, by_vmap
from fedchain.learning.gradients import CohortGradients
from fedchain.learning.task import Records, Task
from fedchain.learning.weights import flat_weights
from fedchain.privacy.mechanisms import gaussian
from fedchain.randomness import stream
from fedchain.scans.models import gajdosech_unet


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    for name, value in {"width": 2, "holders": 20, "records": 200, "workers": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    task = unet_task(asked.width, asked.holders, asked.records)
    weights = flat_weights(task.model())
    rows = {}
    for way in (by_layers, by_vmap):
        engine = CohortGradients(task, 0.1, workers=asked.workers)
        engine._examples = way
        work = partial(engine, weights, range(asked.holders))
        rows[way.__name__] = report(f"{way.__name__}, clipped", work)
    plain = CohortGradients(task, None, workers=asked.workers)
    report("plain, not clipped", partial(plain, weights, range(asked.holders)))
    difference = np.abs(rows["by_layers"] - rows["by_vmap"]).max()
    print(f"largest difference {difference:.2e}, largest entry {np.abs(rows['by_vmap']).max():.2e}")
    mechanism = gaussian(40, 30_000, epsilon=8.0, clip=0.1)
    report(
        "noise, 20 holders of 30,000",
        lambda: np.stack([mechanism.noise(stream(0, "noise", k), 30_000, 200) for k in range(20)]),
    )


def report(name: str, work: Callable[[], np.ndarray], times: int = 5) -> np.ndarray:
    """Time some work, print its best and median seconds, return its result."""
    result, seconds = work(), []
    for _ in range(times):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    print(f"{name:30} best {min(seconds):.3f} s, median {statistics.median(seconds):.3f} s")
    return result


def unet_task(width: int, holders: int, records: int) -> Task:
    """Make noise in the shape of the scans: 5 x 32 x 32, a mask with pixels that do not count."""
    generator = stream(0, "benchmark")

    def some() -> Records:
        images = generator.standard_normal((records, 5, 32, 32)).astype(np.float32)
        masks = (generator.random((records, 32, 32)) > 0.5).astype(np.float32)
        masks[generator.random(masks.shape) > 0.7] = np.nan
        return Records(images, masks)

    def model() -> torch.nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return gajdosech_unet((5, 32, 32), 1, levels=2, width=width, norm="group")

    everyone = tuple(some() for _ in range(holders))
    return Task("benchmark", everyone, everyone[0], model, pixel_loss, lambda *_: {}, "loss", {})


def pixel_loss(outputs: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the mean binary cross-entropy over valid pixels, one number an example."""
    valid = masks.isfinite()
    truth = torch.where(valid, masks, torch.zeros_like(masks))
    losses = functional.binary_cross_entropy_with_logits(outputs[:, 0], truth, reduction="none")
    return (losses * valid).sum((1, 2)) / valid.sum((1, 2))


if __name__ == "__main__":
    main()

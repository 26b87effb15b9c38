"""Gradients of two U-Nets: seconds per round by several methods.

    python benchmarks/gradients.py [--threads 2] [--times 7] [--json FILE]

The networks are that of ``scenarios/first_light.yaml`` (few channels, many small scans a holder)
and the small U-Net of the comparison (eight channels and more, eight scans a holder). Each is
computed by the engine and by simpler methods: torch's layers, as without kernels, clipped; vmap
over single examples, clipped; autograd over a holder's batch, not clipped. The holders are divided
among threads, with one torch thread each. Prints the best and the median wall time, the processor
time, and the difference of the methods' results.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fedchain.machine import keep_freed_memory, one_thread, prepare

prepare()  # before torch is loaded

import numpy as np  # noqa: E402
import torch  # noqa: E402

from fedchain.learning.evaluation import flat_weights, load_weights  # noqa: E402
from fedchain.learning.gradients.cohort import CohortGradients  # noqa: E402
from fedchain.learning.gradients.methods import by_vmap  # noqa: E402
from fedchain.learning.models import seeded  # noqa: E402
from fedchain.learning.task import Records, Task  # noqa: E402
from fedchain.randomness import stream  # noqa: E402
from fedchain.scans.losses import bce  # noqa: E402
from fedchain.scans.models import gajdosech_unet  # noqa: E402

CLIP = 0.1
Rows = Callable[[np.ndarray, list[int]], np.ndarray]
"""Function from weights and holders to the gradients, one row per holder."""


@dataclass(frozen=True)
class Workload:
    """A U-Net of two levels and the data of its holders."""

    shape: tuple[int, int, int]
    """Shape of a scan: channels, height, width."""
    width: int
    """Channels at full resolution."""
    norm: str
    """``none`` or ``group``."""
    holders: int
    """Number of holders."""
    records: int
    """Number of scans of each holder."""

    def task(self) -> Task:
        """Make the network, and random scans and masks."""
        generator = stream(0, "benchmark")
        options = {"levels": 2, "width": self.width, "norm": self.norm}

        def some() -> Records:
            images = generator.standard_normal((self.records, *self.shape)).astype(np.float32)
            masks = generator.random((self.records, *self.shape[1:])) > 0.5
            return Records(images, masks.astype(np.float32))

        everyone = tuple(some() for _ in range(self.holders))
        model = seeded(partial(gajdosech_unet, self.shape, 1, **options), 0)
        return Task(
            name="benchmark",
            holders=everyone,
            held_out=everyone[0],
            model=model,
            loss=bce(),
            measure=lambda *_: {},
            score="loss",
            baselines={},
        )


WORKLOADS = {
    "first_light": Workload((5, 32, 32), 2, "group", holders=20, records=200),
    "small_unet": Workload((2, 64, 64), 8, "none", holders=10, records=8),
}


def main() -> None:
    """Measure, and print a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="at least 1")
    parser.add_argument("--times", type=int, default=7, help="rounds of each way, at least 1")
    parser.add_argument("--json", type=Path, help="file for the seconds")
    asked = parser.parse_args()
    keep_freed_memory()
    one_thread()
    found = {
        name: measured(name, workload.task(), asked.threads, asked.times)
        for name, workload in WORKLOADS.items()
    }
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")


def measured(name: str, task: Task, threads: int, times: int) -> dict[str, dict[str, float]]:
    """Time the methods in turns; print and return the seconds of each method."""
    ways: dict[str, Callable[[], Rows]] = {
        "clipped, engine": CohortGradients(task, CLIP).twin,
        "clipped, layers": by_torch(task, CLIP).twin,
        "clipped, vmap": vmapped(task).twin,
        "plain, engine": CohortGradients(task, None).twin,
        "plain, autograd": lambda: partial(by_autograd, task, task.model()),
    }
    weights, rows = flat_weights(task.model()), {}
    spent: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    with ThreadPoolExecutor(threads, initializer=one_thread) as pool:
        works = {
            way: partial(shared, pool, [make() for _ in range(threads)], weights, len(task.holders))
            for way, make in ways.items()
        }
        for turn in range(times + 1):
            for way, work in works.items():
                wall, processor = time.perf_counter(), time.process_time()
                rows[way] = work()
                if turn:  # the first turn allocates memory
                    pair = time.perf_counter() - wall, time.process_time() - processor
                    spent[way].append(pair)
    print(f"{name}: {weights.size} weights, {len(task.holders)} holders")
    seconds = {way: summary(pairs) for way, pairs in spent.items()}
    for way, each in seconds.items():
        print(f"  {way:16}" + "".join(f"  {key} {value:.3f} s" for key, value in each.items()))
    times_less = seconds["clipped, layers"]["processor"] / seconds["clipped, engine"]["processor"]
    print(f"  the engine needs {times_less:.1f} times less processor time than torch's layers")
    for kind in ("clipped", "plain"):
        first, *others = (row for way, row in rows.items() if way.startswith(kind))
        apart = max(np.linalg.norm(first - other) / np.linalg.norm(other) for other in others)
        print(f"  {kind}: the ways differ by at most {apart:.1e} of the gradients' norm")
    return seconds


def summary(pairs: list[tuple[float, float]]) -> dict[str, float]:
    """Return the best and the median wall time and the least processor time, in seconds."""
    walls, processor = zip(*pairs, strict=True)
    return {"best": min(walls), "median": statistics.median(walls), "processor": min(processor)}


def shared(
    pool: ThreadPoolExecutor, each: list[Rows], weights: np.ndarray, holders: int
) -> np.ndarray:
    """Let every thread compute its share of the holders."""
    shares = [part.tolist() for part in np.array_split(np.arange(holders), len(each))]
    return np.concatenate(list(pool.map(lambda rows, part: rows(weights, part), each, shares)))


def by_torch(task: Task, clip: float) -> CohortGradients:
    """Return an engine that does not use the kernels."""
    engine = CohortGradients(task, clip)
    engine._sums_by, engine.method = None, "layers"
    return engine


def vmapped(task: Task) -> CohortGradients:
    """Return an engine that is forced to use vmap."""
    engine = by_torch(task, CLIP)
    engine._way = by_vmap
    engine._module.to(memory_format=torch.contiguous_format)
    return engine


def by_autograd(
    task: Task, module: torch.nn.Module, weights: np.ndarray, holders: list[int]
) -> np.ndarray:
    """Return mean gradients, by one backward pass per holder."""
    load_weights(module, weights)
    rows = []
    for records in (task.holders[holder] for holder in holders):
        inputs, targets = torch.from_numpy(records.inputs), torch.from_numpy(records.targets)
        total = task.loss(module(inputs), targets).mean()
        found = torch.autograd.grad(total, list(module.parameters()))
        rows.append(torch.cat([gradient.flatten() for gradient in found]).numpy())
    return np.stack(rows)


if __name__ == "__main__":
    main()

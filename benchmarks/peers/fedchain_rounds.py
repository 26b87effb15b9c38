"""fedchain on the workloads: the learning part of a round alone, or the whole protocol."""

from __future__ import annotations

import sys
from pathlib import Path

from fedchain.machine import prepare

prepare()  # as the command line does, before numpy and torch are loaded
sys.path.insert(0, str(Path(__file__).parents[1]))

import json  # noqa: E402
import statistics  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Iterator, Sequence  # noqa: E402
from concurrent.futures import ThreadPoolExecutor  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from dataclasses import dataclass, replace  # noqa: E402
from queue import SimpleQueue  # noqa: E402

import numpy as np  # noqa: E402
import scans  # noqa: E402
import torch  # noqa: E402
import workload  # noqa: E402
import workloads  # noqa: E402

import fedchain  # noqa: E402
from fedchain.aggregation import Received, l_nearest  # noqa: E402
from fedchain.aggregation.directions import Directions  # noqa: E402
from fedchain.arrays import Flags, Singles, Vector  # noqa: E402
from fedchain.learning.evaluation import flat_weights  # noqa: E402
from fedchain.learning.gradients.cohort import CohortGradients  # noqa: E402
from fedchain.ledger.chain.codec import quantise  # noqa: E402
from fedchain.machine import keep_freed_memory, one_thread  # noqa: E402
from fedchain.nodes.holders.holder_pool import (  # noqa: E402
    NOISED_TOGETHER,
    chunk_size,
    chunks_of,
)
from fedchain.nodes.holders.release import ReleaseContext, private_releases  # noqa: E402
from fedchain.privacy.mechanisms import Mechanism, mechanisms  # noqa: E402
from fedchain.registry import Part  # noqa: E402
from fedchain.runs.callbacks import Callback  # noqa: E402
from fedchain.timing import STAGES  # noqa: E402
from fedchain.transforms import lengths  # noqa: E402
from fedchain.update import gradient_descent  # noqa: E402


@contextmanager
def threads(gradients: CohortGradients, workers: int) -> Iterator:
    """Yield a function that maps work over chunks of holders as the engine of threads does."""
    free: SimpleQueue[CohortGradients] = SimpleQueue()
    for each in (gradients, *(gradients.twin() for _ in range(workers - 1))):
        free.put(each)
    keep_freed_memory()
    with ThreadPoolExecutor(workers, initializer=one_thread) as pool:

        def spread(work, holders: Sequence[int]) -> Iterator:
            def one(chunk: Sequence[int]):
                mine = free.get()
                try:
                    return work(mine, chunk)
                finally:
                    free.put(mine)

            return pool.map(
                one,
                chunks_of(
                    holders,
                    chunk_size(gradients.method, gradients.dimension, examples=gradients.examples),
                ),
            )

        yield spread


def learning(run: workload.ReleaseRequest) -> list[Step]:
    """Do the learning part of the rounds, and return each.

    Gradients, clipping, noise, normalisation to the integers that are sent, exact l-nearest,
    update: all but signatures, hashes, work and storage.
    """
    task = workloads.mlp(run.holders, 0, hidden=run.hidden, records=run.records)
    weights = flat_weights(task.model())
    unit = "record" if run.variant == "record" else "holder"
    noise = {"noise_multiplier": workload.SIGMA, "clip": workload.CLIP, "unit": unit}
    part = Part("gaussian", noise) if run.private else Part("none", {})
    mechanism = mechanisms.build(part, run.total, len(weights))
    gradients = CohortGradients(task, mechanism.terms.clip, mechanism.terms.unit)
    steps: list[Step] = []
    with threads(gradients, run.threads) as spread:
        run.tick()
        for round_ in range(1, run.total + 1):

            def speak(mine: CohortGradients, chunk: Sequence[int]) -> list:
                rows = mine(weights, chunk)  # noqa: B023 - done before the round is
                said = []
                step = max(1, NOISED_TOGETHER // rows.shape[1])
                for start in range(0, len(chunk), step):
                    part = slice(start, start + step)
                    here = ReleaseContext(
                        secret=bytes(32),
                        chain_id=bytes(32),
                        parent=bytes(32),
                        round=round_,  # noqa: B023
                        holder=0,
                    )
                    contexts = [replace(here, holder=k) for k in chunk[part]]
                    said += sent(rows[part], mechanism, run.records, contexts)
                return said

            spoken = [each for said in spread(speak, range(run.holders)) for each in said]
            exponents, integers, norms = zip(*spoken, strict=True)
            directions = Directions(integers, exponents)
            received = Received(
                directions, np.array(norms), np.full(len(norms), float(run.records))
            )
            made = l_nearest(received, keep=workloads.kept(run.holders))
            step = gradient_descent(weights, {}, made.gradient, round_, learning_rate=workload.RATE)
            steps.append(Step(weights, made.used, step.weights))
            weights = step.weights
            run.tick()
    return steps


def sent(
    rows: Singles, mechanism: Mechanism, records: int, contexts: Sequence[ReleaseContext]
) -> list[tuple]:
    """Return exponent, integers and norm of each holder's release, as ``HolderPool`` do."""
    releases = private_releases(rows, mechanism, [records] * len(rows), contexts)
    norms = lengths(releases)
    quantised = quantise(releases, norms, "int16")
    return [(*each, norm) for each, norm in zip(quantised, norms, strict=True)]


NEARLY = 1e-3
"""Part of the largest projection by which two rows may lie apart and still change places."""


@dataclass(frozen=True)
class Step:
    """What a round began with, and what it made of it."""

    before: Vector
    """The weights, (d,)."""
    used: Flags
    """The rows that l-nearest used, (n,)."""
    after: Vector
    """The next weights."""

    def difference(self) -> float:
        """Return the largest difference from the same round in plain torch."""
        before = torch.from_numpy(self.before)
        expected = workload.plain_step(before, len(self.used), self._mean)
        return float((torch.from_numpy(self.after) - expected).abs().max())

    def _mean(self, rows: torch.Tensor) -> torch.Tensor:
        used = torch.from_numpy(self.used)
        directions = rows / rows.norm(dim=1, keepdim=True)
        projections = directions @ directions.sum(0)
        gap = float((projections[~used].max() - projections[used].min()) / projections.max())
        if gap > NEARLY:
            raise SystemExit(f"fedchain: l-nearest used a row that is {gap:.1e} too far")
        return rows[used].mean(0)


def unet(run: workload.ReleaseRequest) -> tuple[Singles, CohortGradients]:
    """Compute clipped gradients of the scans, and return the last ones."""
    task = workloads.unet(run.holders, 0)
    gradients, weights = CohortGradients(task, scans.CLIP, "record"), flat_weights(task.model())
    with threads(gradients, run.threads) as spread:
        run.tick()
        for _ in range(run.total):
            found = spread(lambda mine, chunk: mine(weights, chunk).copy(), range(run.holders))
            rows = np.concatenate(list(found))
            run.tick()
    return rows, gradients


class Ticks(Callback):
    """An audience that notes when rounds end, and where their time went."""

    def __init__(self, run: workload.ReleaseRequest) -> None:
        self.run = run
        self.seconds: list[dict] = []

    def on_run_begin(self, folder: Path, setup: fedchain.simulation.setup.RunSetup) -> None:  # noqa: ARG002
        """Note that the first round begins."""
        self.run.tick()

    def on_round_end(self, ended) -> None:
        """Note that a round is over."""
        self.run.tick()
        self.seconds.append(ended.record.seconds)


def protocol(run: workload.ReleaseRequest, task: str) -> dict:
    """Run a scenario with the full protocol, and return milliseconds a round by stage."""
    clip = workload.CLIP if task == "mlp" else scans.CLIP
    block = workloads.scenario(task, run.holders, run.total, private=run.private, clip=clip)
    ticks = Ticks(run)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scenario.yaml"
        file.write_text(json.dumps(block))
        ran = fedchain.run(fedchain.load(file), folder, workers=run.threads, callbacks=[ticks])
        disk = sum(each.stat().st_size for each in ran.folder.rglob("*") if each.is_file())
    timed = ticks.seconds[-run.rounds :]
    stages = {
        stage: round(1000 * statistics.median(each.get(stage, 0.0) for each in timed), 3)
        for stage in STAGES
    }
    return {"stages_ms": stages, "bytes_round": round(disk / run.total)}


def main() -> None:
    """Run, and print the line."""
    run = workload.asked("record", "unet", "protocol", "unet_protocol", sizes=True)
    if run.variant == "unet":
        rows, gradients = unet(run)
        workload.write(run, "fedchain", "fedchain", lambda: far(rows), method=gradients.method)
    elif run.variant in ("protocol", "unet_protocol"):
        found = protocol(run, "mlp" if run.variant == "protocol" else "unet")
        workload.write(run, "fedchain", "fedchain", None, **found)
    else:
        steps = learning(run)
        # Round by round: a rounded direction may bring a ReLU to its other side, and rounds later
        # the weights of one unit are elsewhere.
        check = None if run.private else lambda: max(step.difference() for step in steps)
        workload.write(run, "fedchain", "fedchain", check)


def far(rows: Singles) -> float:
    """Return the largest difference of gradients (n, d) from the plain loop, over the largest."""
    expected = scans.plain(len(rows)).numpy()
    return float(np.abs(rows - expected).max() / np.abs(expected).max())


if __name__ == "__main__":
    main()

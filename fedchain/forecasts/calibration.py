"""Calibration: measures the rates of this machine with the functions that runs use."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fedchain.aggregation import aggregations
from fedchain.aggregation.directions import Directions
from fedchain.arrays import lengths
from fedchain.engines.engine import cores as cores_of
from fedchain.forecasts.costs import (
    DISK,
    ROUGH,
    Learning,
    Method,
    Passes,
    Rates,
    chunks,
    deliveries,
    seconds,
)
from fedchain.forecasts.counting import configuration, learning
from fedchain.forecasts.fitting import TIMES, fitted, many, median_time, side_by_side
from fedchain.learning.task import Records, Task, losses, models
from fedchain.ledger.chain.codec import could_be_finer, quantise, squared_norm
from fedchain.ledger.chain.crypto import is_signature, public_key_of, sign
from fedchain.ledger.chain.work import search
from fedchain.ledger.storage.blobs import Blobs
from fedchain.machine import keep_freed_memory
from fedchain.nodes.holders.release import ReleaseContext, private_releases
from fedchain.privacy.mechanisms import mechanisms
from fedchain.registry import Part
from fedchain.results import MessageRecord, RoundRecord
from fedchain.runs.running import run
from fedchain.scenario import from_mapping
from fedchain.simulation.setup import RunSetup, build_setup
from fedchain.update import updates

if TYPE_CHECKING:
    from torch import nn

    from fedchain.arrays import Vector
    from fedchain.learning.gradients.cohort import CohortGradients

DENSE = ((30, (), 43), (784, (64,), 60), (784, (64,), 300), (100, (100, 100, 100), 60),
         (784, (600,), 60), (784, (600,), 400), (64, (), 400))  # fmt: skip
"""Dense networks: inputs, hidden layers, examples a holder."""
NETS = ((32, 2, 2, 40), (32, 2, 2, 150), (32, 2, 8, 20), (64, 2, 2, 8), (64, 2, 8, 8),
        (32, 3, 4, 20), (16, 1, 4, 60), (32, 2, 16, 6), (64, 1, 16, 4))  # fmt: skip
"""U-Nets: pixels a side, levels, width, examples a holder."""
UNKNOWN = ((30, 20, 40), (100, 100, 60), (300, 200, 40), (100, 20, 10), (300, 300, 100))
"""Networks with a layer that only vmap supports: inputs, hidden, examples a holder."""
HOLDERS = 50
"""Holders in the measurement of dense networks; other networks have one a core."""
DIMENSION = 100_000
"""Numbers of a direction that is made, checked and aggregated."""
ROWS = 64
"""Number of directions that are aggregated."""
TRIED = 20_000
"""Number of nonces that are tried."""
BLOBS, LARGE = 3, 4_000_000
"""Number of blobs of a block, and bytes of a large one."""
TINY = ((8, 1), (64, 1), (64, 9))
"""Runs with almost no arithmetic: holders, compute nodes."""
TINY_ROUNDS = 16
"""Rounds of each of them."""


def measured() -> Rates:
    """Measure this machine, in the current folder, in about half a minute.

    Work that a run does side by side is measured side by side. The rates of gradients are fitted
    to networks of several sizes. Tiny runs give the rates of holders, rounds and deliveries: from
    the time of their rounds that the other rates do not explain.

    Raises:
        OSError: the current folder cannot be written.
    """
    keep_freed_memory()
    cores = cores_of(None)
    gradients: dict[Method, Passes] = {
        "segments": _gradients("segments", [_dense(*shape) for shape in DENSE], cores),
        "layers": _gradients("layers", [_net(*shape) for shape in NETS], cores),
        "vmap": _gradients("vmap", [_unknown(*shape) for shape in UNKNOWN], cores),
    }
    forward = _forward([_dense(784, (64,), 600), _dense(30, (), 100), *(_net(*s) for s in NETS)])
    rates = replace(ROUGH, cores=cores, gradients=gradients, forward=forward)
    rates = _with_node(_with_holder(rates, cores), cores)
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".fedchain-") as folder:
        return _with_rounds(_with_disk(rates, Path(folder)), Path(folder))


class Rounds:
    """A callback that measures how long each round of a run takes."""

    def __init__(self) -> None:
        self._ends: list[float] = []
        self._ledger: list[float] = []

    def on_run_begin(self, folder: Path, setup: RunSetup) -> None:  # noqa: ARG002
        """Note when the first round begins."""
        self._ends.append(time.perf_counter())

    def on_round_end(self, record: RoundRecord, messages: list[MessageRecord]) -> None:  # noqa: ARG002
        """Note when a round ends."""
        self._ends.append(time.perf_counter())
        self._ledger.append(record.seconds["ledger"])

    @property
    def median(self) -> float:
        """Median seconds of a round, without the first two, which warm up."""
        return float(np.median(np.diff(self._ends)[2:]))

    @property
    def undisturbed(self) -> float:
        """Median seconds of a round without waiting for the disk: with the ledger's least time."""
        spent, ledger = np.diff(self._ends)[2:], np.array(self._ledger[2:])
        return float(np.median(spent - ledger) + ledger.min())


def _records(holders: int, shape: tuple[int, ...], targets: Callable[[], object]) -> list[Records]:
    generator = np.random.default_rng(0)
    return [
        Records(generator.standard_normal(shape, np.float32), np.asarray(targets()))
        for _ in range(holders)
    ]


def _task(records: Sequence[Records], model: Callable[[], nn.Module], loss: str) -> Task:
    def measure(outputs: object, known: object) -> dict[str, float]:  # noqa: ARG001
        return {}

    made = losses.build(losses.check({"kind": loss}))
    return Task(
        name="drawn",
        holders=records,
        held_out=records[0],
        model=model,
        loss=made,
        measure=measure,
        score="",
        baselines={},
    )


def _dense(inputs: int, hidden: Sequence[int], n: int) -> Task:
    kind = Part("mlp", {"hidden": list(hidden)}) if hidden else Part("softmax", {})
    records = _records(HOLDERS, (n, inputs), lambda: np.arange(n) % 10)
    return _task(records, lambda: models.build(kind, (inputs,), 10), "cross_entropy")


def _net(size: int, levels: int, width: int, n: int) -> Task:
    part = Part("gajdosech_unet", {"levels": levels, "width": width, "norm": "group"})
    masks = np.ones((n, size, size), np.float32)
    records = _records(cores_of(None), (n, 5, size, size), lambda: masks)
    return _task(records, lambda: models.build(part, (5, size, size), 1), "dice")


def _unknown(inputs: int, hidden: int, n: int) -> Task:
    from torch import nn

    def model() -> nn.Module:
        layers = nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.Linear(hidden, 10)
        return nn.Sequential(*layers)

    records = _records(cores_of(None), (n, inputs), lambda: np.arange(n) % 10)
    return _task(records, model, "cross_entropy")


def _gradients(method: Method, given: Sequence[Task], cores: int) -> Passes:
    """Fit the rates of one method to cohorts, whose chunks are shared out to the cores."""
    from fedchain.learning.gradients.cohort import CohortGradients
    from fedchain.learning.weights import flat_weights

    counts, spent = [], []
    for task in given:
        first, weights = CohortGradients(task, 1.0), flat_weights(task.model())
        counted, holders = _counted(task), len(task.holders)
        parts = np.array_split(np.arange(holders), chunks(holders, counted))
        cohort = [part.tolist() for part in parts]
        threads = [first, *(first.twin() for _ in range(cores - 1))]
        works = [partial(_each, g, weights, cohort[k::cores]) for k, g in enumerate(threads)]
        spent.append(side_by_side(works) / holders)
        counts.append(astuple(counted.gradient))
    return Passes(*fitted(counts, spent, astuple(ROUGH.gradients[method])))


def _each(gradients: CohortGradients, weights: Vector, cohort: Sequence[Sequence[int]]) -> None:
    for chunk in cohort:
        gradients(weights, chunk)


def _forward(given: Sequence[Task]) -> Passes:
    """Fit the rates of measuring a model, which one thread does beside the next gradients."""
    from fedchain.learning.evaluation import Evaluation
    from fedchain.learning.weights import flat_weights

    works = [partial(Evaluation(task), flat_weights(task.model())) for task in given]
    spent = [side_by_side([work]) for work in works]
    counts = [astuple(_counted(task).forward) for task in given]
    return Passes(*fitted(counts, spent, astuple(ROUGH.forward)))


def _counted(task: Task) -> Learning:
    return learning(task, 1.0, "record", task.held_out.examples, task.held_out.examples)


def _with_holder(rates: Rates, cores: int) -> Rates:
    """Measure the work of holders, side by side: noise and quantising."""
    gradient = np.ones(DIMENSION, np.float32)
    mechanism = mechanisms.build(Part("gaussian", {"noise_multiplier": 1.0, "clip": 1.0}), 1, 1)
    context = ReleaseContext(seed=0, chain_id=bytes(32), parent=bytes(32), round=1, holder=0)

    def noise() -> object:
        return private_releases(gradient[None], mechanism, [60], [context])

    release = private_releases(gradient[None], mechanism, [60], [context])

    def quantised() -> object:
        return quantise(release, lengths(release), "int16")

    each = cores * DIMENSION
    return replace(
        rates,
        noise=side_by_side([noise] * cores) / each,
        quantise=side_by_side([quantised] * cores) / each,
    )


def _with_node(rates: Rates, cores: int) -> Rates:
    """Measure the work of compute nodes: checks side by side, then one step."""
    generator = np.random.default_rng(0)
    row = generator.standard_normal((1, DIMENSION), np.float32)
    ((exponent, direction),) = quantise(row, lengths(row), "int16")
    directions = Directions(tuple(np.roll(direction, k) for k in range(ROWS)), (exponent,) * ROWS)
    bulk, secret = bytes(1_000_000), bytes(32)
    public, signature = public_key_of(secret), sign(secret, bytes(42))
    rule, norms = Part("l_nearest", {"keep": 7 * ROWS // 10}), np.ones(ROWS)
    step, arrays = Part("adam", {"learning_rate": 0.1}), 3
    weights = generator.standard_normal(DIMENSION)
    memory = {"first": weights, "second": weights * weights}
    memory |= {"beta1_power": np.full(1, 0.5), "beta2_power": np.full(1, 0.5)}

    def checked() -> object:
        return squared_norm(direction), could_be_finer(direction, exponent, "int16")

    def aggregated() -> object:
        return aggregations.build(rule, directions, norms)

    def updated() -> object:
        return updates.build(step, weights, memory, weights, 2)

    return replace(
        rates,
        check=side_by_side([checked] * cores) / (cores * DIMENSION),
        sign=many(lambda: sign(secret, bytes(42))),
        verify=many(lambda: is_signature(public, signature, bytes(42))),
        aggregate=median_time(aggregated) / (ROWS * DIMENSION),
        update=median_time(updated) / (arrays * DIMENSION),
        hash=median_time(lambda: hashlib.sha256(bulk).digest()) / len(bulk),
        attempt=median_time(lambda: search(bytes(256), 0, TRIED, 0)) / TRIED,
    )


def _with_disk(rates: Rates, folder: Path) -> Rates:
    """Measure writing the blobs of a block, small and large ones."""
    numbers = np.random.default_rng(0)
    blobs = Blobs(folder)

    def written(size: int) -> Callable[[], object]:
        return lambda: blobs.put({numbers.bytes(32): [bytes(size)] for _ in range(BLOBS)})

    commit, large = median_time(written(1000)), median_time(written(LARGE))
    before = time.process_time()
    for _ in range(TIMES):
        written(LARGE)()
    busy = (time.process_time() - before) / TIMES
    size = BLOBS * LARGE
    return replace(
        rates, commit=commit / BLOBS, write=busy / size, store=max(0.0, large - commit) / size
    )


def _with_rounds(rates: Rates, folder: Path) -> Rates:
    """Fit the rates of holders, rounds and deliveries to the unexplained time of tiny runs."""
    known = replace(rates, holder=0.0, round=0.0, event=0.0)
    counts, spent = [], []
    for holders, compute in TINY:
        scenario = from_mapping({
            "version": 1,
            "name": f"tiny-{holders}-{compute}",
            "rounds": TINY_ROUNDS,
            "task": {"kind": "digits"},
            "nodes": {"holders": holders, "compute": compute},
            "privacy": {"kind": "none"},
            "aggregation": {"kind": "mean"},
            "ledger": {"work": {"kind": "hashcash", "difficulty_bits": 4}},
            "evaluate": {"every": TINY_ROUNDS},
        })  # fmt: skip
        rounds = Rounds()
        run(scenario, folder, callback=rounds)
        task = build_setup(scenario).task
        counted = learning(task, None, "record", task.holders[0].examples, task.held_out.examples)
        asked = configuration(scenario, counted, private=False)
        counts.append((1.0, float(holders), float(deliveries(asked))))
        explained = seconds(asked, known)
        del explained[DISK]
        spent.append(max(rounds.undisturbed - sum(explained.values()), 1e-5))
    expected = ROUGH.round, ROUGH.holder, ROUGH.event
    round_, holder, event = fitted(counts, spent, expected)
    return replace(rates, round=round_, holder=holder, event=event)

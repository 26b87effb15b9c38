"""Accuracy of holders weighted by their records: digits, twenty holders of very different sizes.

    python benchmarks/weights.py [--out .weights] [--seeds 20] [--first 0] [--epsilon 1] [--json]

Deals the records so that the largest holder has twenty times as many as the smallest, and runs each
rule with holders that count alike, by their registered records, and by these up to the median. The
noise of a holder is proportional to 1/n_k. Prints the mean accuracy with its 95 % interval over the
seeds, and the gain over holders that count alike. Then it deals all holders equally many records,
computes every step of such a run again with weights, and counts the steps that differ in a bit.
Runs are kept in ``--out``: a finished one is not repeated, an interrupted one goes on. ``--json``
prints one object: the accuracies of each rule by weights and seed, and the steps that differ.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedchain.machine import prepare

prepare()  # before numpy reads how many threads one operation may take

import numpy as np  # noqa: E402
from page_tables import cell  # noqa: E402

from fedchain import run  # noqa: E402
from fedchain.arrays import Wholes  # noqa: E402
from fedchain.ledger.storage.store import Store  # noqa: E402
from fedchain.results import LEDGER, Run  # noqa: E402
from fedchain.runs.running import resume  # noqa: E402
from fedchain.scenario import Scenario, from_mapping, run_name  # noqa: E402
from fedchain.transition import Steps  # noqa: E402

HOLDERS, ROUNDS = 20, 60
WEIGHTS: tuple[Any, ...] = ("equal", "records", {"kind": "records", "cap": "median"})
RULES: tuple[dict[str, Any], ...] = (
    {"kind": "mean"},
    {"kind": "mean", "scale": "median_clip"},
    {"kind": "l_nearest", "keep": 14},
)


def main() -> None:
    """Make the runs that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(".weights"), help="folder of the runs")
    for name, default in (("seeds", 20), ("first", 0)):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{default} by default")
    parser.add_argument("--epsilon", type=float, default=1.0, help="total of all rounds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    if not asked.json:
        print(f"digits, {HOLDERS} holders, sizes 1 : {HOLDERS}, epsilon {asked.epsilon:g}")
        print(f"{'':24}{'equal':>16}{'records':>16}{'to the median':>16}{'gain':>8}")
    told: dict[str, Any] = {}
    for rule in RULES:
        found = [scores(asked.out, {**rule, "weights": w}, asked.epsilon, seeds) for w in WEIGHTS]
        name = " ".join(map(str, rule.values()))
        told[name] = found
        if not asked.json:
            print(row(name, found), flush=True)
    differing, every = compared(made(asked.out, scenario({"kind": "mean"}, 1.0, 0, "alike")))
    words = f"holders of equal size: {differing} of {every} steps differ in a bit with weights"
    print(json.dumps({**told, "differing": differing}) if asked.json else words)


def row(name: str, found: list[list[float]]) -> str:
    """Return a line of the table from the accuracies of each kind of weights."""
    gain = statistics.mean(found[1]) - statistics.mean(found[0])
    return f"{name:24}" + "".join(f"{cell(each):>16}" for each in found) + f"{gain:+8.3f}"


def scores(out: Path, rule: dict[str, Any], epsilon: float, seeds: range) -> list[float]:
    """Return the last accuracy of a run for each seed."""
    runs = (made(out, scenario(rule, epsilon, seed, "steps")) for seed in seeds)
    return [each.summary()["metrics"]["accuracy"] for each in runs]


def made(out: Path, asked: Scenario) -> Run:
    """Return a finished run: one that is there, or is continued, or made."""
    there = out / run_name(asked)
    begun = there.exists() and Run.open(there).manifest["status"] == "running"
    return resume(there) if begun else run(asked, out)


def scenario(rule: Mapping[str, Any], epsilon: float, seed: int, split: str) -> Scenario:
    """Return the scenario ``epsilon_digits`` with another rule and another split."""
    return from_mapping({
        "version": 1,
        "name": f"weights-{split}",
        "seed": seed,
        "rounds": ROUNDS,
        "task": {"kind": "digits", "split": {"kind": f"weights:{split}"}},
        "nodes": {"holders": HOLDERS, "compute": 1},
        "privacy": {
            "kind": "gaussian", "epsilon": epsilon, "delta": 1e-5, "clip": 0.1, "spare_releases": 0,
        },
        "aggregation": rule,
        "update": {"kind": "adam", "learning_rate": 0.1},
        "evaluate": {"every": ROUNDS, "samples": 0},
    })  # fmt: skip


def steps(
    labels: Wholes,
    sites: Wholes,  # noqa: ARG001 - the split needs neither labels nor sites
    holders: int,
    generator: np.random.Generator,
) -> list[Wholes]:
    """Deal the records at random so that holder k, counted from 1, has k shares of them."""
    ends = np.cumsum(np.arange(1, holders + 1)) * len(labels) // (holders * (holders + 1) // 2)
    dealt = np.split(generator.permutation(len(labels)), ends[:-1])
    return [np.sort(part) for part in dealt]


def alike(
    labels: Wholes,
    sites: Wholes,  # noqa: ARG001 - the split needs neither labels nor sites
    holders: int,
    generator: np.random.Generator,
) -> list[Wholes]:
    """Deal every holder the same number of records at random; a few records are left over."""
    each = len(labels) // holders
    dealt = generator.permutation(len(labels))[: each * holders]
    return [np.sort(part) for part in dealt.reshape(holders, each)]


def compared(found: Run) -> tuple[int, int]:
    """Return how many steps of a run differ with weights by records, and how many there are."""
    with Store.open(found.folder / LEDGER, writable=False) as store:
        rule = json.loads(store.rules.aggregation)
        weighted = json.dumps({**rule, "weights": "records"})
        again = Steps(replace(store.rules, aggregation=weighted))
        blocks = list(store.blocks())
        pairs = [(again(store.state(b.header.parent), b.messages), b.header) for b in blocks]
    differing = sum(state.weights_hash != header.weights_hash for state, header in pairs)
    return differing, len(pairs)


if __name__ == "__main__":
    main()

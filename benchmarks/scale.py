"""Scale: runs with very many registered holders, very many asked holders, or a very large model.

    python benchmarks/scale.py [registered] [asked] [weights] [--rounds N] [--json FILE]

Each case runs in a separate process, from the scenario to the last file of the run folder. It
prints the seconds of an early and a late round, the peak memory, and the bytes of one matrix of the
cohort's gradients. Neither time nor memory may grow with the registered holders or the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fedchain import run
from fedchain.learning.losses import accuracy, cross_entropy, majority
from fedchain.learning.models import seeded
from fedchain.learning.task import Records, Task, models
from fedchain.randomness import stream
from fedchain.registry import Part
from fedchain.scenario import from_mapping

MLP = {"kind": "mlp", "hidden": [3000]}
CASES: dict[str, dict[str, Any]] = {
    "registered": {
        "description": "100,000 registered holders, 100 of them asked in a round",
        "rounds": 50,
        "nodes": {"holders": 100_000, "cohort": 100, "compute": 3},
        "task": {"kind": "scale:drawn", "model": {"kind": "mlp", "hidden": [64]}},
        "aggregation": {"kind": "l_nearest", "keep": 80, "scale": "median_clip"},
    },
    "asked": {
        "description": "10,000 holders, all asked in every round, a small model",
        "rounds": 4,
        "nodes": {"holders": 10_000, "compute": 3},
        "task": {"kind": "scale:drawn", "features": 16},
        "aggregation": {"kind": "l_nearest", "keep": 8000, "scale": "median_clip"},
    },
    "weights": {
        "description": "a dense model of ten million weights, 4 holders",
        "rounds": 2,
        "nodes": {"holders": 4, "compute": 3},
        "task": {"kind": "scale:drawn", "features": 3330, "records": 8, "model": MLP},
        "aggregation": {"kind": "mean"},
    },
}
SHARED = {
    "version": 1,
    "name": "scale",
    "privacy": {"kind": "gaussian", "epsilon": 8.0, "delta": 1e-5, "clip": 1.0},
    "ledger": {"work": {"kind": "hashcash", "difficulty_bits": 8}},
}
SINGLE = np.dtype(np.float32).itemsize


class Drawn(Sequence[Records]):
    """Records of any number of holders; a holder's records are drawn when they are read."""

    def __init__(self, seed: int, holders: int, records: int, features: int) -> None:
        self._seed, self._holders = seed, holders
        self._shape = records, features

    def __len__(self) -> int:
        return self._holders

    def __getitem__(self, holder: Any) -> Any:
        if not 0 <= holder < self._holders:
            raise IndexError(holder)
        inputs = stream(self._seed, "records", holder).standard_normal(self._shape, np.float32)
        return Records(inputs, (inputs[:, 0] > 0).astype(np.int64))


def drawn(
    holders: int,
    seed: int,
    *,
    features: int = 32,
    records: int = 20,
    model: Annotated[Part, models] = Part("softmax", {}),  # noqa: B008
) -> Task:
    """Predict the sign of the first of many normal numbers.

    Args:
        holders: number of data holders.
        seed: the run's seed.
        features: numbers per record.
        records: records per holder.
        model: kind and parameters of the model.
    """
    held_out = Drawn(seed, holders + 1, 200, features)[holders]
    return Task(
        name="drawn",
        holders=Drawn(seed, holders, records, features),
        held_out=held_out,
        model=seeded(lambda: models.build(model, (features,), 2), seed),
        loss=cross_entropy(),
        measure=lambda outputs, known: {"accuracy": accuracy(outputs, known.targets)},
        score="accuracy",
        baselines={"majority": majority(held_out.targets, held_out.targets)},
    )


def main() -> None:
    """Run the cases, and print a few lines for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="case", help=" or ".join(CASES))
    parser.add_argument("--rounds", type=int, help="other than the case's own")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no case {', '.join(sorted(unknown))}; one of {', '.join(CASES)}")
    if options.here:
        print(json.dumps(measured(options.cases[0], options.rounds)))
        return
    figures = {name: apart(name, options.rounds) for name in options.cases or CASES}
    for name, found in figures.items():
        print(f"{name}: {CASES[name]['description']}")
        print("".join(f"  {words:28} {value:12,.3f}\n" for words, value in found.items()))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def apart(name: str, rounds: int | None) -> dict[str, float]:
    """Run a case in a separate process, so that the peak memory is that of the case alone."""
    command = [sys.executable, __file__, name, "--here"]
    command += [] if rounds is None else ["--rounds", str(rounds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measured(name: str, rounds: int | None) -> dict[str, float]:
    """Run a case in this process, and return its figures by name."""
    given = {} if rounds is None else {"rounds": rounds}
    scenario = from_mapping({**SHARED, **CASES[name], **given})
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = run(scenario, folder)
        whole = time.perf_counter() - began
        events = [event for event in done.events if event["event"] == "round"]
        manifest, verified = done.manifest, done.verify().ok
    each = [sum(event["seconds"].values()) for event in events]
    quarter = max(1, len(each) // 4)
    dimension = sum(p.numel() for p in drawn(1, 0, **task_of(scenario)).model().parameters())
    return {
        "weights": dimension,
        "rounds": len(each),
        "seconds a round": statistics.median(each),
        "of the first quarter": statistics.median(each[:quarter]),
        "of the last quarter": statistics.median(each[-quarter:]),
        "seconds before and after": whole - sum(each),
        "peak memory, MB": manifest["peak_rss_mb"],
        "cohort x weights x 4 B, MB": scenario.nodes.asked * dimension * SINGLE / 1e6,
        "verified": float(verified),
    }


def task_of(scenario: Any) -> dict[str, Any]:
    """Return the parameters of a scenario's task."""
    return dict(scenario.task.parameters)


if __name__ == "__main__":
    main()

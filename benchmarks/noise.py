"""Time of noise in a round: every mechanism, 20 holders, 30,220 parameters, the full protocol.

    python benchmarks/noise.py [--rounds 60] [--records 60] [--json]

Runs a dense network 784-38-10 with the noise of each mechanism in turn. Prints the milliseconds of
noise in a round, their share of the round without the measurement of the model, and their ratio to
the Gaussian mechanism's. ``--json`` prints one object per mechanism.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from typing import Any

import workloads

from fedchain import run
from fedchain.scenario import from_mapping
from fedchain.timing import STAGES

HOLDERS = 20
WIDTH = 38
"""Width of the hidden layer; the network has 30,220 parameters."""
MECHANISMS = ("gaussian", "skellam", "knorm", "laplace")


def main() -> None:
    """Run once for each mechanism, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rounds", 60), ("records", 60)):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{default} by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    spent = {kind: spent_ms(kind, asked.rounds, asked.records) for kind in MECHANISMS}
    if asked.json:
        print(json.dumps(spent))
        return
    print(f"{'':10}{'noise, ms':>10}{'round, ms':>10}{'share':>8}  times gaussian")
    for kind, (noise, whole) in spent.items():
        times = noise / spent["gaussian"][0]
        print(f"{kind:10}{noise:10.2f}{whole:10.2f}{noise / whole:8.1%}{times:8.2f}")


def spent_ms(kind: str, rounds: int, records: int) -> tuple[float, float]:
    """Return the milliseconds of noise and of everything in a round."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = run(from_mapping(scenario(kind, rounds, records)), folder).summary()["seconds"]
    whole = sum(seconds[stage] for stage in STAGES if stage != "evaluation")
    return 1000 * seconds["noise"] / rounds, 1000 * whole / rounds


def scenario(kind: str, rounds: int, records: int) -> dict[str, Any]:
    """Return the scenario of one mechanism at a total epsilon of 4."""
    made = workloads.scenario("mlp", HOLDERS, rounds, private=True, clip=1.0)
    task = {**made["task"], "hidden": WIDTH, "records": records}
    return {
        **made,
        "name": f"noise-of-{kind}",
        "task": task,
        "privacy": {"kind": kind, "epsilon": 4.0, "delta": 1e-5, "clip": 1.0},
    }


if __name__ == "__main__":
    main()

"""Time of each stage of a round: the protocol beside the gradients, in one run.

    python benchmarks/stages.py [--rounds 10]

Runs the first rounds of ``scenarios/first_light.yaml`` and prints the seconds of each stage and
its share; the protocol is everything but the gradients and the measurement of the model.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from fedchain import load, run
from fedchain.timing import STAGES

FIRST_LIGHT = Path(__file__).parents[1] / "scenarios" / "first_light.yaml"
PROTOCOL = ("noise", "signing", "network", "aggregation", "work", "ledger")


def main() -> None:
    """Run the scenario, and print one line per stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="rounds to run, at least 1")
    rounds = parser.parse_args().rounds
    scenario = load(FIRST_LIGHT, set={"rounds": rounds, "attacks": []})
    with tempfile.TemporaryDirectory() as folder:
        seconds = run(scenario, folder).summary()["seconds"]
    spent = sum(seconds[stage] for stage in STAGES)
    for stage in STAGES:
        share = seconds[stage] / spent
        print(f"{stage:12} {1000 * seconds[stage] / rounds:8.1f} ms a round {share:7.1%}")
    protocol = sum(seconds[stage] for stage in PROTOCOL)
    print(f"protocol / (protocol + gradients) = {protocol / (protocol + seconds['gradients']):.3f}")


if __name__ == "__main__":
    main()

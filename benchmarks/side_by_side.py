"""A sweep of small points in one process and in several: processor time, wall time, processes.

    python benchmarks/side_by_side.py [--seeds 2]

Runs ``convergence_vs_epsilon`` twice, with one worker and with as many as the plan takes, and
prints the ratios. Other programs on the machine lengthen both.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from fedchain.machine import prepare

prepare()

from fedchain import load  # noqa: E402
from fedchain.sweeps.plan import Plan  # noqa: E402
from fedchain.sweeps.sweep import sweep  # noqa: E402

SCENARIO = Path(__file__).parents[1] / "scenarios" / "convergence_vs_epsilon.yaml"


def spent(workers: int | None, seeds: int) -> tuple[float, float, Plan]:
    """Return processor seconds and wall seconds of a sweep, and its plan."""
    plans: list[Plan] = []
    began, before = time.perf_counter(), used()
    with tempfile.TemporaryDirectory() as folder:
        sweep(load(SCENARIO), folder, seeds=seeds, workers=workers, tell=plans.append)
    return used() - before, time.perf_counter() - began, plans[0]


def used() -> float:
    """Return the processor seconds of this process and of its ended children."""
    whose = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, whose))


def main() -> None:
    """Run twice, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2, help="seeds of each point, 2 by default")
    asked = parser.parse_args()
    spent(1, 1)  # loads the libraries
    alone, beside = spent(1, asked.seeds), spent(None, asked.seeds)
    for processor, wall, plan in (alone, beside):
        said = f"{plan.seconds:.0f} s" if plan.seconds is not None else "nothing"
        print(
            f"{plan.workers:3} at a time: {processor:6.1f} s of processor, {wall:6.1f} s, "
            f"{said} were said for the runs"
        )
    print(f"processor time {beside[0] / alone[0]:.2f}, wall time {beside[1] / alone[1]:.2f}")


if __name__ == "__main__":
    main()

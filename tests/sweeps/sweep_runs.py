"""Stand-ins for the simulation, importable by worker processes."""

import multiprocessing
import os
import time
import weakref
from pathlib import Path
from typing import Any, ClassVar

from made_up import make_run

from fedchain.errors import RunError
from fedchain.scenario import Scenario, run_digest, run_name


def made(folder: Path, scenario: Scenario, **given: Any) -> None:
    """Make up the run of a scenario."""
    make_run(folder, seed=scenario.seed, digest=run_digest(scenario), **given)


def quick(scenario: Scenario, runs: Path, threads: int | None) -> None:
    """Leave a finished run, and note that it was run."""
    folder = runs / run_name(scenario)
    epsilon = float(scenario.privacy.parameters["epsilon"])
    made(folder, scenario, epsilon=epsilon, rounds=scenario.rounds)
    with (runs / "calls").open("a") as calls:
        calls.write(f"{folder.name} {threads}\n")


def failing_at_seed_8(scenario: Scenario, runs: Path, threads: int | None) -> None:
    if scenario.seed == 8:
        raise RunError("disk: full, got 0 bytes")
    quick(scenario, runs, threads)


def dying_at_seed_8(scenario: Scenario, runs: Path, threads: int | None) -> None:
    if scenario.seed == 8:
        os._exit(3)
    quick(scenario, runs, threads)


def interrupted_at_seed_8(scenario: Scenario, runs: Path, threads: int | None) -> None:
    if scenario.seed == 8:
        made(runs / run_name(scenario), scenario, rounds=1, status="interrupted")
        raise KeyboardInterrupt
    quick(scenario, runs, threads)


def calls(folder: Path) -> list[str]:
    return (folder / "runs" / "calls").read_text().splitlines()


class Ring:
    """What only the collector of cycles can free, as a run's records."""

    left: ClassVar[weakref.WeakSet["Ring"]] = weakref.WeakSet()

    def __init__(self) -> None:
        self.ring = self
        self.left.add(self)


def leaving_a_ring(scenario: Scenario, runs: Path, threads: int | None) -> None:
    assert not Ring.left, "the run before is still in memory"
    Ring()
    quick(scenario, runs, threads)


def going_on_until_interrupted(scenario: Scenario, runs: Path, threads: int | None) -> None:
    """Begin a run, and say in its manifest that it was interrupted when it is."""
    folder = runs / run_name(scenario)
    try:
        made(folder, scenario, rounds=1, status="running")
        while True:
            time.sleep(0.02)
    except KeyboardInterrupt:
        made(folder, scenario, rounds=1, status="interrupted")
        raise


def beginning_a_process(scenario: Scenario, runs: Path, threads: int | None) -> None:
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()
    assert process.exitcode == 0
    quick(scenario, runs, threads)

"""What ``fedchain explain`` says about whole runs, beside the runs: time, memory, disk.

    python benchmarks/explained.py [case ..]

Each scenario, from a small table to a network of 10^7 weights, is explained and run in processes of
their own. The script prints what was said, what was measured, and the ratio of the larger to the
smaller number. Time is the wall time of the whole process, memory its largest resident memory, disk
the space that the run folder occupies. Other programs on the machine lengthen the wall time; then
the processor time is nearer to the time of the run alone, and is compared with the same estimate. A
gauge shows the other load. The largest case needs 4 GB of memory and about a minute. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import measuring
import workloads

from fedchain import load
from fedchain.scenario import Scenario, from_mapping, resolved_yaml

SCENARIOS = Path(__file__).parents[1] / "scenarios"
GOAL = 2.0
"""Largest ratio of a good estimate."""


def mlp(holders: int, rounds: int, hidden: int) -> Scenario:
    """Return a dense network 784-hidden-10 with the full protocol."""
    values = workloads.scenario("mlp", holders, rounds, private=True, clip=1.0)
    values["task"] |= {"hidden": hidden}
    return from_mapping({**values, "evaluate": {"every": 1, "samples": 0}})


def shipped(name: str, **changes: Any) -> Scenario:
    """Return a scenario of fedchain with other values; ``__`` stands for the dot of a path."""
    dotted = {path.replace("__", "."): value for path, value in changes.items()}
    return load(SCENARIOS / f"{name}.yaml", set=dotted)


CASES = {
    "tiny": shipped("breast_cancer", nodes__holders=4, aggregation__keep=3, rounds=300),
    "digits": shipped("convergence_vs_epsilon", sweep=None, rounds=100),
    "chain": shipped("stale_blocks", sweep=None, rounds=4000),
    "mlp-50": mlp(50, 20, 64),
    "million": mlp(8, 6, 1258),
    "ten-million": mlp(4, 3, 12_580),
}
"""Scenarios by name, from the smallest to the largest."""


def main() -> None:
    """Explain and run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="case", help=" or ".join(CASES))
    asked = parser.parse_args().cases
    if unknown := set(asked) - set(CASES):
        parser.error(f"no case {', '.join(sorted(unknown))}; one of {', '.join(CASES)}")
    print(f"{'case':12}{'what':9}{'said':>10}{'measured':>10}{'ratio':>7}")
    for name in asked or CASES:
        said, seen, gauge = compared(CASES[name])
        for what, unit in (("time", "s"), ("processor", "s"), ("memory", "MB"), ("disk", "MB")):
            ratio = max(said[what] / seen[what], seen[what] / said[what])
            mark = "" if ratio < GOAL else "  beyond the goal"
            values = f"{said[what]:8.1f} {unit:2}{seen[what]:7.1f} {unit:2}"
            print(f"{name:12}{what:9}{values}{ratio:6.2f}{mark}")
        print(f"{name:12}other load: a fixed piece of arithmetic took {gauge:.1f} ms", flush=True)


def compared(scenario: Scenario) -> tuple[dict[str, float], dict[str, float], float]:
    """Return what is said about a scenario, what a run measures, and the gauge of other load."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".fedchain-") as folder:
        file, out = Path(folder, "scenario.yaml"), Path(folder, "runs")
        file.write_text(resolved_yaml(scenario))
        command = [sys.executable, "-m", "fedchain"]
        timed([*command, "explain", str(file), "--format", "json"], out=Path(folder, "said"))
        estimates = json.loads(Path(folder, "said").read_text())["estimates"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = timed([*command, "run", str(file), "--out", str(out)], out=Path(folder, "printed"))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        said = {
            "time": estimates["seconds"],
            "processor": estimates["seconds"],
            "memory": estimates["memory_mb"],
            "disk": estimates["disk_mb"],
        }
        seen = {
            "time": done.seconds,
            "processor": processor,
            "memory": done.peak_mb,
            "disk": occupied_mb(out),
        }
    return said, seen, done.gauge


def timed(command: list[str], out: Path) -> measuring.Measured:
    """Run and measure a command that prints into a file.

    Raises:
        SystemExit: the command fails.
    """
    words = " ".join(f"'{each}'" for each in command)
    done = measuring.timed(["sh", "-c", f"exec {words} > '{out}'"])
    if done.reason:
        raise SystemExit(f"{words}: {done.reason}")
    return done


def occupied_mb(folder: Path) -> float:
    """Return the space that a folder and all that is in it occupy on the disk, MB."""
    paths = [folder, *folder.rglob("*")]
    return sum(512 * os.lstat(path).st_blocks for path in paths) / 1e6


if __name__ == "__main__":
    main()

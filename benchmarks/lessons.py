"""Records the runs of the lessons, and writes the data files that come with fedchain.

    python benchmarks/lessons.py [LESSON ..] [--runs FOLDER]

Runs the scenarios of scenarios/lessons, and writes fedchain/page/lessons/data/NAME.json.gz. All
lessons take a few minutes on two cores. A finished run in FOLDER is not repeated.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lesson_records as records

import fedchain
from fedchain.files import write_whole
from fedchain.page.lessons import LESSONS, RECORDED
from fedchain.page.lessons.glossary import write_glossary
from fedchain.results import Run
from fedchain.scenario import located

HOME = Path(__file__).resolve().parents[1]
SCENARIOS = HOME / "scenarios" / "lessons"
MADE: dict[str, Callable[..., dict[str, Any]]] = {
    "01_hash": lambda runs: records.hash_record(runs[0]),
    "02_forks": records.forks_record,
    "03_round": lambda runs: records.round_record(runs[0]),
    "04_epsilon": records.epsilon_record,
    "05_poison": lambda runs: records.poison_record(*runs),
    "06_tampering": lambda runs: records.tampering_record(runs[0]),
    "07_points": lambda _: records.points_record(),
}
"""By lesson, the function that takes its runs and returns the content of its data file."""


def main() -> None:
    """Write the data files of some lessons, or of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", default=[lesson.name for lesson in LESSONS])
    parser.add_argument("--runs", type=Path, default=HOME / ".bench" / "lessons")
    asked = parser.parse_args()
    write_glossary(HOME / "docs" / "glossary.md")
    for lesson in LESSONS:
        if lesson.name in asked.lessons:
            runs = [run for name in lesson.scenarios for run in runs_of(name, asked.runs)]
            names = [records.recorded_name(run.scenario) for run in runs]
            content = {"runs": names, **MADE[lesson.name](runs)}
            path = RECORDED / f"{lesson.name}.json.gz"
            write_whole(path, packed(content))
            print(f"{path.relative_to(HOME)}: {path.stat().st_size:,} bytes", file=sys.stderr)


def runs_of(name: str, folder: Path) -> list[Run]:
    """Run a scenario, or all points of its sweep, and return the finished runs."""
    scenario = fedchain.load(located(SCENARIOS / f"{name}.yaml"))
    if scenario.sweep is None:
        return [fedchain.run(scenario, out=folder)]
    swept = fedchain.sweep(scenario, out=folder, workers=None)
    return [Run.open(swept.folder / "runs" / row["run"]) for row in swept.rows]


def packed(content: dict[str, Any]) -> bytes:
    """Return the bytes of a data file."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False, sort_keys=True)
    return gzip.compress(text.encode(), 9, mtime=0)


if __name__ == "__main__":
    main()

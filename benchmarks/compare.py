"""fedchain beside other simulators, Opacus and plain torch, on the same workloads.

    python benchmarks/compare.py [--quick] [--only pfl,floors] [--json FILE] [--from FILE]

Every row runs in its own process and in an environment with the pinned version of its peer; the
environment is made on first use, under ``.bench``. The rows of a table take turns, several times,
and the median counts. Writes ``docs/performance.md``; with ``--quick`` or ``--only`` the page is
printed instead. Takes about a quarter of an hour; nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import measuring
import page
import plan
import workloads
from marks import replace

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PROCESS_ROUNDS = 53
"""Rounds of the whole process: as many as the peers run, including their warm-up."""


def main() -> None:
    """Measure, store the results, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="50 holders only, one turn")
    parser.add_argument("--only", default="", help="scripts or environments, by comma")
    parser.add_argument("--json", type=Path, help="keep the raw numbers here")
    parser.add_argument("--from", dest="source", type=Path, help="write the page from these")
    asked = parser.parse_args()
    if asked.source:
        results = json.loads(asked.source.read_text())
    else:
        results = measure(quick=asked.quick, only=set(filter(None, asked.only.split(","))))
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1) + "\n")
    text = page.written(results)
    if asked.quick or asked.only:
        print(text)
    else:
        replace(PAGE, text.encode())
        print(f"wrote {PAGE.name}", file=sys.stderr)


def measure(*, quick: bool, only: set[str]) -> dict[str, Any]:
    """Return the machine, the date, and the results of every row at every turn."""
    cases = [
        case
        for case in plan.everything(quick=quick)
        if not only or only & {case.environment, Path(case.script).stem}
    ]
    rows = []
    for _, group in itertools.groupby(cases, key=lambda case: case.group):
        rows += in_turns(list(group))
    results: dict[str, Any] = {
        "machine": measuring.machine(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "rows": rows,
    }
    if not only:
        results["start"] = starts(1 if quick else 3)
        results["floors"] = measuring.measured(measuring.OURS, "protocol_floors.py", []).found
        results["rules"] = rules()
        results["kernels"] = ours("kernels.py", "--json")
        results["gradients"] = gradients()
    return results


def in_turns(cases: list[plan.Case]) -> list[dict[str, Any]]:
    """Measure the rows of one table, A B C A B C, and return them with all their turns."""
    rows = [{**dataclasses.asdict(case), "runs": []} for case in cases]
    for turn in range(max(case.turns for case in cases)):
        for case, row in zip(cases, rows, strict=True):
            failed = row["runs"] and row["runs"][0]["reason"]
            if turn >= case.turns or failed:
                continue
            # The first turn is checked; the others omit the check, which is no part of the peer.
            arguments = [*case.arguments, *["--unchecked"] * bool(turn)]
            print(f"{case.group}: {case.name}, turn {turn + 1}", file=sys.stderr)
            found = measuring.measured(case.environment, case.script, arguments)
            row["runs"].append(dataclasses.asdict(found))
            if found.reason:
                print(f"  {found.reason}", file=sys.stderr)
    return rows


def starts(turns: int) -> dict[str, Any]:
    """Time whole processes of fedchain from outside: a run, the help, the import."""
    found: dict[str, list[Any]] = {"run": [], "help": [], "import": []}
    program = [sys.executable, "-m", "fedchain"]
    scenario = workloads.scenario("mlp", 50, PROCESS_ROUNDS, private=False, clip=1.0)
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "scenario.yaml"
            file.write_text(json.dumps(scenario))
            commands = {
                "run": [*program, "run", str(file), "--out", folder],
                "help": [*program, "--help"],
                "import": [sys.executable, "-c", "import fedchain"],
            }
            for name, command in commands.items():
                found[name].append(dataclasses.asdict(measuring.timed(command)))
    return found


def rules() -> dict[str, Any]:
    """Time the aggregation rules of fedchain and of ByzFL, 100 rows of a million."""
    theirs = measuring.measured("byzfl", "byzfl_rules.py", []).found
    return {"fedchain": ours("aggregation.py", "--json"), "byzfl": theirs}


def gradients() -> dict[str, Any]:
    """Time the gradients of two U-Nets, with the kernels and without."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "seconds.json"
        ours("gradients.py", "--json", str(file), printed=False)
        return json.loads(file.read_text())


def ours(script: str, *arguments: str, printed: bool = True) -> dict[str, Any]:
    """Run a benchmark of this folder, and return the JSON object that it prints."""
    done = subprocess.run(
        [sys.executable, str(measuring.HERE / script), *arguments],
        env=measuring.environment_of(),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout) if printed else {}


if __name__ == "__main__":
    main()

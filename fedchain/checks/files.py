"""Checks of the files in a run folder that follow from its events, its scenario and its ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from fedchain.checks.play import SAME_METRIC, Played, differences
from fedchain.checks.verdict import FAILED, OK, UNCHECKED, Checked
from fedchain.errors import FedchainError
from fedchain.files import open_to_read, read_json, read_utf8
from fedchain.reports.opening import open_study
from fedchain.reports.table import TABLE_KINDS, write_table
from fedchain.reports.tables import tabulate
from fedchain.results import EVENTS
from fedchain.results.folder import MANIFEST
from fedchain.results.resolved import RESOLVED
from fedchain.results.tables import messages_csv, metrics_csv
from fedchain.runs.manifest import as_json, in_json, initial_manifest
from fedchain.runs.privacy_statement import privacy_statement
from fedchain.scenario import run_digest
from fedchain.simulation.setup import RunSetup

MACHINE = ("versions", "platform", "arithmetic")
"""Keys of the manifest that describe the machine and its software, on which rounding depends."""
MEASURED = (
    "stopped",
    "format",
    "versions",
    "platform",
    "arithmetic",
    "started",
    "ended",
    "seconds",
    "peak_rss_mb",
)
"""Keys of the manifest that say where and when a run was made, and why the user's callback ended
it. They cannot be checked."""
GROWING = ("status", "height", "head", "epsilon")
"""Keys of the manifest that a run updates until its end."""
PRIVACY = "privacy.json"
"""Name of the file that states the guarantee of a run."""
CSV: Mapping[str, Callable[[Path], Iterator[str]]] = {
    "metrics.csv": metrics_csv,
    "messages.csv": messages_csv,
}
"""Maps the file name of a table to the function that makes the table from a run's events."""
BROKEN = (
    OSError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError, FedchainError
)  # fmt: skip
"""Errors that reading a damaged or forged file may raise."""
FOLLOWING = {RESOLVED, MANIFEST, EVENTS, PRIVACY, *CSV, "ledger", "tables", ".lock"}
"""Names of files and folders with checks of their own, and of the empty lock file."""


def made_elsewhere(manifest: Mapping[str, Any], setup: RunSetup) -> list[str]:
    """Return the keys of ``MACHINE`` for which a manifest has other values than this machine."""
    here = in_json(initial_manifest(setup))
    return [key for key in MACHINE if manifest.get(key) != here[key]]


def manifest_check(
    manifest: Mapping[str, Any], setup: RunSetup, played: Played
) -> Iterator[Checked]:
    """Check a manifest against the scenario, and against the results of playing the run again."""
    expected = {k: v for k, v in initial_manifest(setup).items() if k not in MEASURED}
    if (stated := manifest.get("provenance")) is not None:  # another row compares it with the files
        expected |= {"provenance": stated, "digest": run_digest(setup.scenario, stated)}
    if played.status:
        expected |= {"status": played.status, "height": played.height}
        expected |= {"head": played.head if played.height else None}
        expected |= played.figures
    else:
        growing = sorted({*GROWING, *played.figures} & expected.keys())
        expected = {k: v for k, v in expected.items() if k not in growing}
        words = f"{MANIFEST}: {', '.join(growing)}: the run was not played to its end"
        yield Checked("figures", UNCHECKED, words)
    there = {k: v for k, v in manifest.items() if k in expected}
    if wrong := list(differences(there, in_json(expected), SAME_METRIC)):
        yield Checked("manifest", FAILED, f"{MANIFEST}: {wrong[0]}")
        return
    figures = "epsilon, traffic and shares of blocks" if played.status else "what a run begins with"
    yield Checked("manifest", OK, f"{MANIFEST}: scenario, baselines, {figures} follow")


def privacy_check(folder: Path, setup: RunSetup, releases: Mapping[int, int]) -> Checked:
    """Check the privacy statement against the scenario and the releases.

    ``releases`` maps each participant's id to its number of releases, including those on forks.
    """
    expected = json.loads(as_json(privacy_statement(setup, releases)))
    try:
        there = read_json(folder / PRIVACY)
    except BROKEN as error:
        return Checked("privacy", FAILED, f"{PRIVACY}: cannot be read: {error}")
    if wrong := list(differences(there, expected)):
        return Checked("privacy", FAILED, f"{PRIVACY}: {wrong[0]}")
    made = sum(releases.values())
    words = f"{PRIVACY}: the guarantee, epsilon, and the releases of every holder follow"
    return Checked("privacy", OK, f"{words} ({made} releases in all, forks included)")


def csv_check(folder: Path) -> Checked:
    """Check the tables of a run against its events, line by line."""
    for name, made in CSV.items():
        try:
            with open_to_read(folder / name) as file:
                wrong = _first_difference(file, made(folder / EVENTS))
        except BROKEN as error:
            return Checked("tables", FAILED, f"{name}: cannot be read: {error}")
        if wrong:
            return Checked("tables", FAILED, f"{name}:{wrong}: is not what {EVENTS} says")
    return Checked("tables", OK, f"{', '.join(CSV)}: every line follows from {EVENTS}")


def report_check(folder: Path) -> Iterator[Checked]:
    """Check the tables of ``fedchain report``, if there are any, against newly made ones."""
    if not (folder / "tables").is_dir():
        return
    try:
        made = {
            f"{table.name}.{kind}": write_table(table, kind)
            for table in tabulate(open_study(folder))
            for kind in TABLE_KINDS
        }
        names = sorted(file.name for file in (folder / "tables").iterdir())
        there = {name: read_utf8(folder / "tables" / name) for name in names if name in made}
    except BROKEN as error:
        yield Checked("report", FAILED, f"tables: cannot be compared: {error}")
        return
    wrong = [name for name in there if there[name] != made[name]]
    if wrong:
        yield Checked("report", FAILED, f"tables/{wrong[0]}: is not what fedchain report writes")
    elif there:
        yield Checked("report", OK, f"tables/: {', '.join(there)} are what fedchain report writes")
    if other := [name for name in names if name not in made]:
        words = f"tables/: {', '.join(other)}: are not tables of this run's report"
        yield Checked("other tables", UNCHECKED, words)


def others(folder: Path) -> Checked | None:
    """Return the verdict's row for the files that no check reads, or None if there are none."""
    names = sorted({file.name for file in folder.iterdir()} - FOLLOWING)
    words = "are not read; fedchain report and fedchain audit write pictures and findings again"
    return Checked("other files", UNCHECKED, f"{', '.join(names)} {words}") if names else None


def _first_difference(file: BinaryIO, lines: Iterable[str]) -> int | None:
    """Return the number, from 1, of the first line in which a file differs; None if none does."""
    # no more bytes are read than the lines have, so a huge file takes no memory
    number = 0
    for number, line in enumerate(lines, 1):
        expected = line.encode()
        if file.read(len(expected)) != expected:
            return number
    return number + 1 if file.read(1) else None

"""Overview: the runs and sweeps in a folder, one row each, and the differences of two runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedchain.errors import FedchainError, RunRefused
from fedchain.reports.opening import read_points
from fedchain.reports.study import DONE
from fedchain.results import Run
from fedchain.results.finding import best_of
from fedchain.results.folder import MANIFEST
from fedchain.results.removal import SWEEP, bytes_of
from fedchain.results.statuses import current_status

UNREADABLE = "unreadable"
"""Status of a run whose files are damaged or of another version."""
TOLD_FIGURES = ("epsilon", "byzantine_share", "capture", "seconds", "height", "status", "head")
"""Figures of a summary that a comparison shows below the metrics."""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """A run or a sweep in one row."""

    name: str
    """Name of the folder."""
    kind: str
    """``run`` or ``sweep``."""
    status: str
    """Status of a run; of a sweep, how many of its points have a result."""
    rounds: str = ""
    """Rounds that are done, and all rounds."""
    score: str = ""
    """Name of the task's score; empty if nothing is learned."""
    value: float | None = None
    """The score after the last round."""
    baseline: float | None = None
    """The score of the best baseline."""
    epsilon: float | None = None
    """Total epsilon spent by the holder with the most releases; None without a guarantee."""
    byzantine: int = 0
    """Number of messages that attackers sent."""
    byzantine_used: int = 0
    """Number of these messages that the rule used."""
    ended: str | None = None
    """When the run ended, in ISO 8601; None if it has not."""
    bytes: int
    """Size of the folder."""
    problem: str = ""
    """Why the folder cannot be read."""


def overview(folder: Path) -> Iterator[RunRow]:
    """Yield a row for each run and each sweep in a folder, in alphabetical order.

    Raises:
        RunRefused: there is no such folder, or it is itself a run or a sweep.
    """
    if not folder.is_dir():
        raise RunRefused(f"{folder}: no such folder; give a folder of runs or of sweeps")
    if any((folder / name).is_file() for name in (MANIFEST, SWEEP)):
        raise RunRefused(f"{folder}: is itself a run or a sweep; give the folder that it lies in")
    for path in sorted(folder.iterdir()):
        kinds = {MANIFEST: _of_run, SWEEP: _of_sweep}
        for file, read in kinds.items():
            if (path / file).is_file() and not path.is_symlink() and path.name[0] != ".":
                yield _readable(path, read)


def _readable(path: Path, read: Any) -> RunRow:
    try:
        row: RunRow = read(path)
    except (FedchainError, LookupError, ValueError, TypeError) as error:
        kind = "run" if read is _of_run else "sweep"
        words = str(error) or type(error).__name__
        return RunRow(
            name=path.name, kind=kind, status=UNREADABLE, bytes=bytes_of(path), problem=words
        )
    return row


def _of_run(path: Path) -> RunRow:
    run = Run.open(path)
    told = run.summary()
    score = str(told["score"])
    best = best_of(told["metrics"]["baselines"], score)
    messages = told["messages"]
    return RunRow(
        name=path.name,
        kind="run",
        status=current_status(run.folder),
        rounds=f"{told['height']}/{told['rounds']}",
        score=score,
        value=told["metrics"].get(score),
        baseline=best and best[1],
        epsilon=told["epsilon"].get("total"),
        byzantine=messages["byzantine"],
        byzantine_used=messages["byzantine_used"],
        ended=run.manifest.get("ended"),
        bytes=bytes_of(path),
    )


def _of_sweep(path: Path) -> RunRow:
    sweep, rows = read_points(path)
    done = sum(row["status"] in DONE for row in rows)
    status = f"{done} of {len(rows)} points"
    return RunRow(
        name=path.name, kind="sweep", status=status, score=sweep["y"] or "", bytes=bytes_of(path)
    )


def scenario_differences(first: Run, second: Run) -> dict[str, tuple[Any, Any]]:
    """Return the values of two runs' scenarios that differ, by their dotted keys.

    A key that one scenario lacks has the value None there.
    """
    one, other = (dict(_leaves(run.manifest["scenario"])) for run in (first, second))
    keys = [*one, *(key for key in other if key not in one)]
    return {k: (one.get(k), other.get(k)) for k in keys if one.get(k) != other.get(k)}


def paired_figures(first: Run, second: Run) -> dict[str, tuple[Any, Any]]:
    """Return the metrics and the other figures of two runs, by name."""
    pair = [_figures(run) for run in (first, second)]
    return {k: (pair[0].get(k), pair[1].get(k)) for k in dict.fromkeys([*pair[0], *pair[1]])}


def _figures(run: Run) -> dict[str, Any]:
    told = run.summary()
    metrics = {k: v for k, v in told["metrics"].items() if k != "baselines"}
    told |= {"epsilon": told["epsilon"].get("total"), "seconds": told["seconds"].get("total")}
    return {**metrics, **{name: told[name] for name in TOLD_FIGURES}}


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value in a scenario that is no block, with its dotted key."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{place}[{number}]")
    else:
        yield place, value

"""Opening: reads the folder of a run or of a sweep as a study."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedchain.errors import NothingYet, RunError, RunRefused
from fedchain.files import check_folder, read_json, read_utf8
from fedchain.registry import suggest
from fedchain.reports.axis_labels import block_words
from fedchain.reports.study import DONE, SWEEP_FORMAT, GridValue, Recorded, Study, metric_names
from fedchain.results import OVER, Run


def open_study(folder: Path) -> Study:
    """Open a run folder or a sweep folder.

    Raises:
        RunError: the folder is neither a run nor a sweep, or has another format.
        NothingYet: the folder has no results yet.
    """
    check_folder(folder)
    if (folder / "manifest.json").is_file():
        return _open_run(folder)
    if (folder / "sweep.json").is_file():
        return _open_sweep(folder)
    what = "holds neither a manifest.json nor a sweep.json" if folder.exists() else "does not exist"
    raise RunRefused(f"{folder}: {what}; a run folder or a sweep folder is expected")


def read_points(folder: Path) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Read ``sweep.json`` and ``points.csv`` of a sweep folder.

    Raises:
        RunError: a file is missing, damaged, or of another format.
    """
    try:
        sweep, text = read_json(folder / "sweep.json"), read_utf8(folder / "points.csv")
    except FileNotFoundError as error:
        missing = f"{Path(str(error.filename)).name} is missing"
        raise RunRefused(f"{folder}: not a whole sweep folder: {missing}") from error
    if not isinstance(sweep, dict) or sweep.get("format") != SWEEP_FORMAT:
        raise RunRefused(f"{folder / 'sweep.json'}: format must be {SWEEP_FORMAT}")
    needed, rows = {"seed", "run", "status", *sweep["grid"]}, list[dict[str, str]]()
    try:
        for row in csv.DictReader(io.StringIO(text)):
            whole = needed <= row.keys() and None not in row.values()
            if not whole or Path(row["run"]).name != row["run"] or row["run"] in ("", ".."):
                raise RunRefused(f"{folder / 'points.csv'}: a damaged row, got {row}")
            rows.append(row)
    except csv.Error as error:
        raise RunRefused(f"{folder / 'points.csv'}: cannot be read: {error}") from error
    return sweep, rows


def read_value(text: str) -> GridValue:
    """Read a grid value from its text in ``points.csv``.

    >>> read_value("0.5"), read_value("inf"), read_value("krum")
    (0.5, inf, 'krum')
    """
    try:
        return float(text)
    except ValueError:
        return text


def read_run(folder: Path, messages: bool = False) -> Recorded:
    """Read one run folder; with ``messages``, also read the messages and the new heads.

    Raises:
        RunError: the folder holds no run, or a damaged run.
    """
    run = Run.open(folder)
    read = Recorded(folder=folder, manifest=run.manifest, metrics=run.metrics)
    return replace(read, messages=run.messages, heads=run.heads) if messages else read


def _open_run(folder: Path) -> Study:
    run = read_run(folder, messages=True)
    if not run.metrics:
        status, height = run.manifest["status"], run.manifest["height"]
        if height:
            lost = f"is {status} at height {height}, but events.ndjson records no round of it"
            raise RunRefused(f"{folder}: {lost}; restore the file")
        if status in OVER:
            raise RunRefused(f"{folder}: {status} before its first round; nothing can be shown")
        raise NothingYet(f"{folder}: no round is recorded yet; let the run go on first")
    name, score = str(run.manifest["name"]), str(run.manifest["score"])
    labels = _labels(run.manifest["scenario"])
    return Study(folder=folder, kind="run", name=name, score=score, runs=(run,), labels=labels)


def _labels(described: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels that a manifest's scenario or ``sweep.json`` has; earlier ones have none.

    What is no text is left out: the files may come from a stranger.
    """
    labels = described.get("labels")
    if not isinstance(labels, Mapping):
        return {}
    return {key: words for key, words in labels.items() if isinstance(words, str)}


def _open_sweep(folder: Path) -> Study:
    sweep, rows = read_points(folder)
    keys = tuple(sweep["grid"])
    words = {key: block_words(key, list(dict.fromkeys(row[key] for row in rows))) for key in keys}

    def read(row: Mapping[str, str]) -> Recorded:
        values = tuple(words[key].get(row[key], read_value(row[key])) for key in keys)
        return replace(read_run(folder / "runs" / row["run"]), values=values)

    runs = tuple(read(row) for row in rows if row["status"] in DONE)
    left = tuple(row for row in rows if row["status"] not in DONE)
    begun = tuple(_with_rounds(read, left))
    if not runs:
        runs, begun = begun, ()
    if not runs:
        raise NothingYet(f"{folder}: no point has a round yet; let the sweep go on first")
    known = {name for run in runs for name in metric_names(run)}
    score = sweep["y"] or runs[0].manifest["score"]
    if sweep["y"] and known and score not in known:
        raise RunRefused(f"{folder}: sweep.y: no metric {score!r}; {suggest(score, known)}")
    return Study(
        folder=folder,
        kind="sweep",
        name=sweep["name"],
        score=score,
        runs=runs,
        keys=keys,
        x=sweep["x"] or (keys[0] if keys else ""),
        target=sweep.get("target"),
        blocks=frozenset(key for key in keys if words[key]),
        labels=_labels(sweep),
        unfinished=left,
        begun=begun,
    )


def _with_rounds(
    read: Callable[[Mapping[str, str]], Recorded], rows: Iterable[Mapping[str, str]]
) -> Iterator[Recorded]:
    """Yield the runs of rows without a result that can be read and have recorded a round."""
    for row in rows:
        try:
            run = read(row)
        except RunError:  # the row says why there is no run
            continue
        if run.metrics:
            yield run

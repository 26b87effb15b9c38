"""Curves: the rounds of all runs of a sweep in one long table, a row for each run and round."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from fedchain.errors import MissingExtra
from fedchain.reports.study import Recorded, Study
from fedchain.results.tables import columns_of, csv_lines

PARQUET = "parquet"
"""Kind of the table's file for programs that read columns."""
LEFT_OUT = "seconds_"
"""Start of the names of columns that the table does not have: they are times of one machine."""


def curve_files(study: Study, kinds: tuple[str, ...]) -> Iterator[tuple[str, str | bytes]]:
    """Yield name and content of the files with the rounds of a sweep; none for a single run.

    Args:
        study: the sweep. Runs without a result are in the table as far as they came.
        kinds: kinds of table files; only ``csv`` and ``parquet`` hold curves.

    Raises:
        MissingExtra: Parquet is asked for, and pyarrow is not installed.
    """
    if study.kind != "sweep":
        return
    rows = list(curve_rows(study))
    if "csv" in kinds:
        yield "curves.csv", "".join(csv_lines(columns_of(rows), rows))
    if PARQUET in kinds:
        yield "curves.parquet", parquet(rows)


def curve_rows(study: Study) -> Iterator[dict[str, Any]]:
    """Yield a row for each round: grid values, seed, run, status, and what the round recorded."""
    for run in (*study.runs, *study.begun):
        at = _place(study, run)
        for row in run.metrics:
            yield at | {key: row[key] for key in row if not key.startswith(LEFT_OUT)}


def _place(study: Study, run: Recorded) -> dict[str, Any]:
    manifest = run.manifest
    return {
        **dict(zip(study.keys, run.values, strict=True)),
        "seed": manifest["scenario"]["seed"],
        "run": run.folder.name,
        "status": manifest["status"],
    }


def parquet(rows: list[dict[str, Any]]) -> bytes:
    """Return rows as a Parquet file. A column with numbers and texts becomes one of texts."""
    pyarrow, files = parquet_packages()
    columns, room = {}, io.BytesIO()
    for name in columns_of(rows):
        values = [row.get(name) for row in rows]
        kinds = {type(value) for value in values if value is not None}
        kind = kinds.pop() if len(kinds) == 1 else float if kinds <= {int, float} else str
        columns[name] = [None if value is None else kind(value) for value in values]
    files.write_table(pyarrow.table(columns), room)
    return room.getvalue()


def parquet_packages() -> tuple[Any, Any]:
    """Import pyarrow and its part for Parquet; raise MissingExtra if it is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet as files
    except ImportError as error:
        text = "tables: parquet needs pyarrow; install it with: pip install 'fedchain[parquet]'"
        raise MissingExtra(text) from error
    return pyarrow, files

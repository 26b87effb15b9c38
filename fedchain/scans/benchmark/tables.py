"""The table of a benchmark: device, API, back end, time of training, time of inference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fedchain.scans.benchmark.measuring import Row

COLUMNS = (
    "device", "API", "back end", "threads", "train, ms a scan", "to eager", "inference, ms a scan",
    "to eager", "ready after, s", "difference",
)  # fmt: skip
"""Headings of the table."""
NONE = "-"
"""Cell of a value that was not measured."""


def table(rows: Iterable[Row]) -> list[tuple[str, ...]]:
    """Return the cells of the table, under the headings of ``COLUMNS``.

    Rows that were skipped are left out; ``notes`` names them.
    """
    return [
        (
            row.device,
            row.api,
            row.backend,
            NONE if row.threads is None else str(row.threads),
            _number(row.train_ms, ".1f"),
            _number(row.train_relative, ".2f"),
            _number(row.inference_ms, ".1f"),
            _number(row.inference_relative, ".2f"),
            _number(row.ready_s, ".1f"),
            _differences(row),
        )
        for row in rows
        if not row.skipped
    ]


def notes(rows: Sequence[Row]) -> list[str]:
    """Return a line for each back end that was skipped, or whose answer differs from eager's."""
    return list(dict.fromkeys(_notes(rows)))


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        name = f"{row.api}, {row.backend}"
        if row.skipped:
            yield f"skipped: {name}: {row.skipped}"
        if row.differs:
            yield f"answer differs from eager: {name} on {row.device}: {_differences(row)}"


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _differences(row: Row) -> str:
    found = (row.difference, row.gradient_difference)
    return " / ".join(f"{each:.0e}" for each in found if each is not None)

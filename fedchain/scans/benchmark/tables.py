"""The table of a benchmark: device, API, back end, time of training, time of inference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from fedchain.scans.benchmark.measuring import Row, Timing

COLUMNS = (
    "device", "API", "back end", "threads", "train, ms a scan", "to eager", "inference, ms a scan",
    "to eager", "ready after, s", "difference",
)  # fmt: skip
"""Headings of the table."""
NONE = "-"
"""Cell of a value that was not measured."""
Clock = Literal["wall", "processor"]
WAITED = 1.5
"""Ratio of the clock to the processor's time, in one thread, above which a machine is busy."""
BUSY = (
    "the machine was busy with other work, so times on the clock are too long; compare times of "
    "the processor, or measure again"
)


def table_cells(rows: Iterable[Row], clock: Clock = "wall") -> list[tuple[str, ...]]:
    """Return the cells of the table, under the headings of ``COLUMNS``.

    Rows that were skipped are left out; ``benchmark_notes`` names them.

    Args:
        rows: what was measured.
        clock: ``wall`` for times on the clock, ``processor`` for times of all processors together.
    """
    return [
        (
            row.device,
            row.api,
            row.backend,
            NONE if row.threads is None else str(row.threads),
            *_cells(row.train, clock),
            *_cells(row.inference, clock),
            NONE if row.ready_s is None else f"{row.ready_s:.1f}",
            _differences(row),
        )
        for row in rows
        if not row.skipped
    ]


def _cells(timing: Timing | None, clock: Clock) -> tuple[str, str]:
    if timing is None:
        return NONE, NONE
    if clock == "wall":
        return f"{timing.wall_ms:.1f}", f"{timing.wall_to_eager:.2f}"
    return f"{timing.processor_ms:.1f}", f"{timing.processor_to_eager:.2f}"


def benchmark_notes(rows: Sequence[Row]) -> list[str]:
    """Return a line for each back end that was skipped, or whose answer differs from eager's."""
    return list(dict.fromkeys(_notes(rows)))


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        name = f"{row.api}, {row.backend}"
        if row.skipped:
            yield f"skipped: {name}: {row.skipped}"
        if row.inference and row.threads == 1 and _busy(row.inference):
            yield BUSY
        if row.differs:
            yield f"answer differs from eager: {name} on {row.device}: {_differences(row)}"


def _busy(timing: Timing) -> bool:
    """Say whether a computation in one thread waited for the processor."""
    return timing.wall_ms > WAITED * timing.processor_ms


def _differences(row: Row) -> str:
    found = (row.difference, row.gradient_difference)
    return " / ".join(f"{each:.0e}" for each in found if each is not None)

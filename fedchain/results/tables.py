"""Tables of a run: one with a row per round, one with a row per message.

A reorganisation writes the events of its rounds again. Only the last event of each round and
message is final, and is shown in the tables.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import chain, compress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TextIO, cast

from fedchain.errors import RunRefused
from fedchain.extras import needed_package
from fedchain.results.events import event_of, whole_lines
from fedchain.results.records import MessageRecord

if TYPE_CHECKING:
    from pandas import DataFrame

    from fedchain.results.run import Run

FRAMES = ("metrics", "messages", "refusals", "evidence", "heads")
"""Properties of a run that ``Run.frame`` returns as DataFrames."""

EventRow = dict[str, Any]
# A run may have any number of rounds, so no function keeps the events in memory.
MOST_REPLACED = 65_536
"""Limit on the rounds that one reorganisation replaces."""
SLACK = 0.01
"""Relative slack of ``capture_of``: a mean that weighs holders by records may give attackers a
little less than their share of the messages."""
_ROUND = b'{"event": "round"'
"""Start of a round's line."""
_NUMBERED = re.compile(rb'\{"event": "round", "round": (\d{1,18}),')
"""Start of a round's line, up to the number of the round."""
_MESSAGE = b'{"event": "message"'


def told_events(path: Path, event: str, round_: int | None = None) -> Iterator[EventRow]:
    """Return all events of one kind in the order of the file, final or not.

    Other lines are not parsed.

    Args:
        path: the file of a run's events.
        event: the kind, such as ``round`` or ``refusal``.
        round_: the only round whose events are wanted; None: all rounds.
    """
    wanted = "" if round_ is None else f' "round": {round_},'
    start, lines = f'{{"event": "{event}",{wanted}'.encode(), enumerate(whole_lines(path), 1)
    return (event_of(line, path, number) for number, line in lines if line.startswith(start))


def main_rounds(path: Path) -> Iterator[EventRow]:
    """Return the final round events in order.

    Args:
        path: the file of a run's events.

    Raises:
        RunError: the file cannot be read, a round's line is not a JSON object, or a reorganisation
            replaces more than ``MOST_REPLACED`` rounds.
    """
    final, _ = _find_final_rounds(path)
    lines = compress(enumerate(whole_lines(path), 1), final)
    return (event_of(line, path, number) for number, line in lines)


def last_fates(path: Path) -> Iterator[EventRow]:
    """Return the last event of each message, in the order of the file.

    Raises:
        RunError: the file cannot be read, a line is not a JSON object, or a reorganisation replaces
            more than ``MOST_REPLACED`` rounds.
    """
    _, replaced = _find_final_rounds(path)
    final = _find_final_messages(path, replaced)
    lines = compress(enumerate(whole_lines(path), 1), final)
    return (
        {key: value for key, value in event_of(line, path, number).items() if key != "event"}
        for number, line in lines
    )


def round_rows(rounds: Iterable[EventRow]) -> Iterator[EventRow]:
    """Return one row per round: its fields, its metrics, and a ``seconds_`` column per stage."""
    nested = ("event", "metrics", "seconds")
    return (
        {key: value for key, value in event.items() if key not in nested}
        | event["metrics"]
        | {f"seconds_{stage}": value for stage, value in event["seconds"].items()}
        for event in rounds
    )


def attackers_share(rounds: Iterable[EventRow]) -> float | None:
    """Return the share of the global gradient that came from Byzantine holders, as a mean.

    The mean is over the attacked rounds: those whose block has messages from Byzantine holders.
    Without such a round the result is None.

    >>> rounds = [{"messages": 8, "byzantine": k, "byzantine_share": k / 10} for k in (0, 1, 2)]
    >>> round(attackers_share(rounds), 3), capture_of(rounds)
    (0.15, 0.0)
    """
    shares = [row["byzantine_share"] for row in _attacked(rounds)]
    return sum(shares) / len(shares) if shares else None


def capture_of(rounds: Iterable[EventRow]) -> float | None:
    """Return the share of the attacked rounds that Byzantine holders captured; None without any.

    They capture a round if their share of the global gradient is at least their share of the
    messages (see ``sent_by_attackers``), less ``SLACK``.
    """
    captured = [
        row["byzantine_share"] >= (1.0 - SLACK) * sent_by_attackers(row)
        for row in _attacked(rounds)
    ]
    return sum(captured) / len(captured) if captured else None


def sent_by_attackers(row: Mapping[str, Any]) -> float:
    """Return the Byzantine holders' share of a round's messages, without that of a public root.

    >>> sent_by_attackers({"messages": 21, "root": 1, "byzantine": 5})
    0.25
    """
    holders = row["messages"] - row.get("root", 0)
    return float(row["byzantine"] / holders) if holders else 0.0


def _attacked(rounds: Iterable[EventRow]) -> Iterator[EventRow]:
    # Earlier runs did not record the share.
    return (row for row in rounds if row["byzantine"] and "byzantine_share" in row)


def columns_of(rows: Iterable[EventRow]) -> list[str]:
    """Return the names of the columns in the order in which they first appear."""
    return list(dict.fromkeys(key for row in rows for key in row))


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Return the lines of a CSV file. A missing value is an empty cell."""
    # ``writerow`` returns what the file's ``write`` returns: here the text of the row.
    file = cast(TextIO, SimpleNamespace(write=str))
    writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    return chain([writer.writeheader()], map(writer.writerow, rows))


def metrics_csv(path: Path) -> Iterator[str]:
    """Return the lines of ``metrics.csv`` from the events of a run."""
    return csv_lines(columns_of(round_rows(main_rounds(path))), round_rows(main_rounds(path)))


def messages_csv(path: Path) -> Iterator[str]:
    """Return the lines of ``messages.csv`` from the events of a run."""
    return csv_lines([field.name for field in fields(MessageRecord)], last_fates(path))


def _find_final_rounds(path: Path) -> tuple[bytearray, set[int]]:
    """Return a flag per line (1: final round event), and the numbers of all replaced rounds."""
    final, lines, replaced = bytearray(), array("q"), set[int]()
    for number, line in enumerate(whole_lines(path), 1):
        final.append(line.startswith(_ROUND))
        if not final[-1]:
            continue
        numbered = _NUMBERED.match(line)
        told = int(numbered[1]) if numbered else event_of(line, path, number)["round"]
        if len(lines) - told >= MOST_REPLACED:
            raise RunRefused(
                f"{path}:{number}: round {told} comes after round {len(lines)}; "
                f"a reorganisation replaces at most {MOST_REPLACED} rounds"
            )
        replaced.update(range(told, len(lines) + 1))
        for before in lines[told - 1 :]:
            final[before - 1] = False
        del lines[told - 1 :]
        lines.append(number)
    return final, replaced


def _find_final_messages(path: Path, replaced: set[int]) -> bytearray:
    """Return a flag per line: 1 if the line is the last event of its message."""
    final, told = bytearray(), dict[int, dict[str, int]]()
    for number, line in enumerate(whole_lines(path), 1):
        final.append(line.startswith(_MESSAGE))
        if not final[-1] or not replaced:
            continue
        event = event_of(line, path, number)
        if event["round"] in replaced:
            lines = told.setdefault(event["round"], {})
            if event["id"] in lines:
                final[lines[event["id"]] - 1] = False
            lines[event["id"]] = number
            if len(told) > MOST_REPLACED:
                del told[next(iter(told))]  # too far below the head to be written again
    return final


def frame_of(run: Run, table: str) -> DataFrame:
    """Return one of a run's tables as a DataFrame: see ``Run.frame``."""
    if table not in FRAMES:
        raise ValueError(f"table: no table {table!r}; allowed: {', '.join(FRAMES)}")
    frame: DataFrame = needed_package("pandas", "frames", "frame").DataFrame(getattr(run, table))
    return frame

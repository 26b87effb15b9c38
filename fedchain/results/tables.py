"""Tables of a run's final events: one row a round, one row a message.

A reorganisation writes the events of its rounds again, and only the last ones count. A run may
have any number of rounds, so nothing here keeps events in memory: only the numbers of lines, and
the ids of messages of a few rounds that were written twice.
"""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fedchain.errors import RunRefused
from fedchain.results.events import event_of, whole_lines
from fedchain.results.records import MessageRecord

Row = dict[str, Any]
DEEPEST = 65_536
"""Most rounds that one reorganisation may replace: far more than a realistic partition causes."""
_ROUND = b'{"event": "round"'
"""Start of a round's line; most lines are messages, which can be skipped without parsing."""
_NUMBERED = re.compile(rb'\{"event": "round", "round": (\d{1,18}),')
"""A round's line as it is written: its number can be read without parsing the rest."""
_MESSAGE = b'{"event": "message"'


@dataclass(frozen=True)
class _Final:
    """Which round events are final: no later event replaces them."""

    lines: array[int]
    """Line of each round's event, from 1, rising."""
    replaced: frozenset[int]
    """Numbers of the rounds of which a later event replaced an earlier one."""


def told_rounds(path: Path) -> Iterator[Row]:
    """Yield every round event in the order of the file, also those that later ones replace."""
    for number, line in enumerate(whole_lines(path), 1):
        if line.startswith(_ROUND):
            yield event_of(line, path, number)


def main_rounds(path: Path) -> Iterator[Row]:
    """Yield the final round events, in order: each replaces those of its round and above.

    Args:
        path: the events of a run.

    Raises:
        RunError: the file cannot be read, a round's line is not a JSON object, or one replaces
            more than DEEPEST rounds.
    """
    wanted = iter(_find_final(path).lines)
    next_line = next(wanted, None)
    for number, line in enumerate(whole_lines(path), 1):
        if number == next_line:
            next_line = next(wanted, None)
            yield event_of(line, path, number)


def last_fates(path: Path) -> Iterator[Row]:
    """Yield one row a message: its last event, in the order of the file.

    Raises:
        RunError: the file cannot be read, a line is not a JSON object, or a round replaces more
            than DEEPEST rounds.
    """
    void = iter(_find_replaced(path, _find_final(path).replaced))
    next_void = next(void, None)
    for number, event in _messages(path):
        if number == next_void:
            next_void = next(void, None)
        else:
            yield {key: value for key, value in event.items() if key != "event"}


def round_rows(rounds: Iterable[Row]) -> Iterator[Row]:
    """Yield one flat row a round: its fields, then metrics, then ``seconds_`` columns."""
    for event in rounds:
        nested = ("event", "metrics", "seconds")
        flat = {key: value for key, value in event.items() if key not in nested}
        seconds = {f"seconds_{stage}": value for stage, value in event["seconds"].items()}
        yield {**flat, **event["metrics"], **seconds}


def columns_of(rows: Iterable[Row]) -> list[str]:
    """Return the columns of rows in the order in which they first appear."""
    return list(dict.fromkeys(key for row in rows for key in row))


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a CSV file; a value that a row does not have is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(row)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def metrics_csv(path: Path) -> Iterator[str]:
    """Yield the lines of ``metrics.csv`` from the events of a run."""
    return csv_lines(columns_of(round_rows(main_rounds(path))), round_rows(main_rounds(path)))


def messages_csv(path: Path) -> Iterator[str]:
    """Yield the lines of ``messages.csv`` from the events of a run."""
    return csv_lines([field.name for field in fields(MessageRecord)], last_fates(path))


def _find_final(path: Path) -> _Final:
    lines = array("q")
    replaced: set[int] = set()
    for number, line in enumerate(whole_lines(path), 1):
        if line.startswith(_ROUND):
            numbered = _NUMBERED.match(line)
            told = int(numbered[1]) if numbered else event_of(line, path, number)["round"]
            place = told - 1
            if len(lines) - place > DEEPEST:
                raise RunRefused(
                    f"{path}:{number}: round {place + 1} comes after round {len(lines)}; "
                    f"a reorganisation replaces at most {DEEPEST} rounds"
                )
            replaced.update(range(place + 1, len(lines) + 1))
            del lines[place:]
            lines.append(number)
    return _Final(lines, frozenset(replaced))


def _find_replaced(path: Path, replaced: frozenset[int]) -> array[int]:
    """Return the lines of message events that a later line replaces, rising.

    Only a message of a replaced round can have an earlier event.
    """
    void = array("q")
    told: dict[int, dict[str, int]] = {}
    for number, event in _messages(path) if replaced else ():
        if event["round"] in replaced:
            lines = told.setdefault(event["round"], {})
            if event["id"] in lines:
                void.append(lines[event["id"]])
            lines[event["id"]] = number
            if len(told) > DEEPEST:
                del told[next(iter(told))]  # too far below the head to be written again
    return array("q", sorted(void))


def _messages(path: Path) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(whole_lines(path), 1):
        if line.startswith(_MESSAGE):
            yield number, event_of(line, path, number)

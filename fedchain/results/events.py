"""The events of a run: an append-only file that page, report, replay and resume all read."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fedchain.errors import RunError
from fedchain.results.records import MessageRecord, RoundRecord


class EventLog:
    """The append-only file of a run's events, one JSON object a line.

    A run that is resumed replays its rounds: what the file already has is not written again. A
    torn last line, left by a crash, is dropped on opening.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, whether it is there or not.

        Raises:
            RunError: it cannot be read or written, or a line in the middle is no JSON object.
        """
        self.recorded = tuple(read_events(path))
        """What was there on opening."""
        self._path = path
        self._replayed = 0
        self._unwritten: list[str] = []
        try:
            self._file = path.open("ab", buffering=0)
            self._file.truncate(sum(len(line) for line in _whole_lines(path)))
        except OSError as error:
            raise RunError(f"{path}: cannot be written: {error.strerror}") from error

    def write(self, event: str, record: RoundRecord | MessageRecord) -> None:
        """Append one event, unless the file has it from before.

        Raises:
            RunError: the file has another event in this place: this machine, or the data, is
                not what the run began with, and going on would release other gradients under
                the same noise.
        """
        if self._replayed < len(self.recorded):
            before = self.recorded[self._replayed]
            if any(before.get(name) != value for name, value in _told(event, record).items()):
                raise RunError(
                    f"{self._path}:{self._replayed + 1}: this machine computes another {event}; "
                    "resume the run with the versions that manifest.json names, on the same data"
                )
            self._replayed += 1
            return
        self._unwritten.append(json.dumps({"event": event, **asdict(record)}) + "\n")

    def flush(self) -> None:
        """Hand everything written so far to the operating system.

        Raises:
            RunError: the disk is full or may not be written.
        """
        lines = "".join(self._unwritten).encode()
        self._unwritten.clear()
        try:
            if self._file.write(lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise RunError(
                f"{self._path}: cannot be written: {error.strerror}; the run can be resumed"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _told(event: str, record: RoundRecord | MessageRecord) -> dict[str, object]:
    """Return what a replay must repeat: which event, of which round, about which hash."""
    name = {"id": record.id} if isinstance(record, MessageRecord) else {}
    return {"event": event, "round": record.round, "block": record.block, **name}


def _whole_lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return
                yield line
    except FileNotFoundError:  # nothing has happened yet
        return
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a file, without a torn last line.

    Raises:
        RunError: the file cannot be read, or a line in the middle is not a JSON object.
    """
    for number, line in enumerate(_whole_lines(path), 1):
        try:
            event = json.loads(line)
        except ValueError as error:
            raise RunError(f"{path}:{number}: not a JSON object: {error}") from error
        if not isinstance(event, dict):
            raise RunError(f"{path}:{number}: not a JSON object, got {type(event).__name__}")
        yield event


def main_rounds(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the round events that stand, in order: each voids those of its round and above."""
    standing: list[dict[str, Any]] = []
    for event in events:
        if event["event"] == "round":
            standing[event["round"] - 1 :] = [event]
    return standing


def round_table(rounds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one flat row a round: its fields, then metrics, then ``seconds_`` columns."""
    rows = []
    for event in rounds:
        nested = ("event", "metrics", "seconds")
        flat = {key: value for key, value in event.items() if key not in nested}
        seconds = {f"seconds_{stage}": value for stage, value in event["seconds"].items()}
        rows.append({**flat, **event["metrics"], **seconds})
    return rows


def message_table(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one flat row a message: its last fate, in the order in which those were known."""
    rows: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["event"] == "message":
            rows.pop(event["id"], None)  # a reorganisation has changed its fate
            rows[event["id"]] = {key: value for key, value in event.items() if key != "event"}
    return list(rows.values())


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Return rows as CSV, columns in the order in which they first appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

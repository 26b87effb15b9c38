"""Events of a run: writes and reads their append-only file."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections import deque
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fedchain.errors import RunError, RunRefused, cannot
from fedchain.files import open_to_append, open_to_read
from fedchain.results.records import MessageRecord, Record, RoundRecord
from fedchain.results.shapes import event_flaw
from fedchain.system import sync_open

LONGEST = 2**20
"""Limit on the bytes of an event's line."""
_JSON: TypeAdapter[Any] = TypeAdapter(Any)
"""Reads JSON in a third of the time of ``json.loads``."""


class EventLog:
    """The append-only file of a run's events, one JSON object per line.

    A resumed run replays its rounds. An event that the file already has is compared with the
    replayed event, and not written again.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file, and drop an incomplete last line.

        Raises:
            RunError: the file cannot be read or written.
        """
        self._path = path
        self.recorded = size = 0
        """Number of events that the file had when it was opened."""
        for line in whole_lines(path):
            self.recorded, size = self.recorded + 1, size + len(line)
        self._replayed = 0
        self._ahead: deque[dict[str, Any]] = deque()
        self._unread = read_events(path)
        self._unwritten: list[str] = []
        try:
            self._file = open_to_append(path)
            self._file.truncate(size)
        except OSError as error:
            raise cannot(path, "be written", error) from error

    def metrics_of(self, block: str) -> Mapping[str, float | None]:
        """Return the recorded metrics of the next round to be replayed; {} without such a record.

        Args:
            block: hash of the block that ends the round, hexadecimal.

        Raises:
            RunError: a line in the middle of the file is not a JSON object.
        """
        read = self._replayed + len(self._ahead)
        while read < self.recorded and not (self._ahead and _is_round(self._ahead[-1])):
            self._ahead.append(next(self._unread))
            read += 1
        told = next((event for event in self._ahead if _is_round(event)), None)
        return told["metrics"] if told and told["block"] == block else {}

    def write(self, event: str, record: Record) -> None:
        """Append one event, unless the file already has it.

        Raises:
            RunError: the file has another event at this position, or a line in the middle of the
                file is not a JSON object.
        """
        # If the events differ, a resumed run would release other gradients with the same noise.
        if self._replayed < self.recorded:
            before = self._ahead.popleft() if self._ahead else next(self._unread)
            self._replayed += 1
            if any(
                before.get(name) != value
                for name, value in _fields_to_repeat(event, record).items()
            ):
                raise RunError(
                    f"{self._path}:{self._replayed}: this machine computes another {event}; "
                    "resume the run with the versions that manifest.json names, the same data, and "
                    "the code of your own parts as it was"
                )
            return
        self._unwritten.append(json.dumps({"event": event, **vars(record)}) + "\n")

    def flush(self) -> None:
        """Hand all events to the operating system.

        Raises:
            RunError: the disk is full or may not be written.
        """
        lines = "".join(self._unwritten).encode()
        self._unwritten.clear()
        try:
            if self._file.write(lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._failed(error) from error

    def sync(self) -> None:
        """Sync the file: all flushed events survive a loss of power.

        Raises:
            RunError: the disk fails.
        """
        try:
            sync_open(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> RunError:
        words = f"cannot be written: {error.strerror}; the run can be resumed"
        return RunError(f"{self._path}: {words}")

    def close(self) -> None:
        """Close the file."""
        self._unread.close()
        self._file.close()


def _fields_to_repeat(event: str, record: Record) -> dict[str, object]:
    """Return the fields in which a replayed event must equal the recorded event."""
    match record:
        case RoundRecord():
            return {"event": event, "round": record.round, "block": record.block}
        case MessageRecord(id=name, block=block):
            return {"event": event, "round": record.round, "block": block, "id": name}
        case _:
            return {"event": event, **vars(record)}


def whole_lines(path: Path) -> Generator[bytes, None, None]:
    """Yield the complete lines of a file; no line if the file does not exist.

    Raises:
        RunError: the file cannot be read, or a line has ``LONGEST`` bytes or more.
    """
    try:
        with open_to_read(path) as file:
            while (line := file.readline(LONGEST)).endswith(b"\n"):
                yield line
            if len(line) == LONGEST:
                raise RunRefused(f"{path}: has a line of {LONGEST} bytes or more; no event has")
    except FileNotFoundError:  # no event was written yet
        return
    except OSError as error:
        raise cannot(path, "be read", error) from error


def read_events(path: Path) -> Generator[dict[str, Any], None, None]:
    """Yield the events of a file, without an incomplete last line.

    Raises:
        RunError: the file cannot be read, or a complete line is not a JSON object.
    """
    with contextlib.closing(whole_lines(path)) as lines:
        for number, line in enumerate(lines, 1):
            yield event_of(line, path, number)


def event_of(line: bytes, path: Path, number: int) -> dict[str, Any]:
    """Return the event of one line.

    Raises:
        RunError: the line is not a JSON object, or not an event of a run.
    """
    try:
        event = _JSON.validate_json(line)
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise RunRefused(f"{path}:{number}: not a JSON object: {said}") from error
    if not isinstance(event, dict):
        raise RunRefused(f"{path}:{number}: not a JSON object, got {type(event).__name__}")
    if (flaw := event_flaw(event)) is not None:
        raise RunRefused(f"{path}:{number}: {flaw}")
    return event


def _is_round(event: Mapping[str, Any]) -> bool:
    return event.get("event") == "round"

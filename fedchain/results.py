"""What a run leaves behind: the records of its rounds and the run folder."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fedchain.errors import RunError

FORMAT = 1
"""Version of the run folder's layout; a folder of another version is refused with a reason."""
FINISHED = ("finished", "budget_exhausted")
"""Statuses of a run that has nothing left to do."""


@dataclass(frozen=True)
class RoundRecord:
    """One round as the observer (compute node 0) saw it; a reorganisation writes it anew."""

    round: int
    """t, from 1."""
    height: int
    """Height of the block that ended the round."""
    block: str
    """Hash of that block, hexadecimal."""
    miner: int
    """Number of the compute node that made it."""
    time_s: float
    """Simulated seconds since genesis."""
    messages: int
    """Messages in the block."""
    used: int
    """Messages that the aggregation rule used."""
    byzantine: int
    """Messages in the block that a Byzantine holder sent."""
    byzantine_used: int
    """Those of them that the rule used."""
    epsilon: float | None
    """Tight total of the holder with the most releases so far; None without a guarantee."""
    releases: int
    """Releases of that holder so far."""
    stale_blocks: int
    """Blocks off the observer's main chain so far."""
    reorganisations: int
    """Reorganisations of the observer's chain so far."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Measured on held-out data by the simulator, outside the guarantee; empty if not measured."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall time by stage since the record before."""


@dataclass(frozen=True)
class MessageRecord:
    """What became of one message; only the simulator knows the holder behind it."""

    round: int
    """The round that it was for."""
    block: str
    """Hash of the block that carries it, or of its parent if none does."""
    holder: int
    """The data holder."""
    id: str
    """Message id, hexadecimal."""
    norm: float
    """s_k, the norm of the noisy gradient."""
    cosine: float | None
    """Cosine with the sum direction; None if it is in no block."""
    used: bool
    """Whether the aggregation rule used it."""
    reason: str
    """Why it was not used: ``far from the sum``, ``late``, or empty."""
    epsilon: float | None
    """The holder's tight total after this release; None without a guarantee."""
    attack: str
    """The attack behind it, or empty."""
    late: bool
    """Whether no block of the main chain carries it."""


class EventLog:
    """The append-only file of a run's events, one JSON object a line.

    A run that is resumed replays its rounds: what the file already has is not written again. A
    torn last line, left by a crash, is dropped on opening.
    """

    def __init__(self, path: Path) -> None:
        self.recorded = tuple(read_events(path))
        """What was there on opening."""
        self._skip = len(self.recorded)
        whole = b"".join(_whole_lines(path))
        with path.open("ab") as file:
            file.truncate(len(whole))
        self._file = path.open("a", encoding="utf-8")

    def write(self, event: str, record: RoundRecord | MessageRecord) -> None:
        """Append one event, unless the file has it from before."""
        if self._skip:
            self._skip -= 1
            return
        self._file.write(json.dumps({"event": event, **asdict(record)}) + "\n")

    def flush(self) -> None:
        """Hand everything written so far to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _whole_lines(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return
                yield line


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a file, without a torn last line.

    Raises:
        RunError: a line in the middle is not a JSON object.
    """
    for number, line in enumerate(_whole_lines(path), 1):
        try:
            event = json.loads(line)
        except ValueError as error:
            raise RunError(f"{path}:{number}: not a JSON object: {error}") from error
        if not isinstance(event, dict):
            raise RunError(f"{path}:{number}: not a JSON object, got {type(event).__name__}")
        yield event


def main_rounds(events: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the round events that stand: the last one of each round, in order."""
    latest = {event["round"]: event for event in events if event["event"] == "round"}
    return [latest[number] for number in sorted(latest)]


def round_table(rounds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one flat row a round: its fields, then metrics, then ``seconds_`` columns."""
    rows = []
    for event in rounds:
        nested = ("event", "metrics", "seconds")
        flat = {key: value for key, value in event.items() if key not in nested}
        seconds = {f"seconds_{stage}": value for stage, value in event["seconds"].items()}
        rows.append({**flat, **event["metrics"], **seconds})
    return rows


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Return rows as CSV, columns in the order in which they first appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a half.

    Raises:
        RunError: the disk is full or the folder may not be written.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}") from error


class RunFolder:
    """The folder of one run, held by an OS lock while it is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / ".lock")

    def lock(self) -> None:
        """Take the folder for this process; the lock goes with the process, whatever happens.

        Raises:
            RunError: another process has it, or the folder may not be written.
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise RunError(f"{self.path}: another process is running it") from error
        except OSError as error:
            raise RunError(f"{self.path}: cannot be written: {error.strerror}") from error

    def unlock(self) -> None:
        """Give the folder back."""
        self._lock.release()

    @property
    def manifest(self) -> dict[str, Any]:
        """What the run is and how far it came.

        Raises:
            RunError: no run is here, or one of another format.
        """
        file = self.path / "manifest.json"
        try:
            manifest = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunError(f"{self.path}: not a run folder: it has no manifest.json") from error
        except (OSError, ValueError) as error:
            raise RunError(f"{file}: cannot be read: {error}") from error
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise RunError(f"{file}: format must be {FORMAT}, the only one this version reads")
        return manifest

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace the manifest as a whole."""
        text = json.dumps({"format": FORMAT, **manifest}, indent=2, allow_nan=False)
        write_whole(self.path / "manifest.json", text + "\n")

    def write_tables(self) -> None:
        """Write metrics.csv and messages.csv anew from the events."""
        events = list(read_events(self.path / "events.ndjson"))
        messages = [e for e in events if e["event"] == "message"]
        rows = [{k: v for k, v in e.items() if k != "event"} for e in messages]
        write_whole(self.path / "metrics.csv", as_csv(round_table(main_rounds(iter(events)))))
        write_whole(self.path / "messages.csv", as_csv(rows))


def peak_rss_mb() -> float:
    """Return the most memory this process has held, in MB (10^6 bytes); 0 where unknown."""
    try:
        import resource
    except ImportError:  # Windows has no such module
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6

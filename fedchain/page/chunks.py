"""Chunks: the events of a run in pieces, each with the place in the file where it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fedchain.errors import RunRefused, cannot
from fedchain.files import open_to_read
from fedchain.page.thinning import EventFields
from fedchain.results.events import LONGEST, event_of


@dataclass
class Chunk:
    """The events up to a round, which is the last one of them."""

    end: int = 0
    """Number of bytes of the file up to the end of the chunk."""
    events: list[EventFields] = field(default_factory=list)
    """The events before the round, in order."""
    round: EventFields | None = None
    """The event of the round; None if the file ends before the next round."""
    lost: int = 0
    """Number of lines that are no events."""


class ChunkReader:
    """Reads the chunks of a file of events that may still grow."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = 0

    def chunks(self, last: bool) -> Iterator[Chunk]:
        """Yield the chunks that were written since the last call.

        Args:
            last: whether nothing more will be written. Then the events after the last round are a
                chunk too, and an incomplete line at the end counts as lost.

        Raises:
            RunRefused: the file cannot be read.
        """
        try:
            with open_to_read(self._path) as file:
                file.seek(self._place)
                chunk = Chunk(end=self._place)
                while line := file.readline(LONGEST):
                    whole = line.endswith(b"\n")
                    if not whole and not last and len(line) < LONGEST:
                        return
                    chunk.end += len(line)
                    self._add(chunk, line)
                    if chunk.round is not None:
                        self._place = chunk.end
                        yield chunk
                        chunk = Chunk(end=self._place)
        except FileNotFoundError:  # no event was written yet
            return
        except OSError as error:
            raise cannot(self._path, "be read", error) from error
        if last and (chunk.events or chunk.lost):
            self._place = chunk.end
            yield chunk

    def _add(self, chunk: Chunk, line: bytes) -> None:
        try:
            event = event_of(line, self._path, 0)
        except RunRefused:
            chunk.lost += 1
            return
        if event["event"] == "round":
            chunk.round = event
        else:
            chunk.events.append(event)

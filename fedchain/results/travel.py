"""Travel: writes and reads when each message and block left its sender and reached others."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from fedchain.errors import RunError, cannot
from fedchain.files import open_to_append, open_to_read
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.message import Message
from fedchain.results.events import LONGEST, whole_lines
from fedchain.results.shapes import AS_WRITTEN

TRAVEL = "travel.ndjson"
"""Name of the file with the trips of messages and blocks."""


class Trip(BaseModel):
    """The way of one message or block through the network."""

    model_config = AS_WRITTEN
    round: int
    """Round of the message, or height of the block."""
    id: str
    """Id of the message, or hash of the block, hexadecimal."""
    what: str
    """``message`` or ``block``."""
    sender: str
    """Name of the node where it starts: see ``node_name``."""
    left_s: float
    """Simulated seconds since genesis at which it leaves the sender."""
    arrivals: list[tuple[str, float]]
    """Name of each node that it reaches, and the simulated seconds at which it does."""


_TRIP = TypeAdapter(Trip)


def node_name(node: int, compute: int) -> str:
    """Return the name of a node: ``c0``, ``c1``, .. for compute nodes, then ``h0``, ``h1``, ...

    A holder's name is that of its slot in the network.

    >>> node_name(2, 3), node_name(3, 3)
    ('c2', 'h0')
    """
    return f"c{node}" if node < compute else f"h{node - compute}"


class TravelLog:
    """The append-only file of a run's trips, one JSON object per line.

    A resumed run makes the same trips again. Those that the file has already are not written again.
    """

    def __init__(self, path: Path, compute: int) -> None:
        """Open or create the file, and drop an incomplete last line.

        Args:
            path: the file.
            compute: number of compute nodes, which have the lowest ids.

        Raises:
            RunError: the file cannot be read or written, or a line has ``LONGEST`` bytes or more.
        """
        self._path, self._compute = path, compute
        self._unwritten: list[bytes] = []
        try:
            self._file = open_to_append(path)
            self._known = sum(map(len, whole_lines(path)))
            self._file.truncate(self._known)
        except OSError as error:
            raise cannot(path, "be written", error) from error

    def __call__(
        self,
        sender: int,
        item: Block | Message,
        left_s: float,
        nodes: Sequence[int],
        times_s: Sequence[float],
    ) -> None:
        """Note one trip; the arguments are those of ``fedchain.simulation.transport.Trace``."""
        reached = sorted(zip(times_s, nodes, strict=True))
        if isinstance(item, Block):
            what, round_, name = "block", item.header.height, item.header.hash
        else:
            what, round_, name = "message", item.round, item.id
        trip = {
            "round": round_,
            "id": name.hex(),
            "what": what,
            "sender": node_name(sender, self._compute),
            "left_s": round(left_s, 6),
            "arrivals": [[node_name(to, self._compute), round(at, 6)] for at, to in reached],
        }
        line = json.dumps(trip).encode() + b"\n"
        if self._known >= len(line):
            self._known -= len(line)
        else:
            self._unwritten.append(line)

    def flush(self) -> None:
        """Hand all trips to the operating system.

        Raises:
            RunError: the disk is full or may not be written.
        """
        lines = b"".join(self._unwritten)
        self._unwritten.clear()
        try:
            if self._file.write(lines) != len(lines):
                raise RunError(f"{self._path}: cannot be written: the disk is full")
        except OSError as error:
            raise cannot(self._path, "be written", error) from error

    def close(self) -> None:
        """Write the last trips, and close the file."""
        try:
            self.flush()
        finally:
            self._file.close()


@contextlib.contextmanager
def travelling(folder: Path, compute: int, wanted: bool) -> Iterator[TravelLog | None]:
    """Open the log of the trips of a run folder; give None if no trips are wanted."""
    if not wanted:
        yield None
        return
    with contextlib.closing(TravelLog(folder / TRAVEL, compute)) as log:
        yield log


class TripReader:
    """Reads the trips of a file that may still grow."""

    def __init__(self, path: Path) -> None:
        self._path, self._place = path, 0

    def trips(self) -> Iterator[Trip | None]:
        """Yield the trips that follow in the file, and None for each line that is none.

        An incomplete last line is left for the next call.

        Raises:
            RunRefused: the file cannot be read.
        """
        try:
            with open_to_read(self._path) as file:
                file.seek(self._place)
                while (line := file.readline(LONGEST)).endswith(b"\n") or len(line) == LONGEST:
                    self._place += len(line)
                    try:
                        yield _TRIP.validate_json(line)
                    except ValidationError:
                        yield None
        except FileNotFoundError:  # the run writes no trips
            return
        except OSError as error:
            raise cannot(self._path, "be read", error) from error

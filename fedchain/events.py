"""A deterministic queue of events in simulated seconds."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Send:
    """What a node wants to be delivered; nodes hold no clock and no reference to another node."""

    payload: Any
    """A message, a block, or a note to oneself: a frozen record."""
    to: str | int
    """``everybody``, ``compute`` (all compute nodes), or a node's number; a timer is a Send to
    oneself. The sender itself gets nothing from a Send to a group."""
    after_s: float = 0.0
    """Simulated seconds before it leaves."""


@dataclass(frozen=True)
class Event:
    """A delivery that has come due."""

    time_s: float
    """Simulated seconds since genesis."""
    to: int
    """The node that receives."""
    payload: Any
    """What it receives."""


class EventQueue:
    """Events by time; those of the same time in the order in which they were put.

    >>> queue = EventQueue()
    >>> queue.put(2.0, 1, "late"); queue.put(1.0, 0, "soon"); queue.put(1.0, 1, "next")
    >>> [queue.take().payload for _ in range(len(queue))]
    ['soon', 'next', 'late']
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int, Any]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, time_s: float, to: int, payload: Any) -> None:
        """Put a delivery at this time."""
        heapq.heappush(self._heap, (time_s, self._count, to, payload))
        self._count += 1

    def take(self) -> Event:
        """Take the earliest delivery out."""
        time_s, _, to, payload = heapq.heappop(self._heap)
        return Event(time_s, to, payload)

"""A deterministic queue of events in simulated seconds."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Vector

FEW = 32
"""Deliveries of one send that are sorted here: numpy lets go of the interpreter's lock to sort,
and the thread that writes the ledger is quick to take it."""
Group = Literal["everybody", "compute"]
"""Whom something is for: all nodes, or the compute nodes."""


@dataclass(frozen=True)
class Send:
    """What a node wants to be delivered; nodes hold no clock and no reference to another node."""

    payload: Any
    """A message, a block, or a note to oneself: a frozen record."""
    to: Group | int
    """A group, of which the sender gets nothing; its own number: a timer; another's: past the
    network, as attackers can."""
    after_s: float = 0.0
    """Simulated seconds before it leaves."""
    relayed: bool = True
    """Whether others pass it on: what honest nodes refuse reaches the sender's neighbours alone."""


class Event(NamedTuple):
    """A delivery that has come due; there is nothing that a run makes more of."""

    time_s: float
    """Simulated seconds since genesis."""
    to: int
    """The node that receives."""
    payload: Any
    """What it receives."""


class EventQueue:
    """Events by time; those of the same time in the order in which they were put.

    What goes to many nodes is sorted once and waits in one place of the heap, as the delivery
    that comes next: the heap holds an entry a send, not one a node.

    >>> queue = EventQueue()
    >>> queue.put(2.0, 1, "late"); queue.put(1.0, 0, "soon"); queue.put(1.0, 1, "next")
    >>> [queue.take().payload for _ in range(len(queue))]
    ['soon', 'next', 'late']
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int, Any, _Rest]] = []
        self._count = 0
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def put(self, time_s: float, to: int, payload: Any) -> None:
        """Put a delivery at this time."""
        heapq.heappush(self._heap, (time_s, self._count, to, payload, _NONE))
        self._count += 1
        self._waiting += 1

    def put_all(self, times_s: Vector, to: npt.NDArray[np.int64], payload: Any) -> None:
        """Put a delivery to each of these nodes, each at its own time, shapes (n,)."""
        if not len(times_s):
            return
        rest = _few(times_s, to, self._count) if len(to) <= FEW else _many(times_s, to, self._count)
        heapq.heappush(self._heap, (*next(rest), payload, rest))
        self._count += len(to)
        self._waiting += len(to)

    def take(self) -> Event:
        """Take the earliest delivery out."""
        time_s, _, to, payload, rest = self._heap[0]
        following = next(rest, None)
        if following is None:
            heapq.heappop(self._heap)
        else:
            heapq.heapreplace(self._heap, (*following, payload, rest))
        self._waiting -= 1
        return Event(time_s, to, payload)


def _few(times_s: Vector, to: npt.NDArray[np.int64], first: int) -> _Rest:
    return iter(sorted(zip(times_s.tolist(), itertools.count(first), to.tolist(), strict=False)))


def _many(times_s: Vector, to: npt.NDArray[np.int64], first: int) -> _Rest:
    order = np.argsort(times_s, kind="stable")
    places = (order + first).tolist()
    return zip(times_s[order].tolist(), places, to[order].tolist(), strict=True)


_Rest = Iterator[tuple[float, int, int]]
"""What a send delivers: time, place in the order, node."""
_NONE: _Rest = iter(())

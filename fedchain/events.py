"""Event queue: deliveries between nodes in the order of simulated time, deterministic."""

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
"""Most deliveries of one send that are sorted in Python. numpy releases the interpreter's lock
while it sorts; the thread that writes the ledger then takes it, and this one has to wait."""
Group = Literal["everybody", "compute"]
"""Recipients of a send: all nodes, or the compute nodes."""


@dataclass(frozen=True)
class Send:
    """A payload that a node wants delivered.

    Nodes return sends; they hold no clock and no reference to another node.
    """

    payload: Any
    """A frozen record: a message, a block, or a note of the node to itself."""
    to: Group | int
    """A group: all its nodes except the sender; the sender's own number: a timer; the number of
    another node: delivered directly, past the network, as attackers can."""
    after_s: float = 0.0
    """Simulated seconds until it leaves."""
    relayed: bool = True
    """Whether others pass it on; what honest nodes refuse reaches only the sender's neighbours."""


class Event(NamedTuple):
    """A delivery that has come due. A tuple, since a run makes more events than anything else."""

    time_s: float
    """Simulated seconds since genesis."""
    to: int
    """The node that receives."""
    payload: Any
    """What the node receives."""


class EventQueue:
    """A queue of deliveries, the earliest first; ties go in the order of insertion.

    The deliveries of one send to many nodes are sorted once. Only the next of them is in the
    heap, so the heap holds one entry for each send, not one for each node.

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
        """Add a delivery at this time."""
        heapq.heappush(self._heap, (time_s, self._count, to, payload, _NONE))
        self._count += 1
        self._waiting += 1

    def put_all(self, times_s: Vector, to: npt.NDArray[np.int64], payload: Any) -> None:
        """Add a delivery to each of these nodes, each at its own time, shapes (n,)."""
        if not len(times_s):
            return
        rest = _few(times_s, to, self._count) if len(to) <= FEW else _many(times_s, to, self._count)
        heapq.heappush(self._heap, (*next(rest), payload, rest))
        self._count += len(to)
        self._waiting += len(to)

    def take(self) -> Event:
        """Remove and return the earliest delivery."""
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
"""The deliveries of one send that are still to come: time, number in the order, node."""
_NONE: _Rest = iter(())

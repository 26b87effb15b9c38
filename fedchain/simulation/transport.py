"""Transport: it delivers the payloads of nodes over the network, as events in simulated time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Vector
from fedchain.ledger.chain.block import START_BYTES, Block
from fedchain.ledger.chain.crypto import SIGNATURE_BYTES
from fedchain.ledger.chain.message import Message
from fedchain.ledger.chain.rules import Rules
from fedchain.network.gossip import Network
from fedchain.network.spreading import Parcel
from fedchain.nodes.payloads import Objection, Send
from fedchain.simulation.setup import RunSetup

Sent = Callable[[int, Block, float], None]
"""A function (sender's id, block, simulated seconds) that is called for every block that leaves a
node."""
Trace = Callable[[int, Block | Message, float, Sequence[int], Sequence[float]], None]
"""A function (sender's id, block or message, simulated seconds at which it leaves, ids of the nodes
that it reaches, simulated seconds at which it reaches each of them)."""
FEW = 32
"""Largest number of deliveries of one payload that are sorted without numpy."""
Arrivals = Iterator[tuple[float, int, int]]
"""The remaining deliveries of one payload. Each is a tuple (time in simulated seconds, insertion
number, id of the receiving node)."""
_NONE: Arrivals = iter(())


class Event(NamedTuple):
    """The delivery of a payload to one node."""

    # A tuple is fast to make, and a run makes very many events.
    time_s: float
    """Time of the delivery, simulated seconds since genesis."""
    to: int
    """Id of the receiving node."""
    payload: Any
    """The block, message, objection or timer that the node receives."""


class EventQueue:
    """A queue of deliveries, ordered by time, then by insertion.

    >>> queue = EventQueue()
    >>> queue.put(2.0, 1, "late"); queue.put(1.0, 0, "soon"); queue.put(1.0, 1, "next")
    >>> [queue.take().payload for _ in range(len(queue))]
    ['soon', 'next', 'late']
    """

    def __init__(self) -> None:
        # One entry for each payload: its next delivery, and the sorted iterator of the others.
        self._heap: list[tuple[float, int, int, Any, Arrivals]] = []
        self._count = 0
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def put(self, time_s: float, to: int, payload: Any) -> None:
        """Add a delivery to node ``to``."""
        heapq.heappush(self._heap, (time_s, self._count, to, payload, _NONE))
        self._count += 1
        self._waiting += 1

    def put_all(self, times_s: Vector, to: npt.NDArray[np.int64], payload: Any) -> None:
        """Add one delivery of a payload for each node; both arrays have shape (nodes,)."""
        if not len(times_s):
            return
        rest: Arrivals
        # numpy would release the interpreter's lock to the thread that writes the ledger, and this
        # thread would have to wait.
        if len(to) <= FEW:
            places = itertools.count(self._count)
            rest = iter(sorted(zip(times_s.tolist(), places, to.tolist(), strict=False)))
        else:
            order = np.argsort(times_s, kind="stable")
            numbers = (order + self._count).tolist()
            rest = zip(times_s[order].tolist(), numbers, to[order].tolist(), strict=True)
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


class Transport:
    """Takes the payloads that nodes send, and queues their delivery to each receiver."""

    def __init__(self, setup: RunSetup, sent: Sent, trace: Trace | None = None) -> None:
        """Start with an empty queue; ``trace`` is called for blocks and messages that spread."""
        self._setup, self._sent, self._trace = setup, sent, trace
        self._network = Network(setup.graph, setup.scenario.gossip, setup.scenario.seed)
        self.listeners: list[int] = []
        """Ids of compute nodes that receive every block without delay."""
        self.queue = EventQueue()
        """All deliveries that are still due."""

    def post(self, sender: int, sends: Sequence[Send], now_s: float) -> None:
        """Queue the delivery of all payloads that a node sends."""
        for send in sends:
            leaves_s = now_s + send.after_s if send.at_s is None else send.at_s
            if send.to == sender:
                self.queue.put(leaves_s, sender, send.payload)
                continue
            if isinstance(send.payload, Block):
                self._sent(sender, send.payload, now_s)
                for node in self.listeners if send.to == "everybody" else ():
                    self._hand_over(sender, node, send.payload, leaves_s)
            if isinstance(send.to, int):
                self._hand_over(sender, send.to, send.payload, leaves_s)
            else:
                parcel = parcel_of(send.payload, self._setup.rules)
                nodes, times_s = self._network.deliveries(
                    sender, send.to, parcel, leaves_s, send.relayed
                )
                self.queue.put_all(times_s, nodes, send.payload)
                if self._trace is not None and not isinstance(send.payload, Objection):
                    reached = nodes.tolist(), times_s.tolist()
                    self._trace(sender, send.payload, leaves_s, *reached)

    def waits(self, event: Event) -> bool:
        """Postpone an event, and return True, if its receiver is offline or catching up.

        Blocks and objections are never postponed.
        """
        # A node needs blocks and objections to catch up.
        if isinstance(event.payload, Block | Objection):
            return False
        ready_s = self._network.ready(event.to, event.time_s)
        if ready_s > event.time_s:
            self.queue.put(ready_s, event.to, event.payload)
        return ready_s > event.time_s

    @property
    def slowest_s(self) -> float:
        """Longest delay between two compute nodes without losses and outages, simulated seconds."""
        return self._network.slowest_s()

    @property
    def traffic(self) -> dict[str, Any]:
        """Bytes sent and received, for each compute node and for all data holders together."""
        miners, traffic = len(self._setup.compute_ids), self._network.traffic()
        sent, received = traffic.sent.round(), traffic.received.round()
        return {
            "nodes": [
                {"node": node, "sent": int(sent[node]), "received": int(received[node])}
                for node in self._setup.compute_ids
            ],
            "holders": {
                "sent": int(sent[miners:].sum()),
                "received": int(received[miners:].sum()),
            },
        }

    def _hand_over(self, sender: int, node: int, payload: object, leaves_s: float) -> None:
        """Queue a delivery without delay, unless the network separates sender and receiver."""
        if self._network.hears(sender, node, leaves_s):
            self.queue.put(leaves_s, node, payload)


def parcel_of(item: Block | Message | Objection, rules: Rules) -> Parcel:
    """Return the name of an item and its sizes in bytes, for full nodes and for light clients.

    A full node receives the whole item. A light client receives only the signed header and the
    weights of a block, or the signed header and the signature of an objection.

    Raises:
        EncodingError: the item has no encoding.
    """
    match item:
        case Message():
            size = item.size
            return Parcel(item.content, size, size)
        case Block(header=header):
            weights = rules.dimension * (8 if rules.dtype == "float64" else 4)
            return Parcel(header.hash, item.size, START_BYTES + weights)
        case Objection(block=block, node=node):
            name = block.header.hash + node.to_bytes(4, "big")
            size = block.size + SIGNATURE_BYTES
            return Parcel(name, size, START_BYTES + SIGNATURE_BYTES)

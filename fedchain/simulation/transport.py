"""What is on its way: events in simulated time, and the network between nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fedchain.events import Event, EventQueue, Send
from fedchain.ledger.chain.block import Block
from fedchain.network.gossip import Network
from fedchain.nodes.compute.incident_log import Objection
from fedchain.simulation.parcels import parcel_of
from fedchain.simulation.setup import RunSetup

Sent = Callable[[int, Block, float], None]
"""Told of every block that leaves a node: (sender, block, simulated seconds)."""


class Transport:
    """Takes what nodes send, and gives it out when it arrives."""

    def __init__(self, setup: RunSetup, sent: Sent) -> None:
        """Begin with nothing on its way.

        Args:
            setup: the parts.
            sent: told of every block before it leaves.
        """
        self._setup, self._sent = setup, sent
        self._network = Network(setup.graph, setup.scenario.gossip, setup.scenario.seed)
        self._listeners: list[int] = []
        self.queue = EventQueue()
        """What arrives, and when."""

    def listen(self, node: int) -> None:
        """Let a compute node hear of every block when it is sent: it listens everywhere."""
        self._listeners.append(node)

    def post(self, sender: int, sends: Sequence[Send], now_s: float) -> None:
        """Take what a node sends."""
        for send in sends:
            leaves_s = now_s + send.after_s
            if send.to == sender:
                self.queue.put(leaves_s, sender, send.payload)
                continue
            if isinstance(send.payload, Block):
                self._sent(sender, send.payload, now_s)
                for node in self._listeners if send.to == "everybody" else ():
                    self._hand_over(sender, node, send.payload, leaves_s)
            if isinstance(send.to, int):
                self._hand_over(sender, send.to, send.payload, leaves_s)
            else:
                parcel = parcel_of(send.payload, self._setup.rules)
                nodes, times_s = self._network.deliveries(
                    sender, send.to, parcel, leaves_s, send.relayed
                )
                self.queue.put_all(times_s, nodes, send.payload)

    def waits(self, event: Event) -> bool:
        """Say whether a node is away or catches up, and put the event off until it does not.

        Blocks come as they come: they are what it catches up with.
        """
        if isinstance(event.payload, Block | Objection):
            return False
        ready_s = self._network.ready(event.to, event.time_s)
        if ready_s > event.time_s:
            self.queue.put(ready_s, event.to, event.payload)
        return ready_s > event.time_s

    @property
    def slowest_s(self) -> float:
        """The longest way between two compute nodes while nothing goes wrong, seconds."""
        return self._network.slowest_s()

    @property
    def traffic(self) -> dict[str, Any]:
        """Bytes on the links: of each compute node, and of all data holders together."""
        miners, traffic = len(self._setup.compute), self._network.traffic()
        sent, received = traffic.sent.round(), traffic.received.round()
        return {
            "nodes": [
                {"node": node, "sent": int(sent[node]), "received": int(received[node])}
                for node in self._setup.compute
            ],
            "holders": {
                "sent": int(sent[miners:].sum()),
                "received": int(received[miners:].sum()),
            },
        }

    def _hand_over(self, sender: int, node: int, payload: object, leaves_s: float) -> None:
        """Deliver at once past the links, as only attackers can; not to whoever is cut off."""
        if self._network.hears(sender, node, leaves_s):
            self.queue.put(leaves_s, node, payload)

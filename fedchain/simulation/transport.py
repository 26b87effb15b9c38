"""Transport: it carries what nodes send over the network, and queues what arrives as events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fedchain.events import Event, EventQueue, Send
from fedchain.ledger.chain.block import HEADER_BYTES, Block
from fedchain.ledger.chain.crypto import SIGNATURE_BYTES
from fedchain.ledger.chain.message import Message
from fedchain.ledger.chain.rules import Rules
from fedchain.network.gossip import Network
from fedchain.network.spreading import Parcel
from fedchain.nodes.compute.incident_log import Objection
from fedchain.simulation.setup import RunSetup

Sent = Callable[[int, Block, float], None]
"""(sender, block, simulated seconds): called for every block that leaves a node."""


class Transport:
    """Takes what nodes send, and queues its arrival at each receiver."""

    def __init__(self, setup: RunSetup, sent: Sent) -> None:
        """Start with an empty queue.

        Args:
            setup: the parts of the run.
            sent: called for every block before it leaves.
        """
        self._setup, self._sent = setup, sent
        self._network = Network(setup.graph, setup.scenario.gossip, setup.scenario.seed)
        self._listeners: list[int] = []
        self.queue = EventQueue()
        """What arrives at which node, and when."""

    def listen(self, node: int) -> None:
        """Deliver every block to this compute node at the moment that it leaves its sender."""
        self._listeners.append(node)

    def post(self, sender: int, sends: Sequence[Send], now_s: float) -> None:
        """Queue the arrival of everything that a node sends."""
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
        """Return whether the node of an event is away or catching up; if so, postpone the event.

        Blocks and objections are never postponed: a node needs them to catch up.
        """
        if isinstance(event.payload, Block | Objection):
            return False
        ready_s = self._network.ready(event.to, event.time_s)
        if ready_s > event.time_s:
            self.queue.put(ready_s, event.to, event.payload)
        return ready_s > event.time_s

    @property
    def slowest_s(self) -> float:
        """The longest delay between two compute nodes without losses and outages, seconds."""
        return self._network.slowest_s()

    @property
    def traffic(self) -> dict[str, Any]:
        """Bytes sent and received: by each compute node, and by all data holders together."""
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
        """Deliver without the delay of the links, as only attackers can.

        Nothing is delivered to a node that is cut off from the sender.
        """
        if self._network.hears(sender, node, leaves_s):
            self.queue.put(leaves_s, node, payload)


def parcel_of(item: Block | Message | Objection, rules: Rules) -> Parcel:
    """Return the name and the sizes of an item, which is all that the network uses of it.

    Args:
        item: a message, a block or an objection. A full node receives all of it. Of a block a
            light client receives the header and the weights that it commits to; of an objection
            the header and the signature.
        rules: of the chain; the size of the weights follows from them.

    Raises:
        EncodingError: the item has no encoding.
    """
    match item:
        case Message():
            size = item.size
            return Parcel(item.content, size, size)
        case Block(header=header):
            weights = rules.dimension * (8 if rules.dtype == "float64" else 4)
            return Parcel(header.hash, item.size, HEADER_BYTES + weights)
        case Objection(block=block, node=node):
            name = block.header.hash + node.to_bytes(4, "big")
            size = block.size + SIGNATURE_BYTES
            return Parcel(name, size, HEADER_BYTES + SIGNATURE_BYTES)

"""The network of one run: when what a node sends comes to the others, and what it weighs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Matrix, Vector
from fedchain.events import Group
from fedchain.network.graph import Graph, Lanes, Numbers
from fedchain.network.outages import Outages
from fedchain.network.spreading import (
    Losses,
    Missed,
    Parcel,
    Spread,
    bytes_per_s,
    exchange_s,
    followed,
    quickest,
    steps_bytes,
    traffic,
)
from fedchain.randomness import stream
from fedchain.scenario import Gossip

KEPT_NUMBERS = 2**23
"""Numbers that remembered routes may hold; then all are found anew."""
UNITS = (Parcel(b"", 0, 0), Parcel(b"", 1, 0), Parcel(b"", 0, 1))
"""An item of no size, of one byte, and of one byte for light clients: traffic is linear in both."""

Route = tuple[int, Group, bool, int, int]
"""Sender, group, whether it is relayed, and both sizes where they matter to the way."""


@dataclass(eq=False, kw_only=True)
class _Way:
    """What items of one route have in common, and how many there were."""

    nodes: Numbers
    """Who hears it, shape (heard,)."""
    seconds: Vector
    """After how long, shape (heard,)."""
    reached: Numbers
    """Who sends or receives any of it, shape (reached,)."""
    costs: Matrix
    """Bytes sent and received for an item, for a byte of it, and for a byte of what light
    clients take, shape (3, 2, reached)."""
    items: int = 0
    """How many have taken it."""
    sizes: int = 0
    """Bytes of all of them."""
    leaf_sizes: int = 0
    """Bytes of all of them, as light clients take them."""


@dataclass
class Traffic:
    """Bytes by node, shape (nodes,) each."""

    sent: Vector
    """What it has sent, lost transmissions among them."""
    received: Vector
    """What has come to it."""


class Network:
    """Carries what nodes send; everything follows from the seed and the order of the sends."""

    def __init__(self, graph: Graph, gossip: Gossip, seed: int) -> None:
        """Begin with nothing sent.

        Args:
            graph: who is linked with whom.
            gossip: how items travel, and what goes wrong on the way.
            seed: of the scenario.
        """
        self._graph, self._gossip, self._seed = graph, gossip, seed
        self._outages = Outages(gossip, graph, seed)
        self._missed: Missed = {}
        self._ways: dict[Route, _Way] = {}
        self._numbers = 0
        self._traffic = Traffic(np.zeros(graph.nodes), np.zeros(graph.nodes))

    def deliveries(
        self, sender: int, group: Group, parcel: Parcel, leaves_s: float, relayed: bool = True
    ) -> tuple[Numbers, Vector]:
        """Send an item.

        Args:
            sender: a node.
            group: whom it is for; a holder that passes nothing on reaches the compute nodes.
            parcel: the item.
            leaves_s: when it leaves, simulated seconds.
            relayed: whether others pass it on: they do so with what they find valid.

        Returns:
            Who hears it, and when, shapes (heard,); the sender does not.
        """
        if self._gossip.loss or self._gossip.breaks:
            return self._follow(sender, group, parcel, leaves_s, relayed)
        way = self._way(sender, group, parcel, relayed)
        way.items += 1
        way.sizes += parcel.size
        way.leaf_sizes += parcel.leaf_size
        return way.nodes, leaves_s + way.seconds

    def ready(self, node: int, now_s: float) -> float:
        """Return the first time from now on at which a node is there and has caught up."""
        if not self._gossip.breaks:
            return now_s
        back_s = self._outages.back(node, now_s)
        return max(back_s, self._missed.get((node, self._outages.came(node, back_s)), 0.0))

    def hears(self, one: int, other: int, now_s: float) -> bool:
        """Say whether something can go directly from one node to another now."""
        return self._outages.heard(one, other, now_s) == now_s

    def traffic(self) -> Traffic:
        """Return what each node has sent and received so far."""
        self._settle()
        return self._traffic

    def slowest_s(self) -> float:
        """Return the longest way between two compute nodes while nothing goes wrong, seconds."""
        longest = [
            self._way(node, "compute", UNITS[0], True).seconds.max(initial=0.0)
            for node in range(self._graph.compute)
        ]
        return float(max(longest))

    def _follow(
        self, sender: int, group: Group, parcel: Parcel, leaves_s: float, relayed: bool
    ) -> tuple[Numbers, Vector]:
        lanes = self._graph.lanes(sender, group, relayed)
        lost = self._lost(lanes, parcel)
        spread = followed(
            lanes,
            exchange_s(self._gossip, lanes, parcel, lost),
            sender,
            leaves_s,
            self._outages,
            self._missed,
            parcel.size / bytes_per_s(self._gossip),
        )
        self._forget(leaves_s)
        sent, received = traffic(self._gossip, lanes, spread, parcel, lost)
        self._traffic.sent[spread.nodes] += sent
        self._traffic.received[spread.nodes] += received
        heard = self._heard(spread, group)
        return spread.nodes[heard], spread.times_s[heard]

    def _lost(self, lanes: Lanes, parcel: Parcel) -> Losses | None:
        if not self._gossip.loss:
            return None
        shape = steps_bytes(self._gossip, lanes, parcel).shape
        draws = stream(self._seed, "loss", parcel.name)
        return np.asarray(draws.geometric(1.0 - self._gossip.loss, shape) - 1)

    def _forget(self, now_s: float) -> None:
        if len(self._missed) > 4 * self._graph.nodes:
            late = {key: time_s for key, time_s in self._missed.items() if time_s >= now_s}
            self._missed = late

    def _way(self, sender: int, group: Group, parcel: Parcel, relayed: bool) -> _Way:
        sizes = (parcel.size, parcel.leaf_size) if self._gossip.bandwidth_mbit_s else (0, 0)
        route = (sender, group, relayed, *sizes)
        known = self._ways.get(route)
        if known is None:
            if self._numbers > KEPT_NUMBERS:
                self._settle()
            known = self._ways[route] = self._found(sender, group, parcel, relayed)
            self._numbers += known.costs.size
        return known

    def _found(self, sender: int, group: Group, parcel: Parcel, relayed: bool) -> _Way:
        lanes = self._graph.lanes(sender, group, relayed)
        spread = quickest(lanes, exchange_s(self._gossip, lanes, parcel, None), sender)
        heard = self._heard(spread, group)
        nothing, whole, leaf = (
            np.stack(traffic(self._gossip, lanes, spread, unit, None)) for unit in UNITS
        )
        costs = np.stack((nothing, whole - nothing, leaf - nothing))
        return _Way(
            nodes=spread.nodes[heard],
            seconds=spread.times_s[heard],
            reached=spread.nodes,
            costs=costs,
        )

    def _heard(self, spread: Spread, group: Group) -> Numbers:
        """Return the places of those in the group, without the sender."""
        inside = spread.nodes < (self._graph.nodes if group == "everybody" else self._graph.compute)
        inside[0] = False
        return np.flatnonzero(inside)

    def _settle(self) -> None:
        """Count the traffic of the remembered routes, and forget them."""
        for way in self._ways.values():
            counts = np.array((way.items, way.sizes, way.leaf_sizes), dtype=np.float64)
            sent, received = np.tensordot(counts, way.costs, 1)
            self._traffic.sent[way.reached] += sent
            self._traffic.received[way.reached] += received
        self._ways, self._numbers = {}, 0

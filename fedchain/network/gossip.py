"""Network of one run: delivers items to nodes, and counts the bytes that each node exchanges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Matrix, Vector
from fedchain.network.outages import Missed, Outages, followed
from fedchain.network.spreading import (
    Graph,
    Group,
    Lanes,
    Losses,
    Parcel,
    Spread,
    WholeNumbers,
    bytes_per_s,
    exchange_s,
    quickest,
    steps_bytes,
    traffic,
)
from fedchain.randomness import stream
from fedchain.scenario import Gossip

KEPT_NUMBERS = 2**23
"""The route cache is emptied when it holds more numbers than this."""
# Traffic is linear in both sizes, so these three items give the traffic of any item.
UNIT_PARCELS = (Parcel(b"", 0, 0), Parcel(b"", 1, 0), Parcel(b"", 0, 1))
"""An empty item, an item of 1 byte, and an item of which light clients receive 1 byte."""

Route = tuple[int, Group, bool, int, int]
"""Key of a cached route: sender id, group, whether nodes relay the item, bytes of the item, and
bytes of its part for light clients. Both sizes are 0 if the bandwidth is unlimited."""


@dataclass(eq=False, kw_only=True)
class _Way:
    """Arrival times and traffic of the items on one route."""

    nodes: WholeNumbers
    """Ids of the nodes that receive the item, shape (heard,)."""
    seconds: Vector
    """Simulated seconds until each of these nodes receives the item, shape (heard,)."""
    reached: WholeNumbers
    """Ids of the nodes that send or receive any part of the item, shape (reached,)."""
    costs: Matrix
    """Bytes of each node, shape (3, 2, reached). First axis: per item, per byte of an item, per
    byte of an item's part for light clients. Second axis: sent, received."""
    items: int = 0
    """Number of items that took this route."""
    sizes: int = 0
    """Sum of the items' sizes, bytes."""
    leaf_sizes: int = 0
    """Sum of the sizes of the items' parts for light clients, bytes."""


@dataclass
class Traffic:
    """Bytes that each node has sent and received."""

    sent: Vector
    """Bytes sent by each node, including lost transmissions, shape (nodes,)."""
    received: Vector
    """Bytes received by each node, shape (nodes,)."""


class Network:
    """Delivers the items that nodes send, such as blocks and messages."""

    def __init__(self, graph: Graph, gossip: Gossip, seed: int) -> None:
        """Start with no traffic.

        Args:
            graph: the nodes and their links.
            gossip: settings of relaying, bandwidth, losses and outages.
            seed: seed of the scenario.
        """
        self._graph, self._gossip, self._seed = graph, gossip, seed
        self._breaks = gossip.breaks
        self._outages = Outages(gossip, graph, seed)
        self._missed: Missed = {}
        self._ways: dict[Route, _Way] = {}
        self._numbers = 0
        self._traffic = Traffic(np.zeros(graph.nodes), np.zeros(graph.nodes))

    def deliveries(
        self, sender: int, group: Group, parcel: Parcel, leaves_s: float, relayed: bool = True
    ) -> tuple[WholeNumbers, Vector]:
        """Send an item, and return when each node receives it.

        Args:
            sender: id of the node that sends the item.
            group: the nodes that the item is for.
            parcel: the item.
            leaves_s: time at which the item leaves the sender, simulated seconds.
            relayed: whether the receiving nodes pass the item on; False for an invalid item.

        Returns:
            Ids of the receiving nodes, shape (heard,), and the simulated seconds at which each of
            them receives the item, shape (heard,).
        """
        if self._gossip.loss or self._breaks:
            return self._follow(sender, group, parcel, leaves_s, relayed)
        way = self._way(sender, group, parcel, relayed)
        way.items += 1
        way.sizes += parcel.size
        way.leaf_sizes += parcel.leaf_size
        return way.nodes, leaves_s + way.seconds

    def ready(self, node: int, now_s: float) -> float:
        """Return the first time, ``now_s`` or later, when a node is online and has caught up."""
        if not self._breaks:
            return now_s
        back_s = self._outages.back(node, now_s)
        return max(back_s, self._missed.get((node, self._outages.came(node, back_s)), 0.0))

    def hears(self, one: int, other: int, now_s: float) -> bool:
        """Return whether one node can send directly to another at ``now_s``."""
        return self._outages.heard(one, other, now_s) == now_s

    def traffic(self) -> Traffic:
        """Return the bytes that each node has sent and received so far."""
        self._settle()
        return self._traffic

    def slowest_s(self) -> float:
        """Return the longest delivery time of an empty item between two compute nodes, seconds."""
        longest = [
            self._way(node, "compute", UNIT_PARCELS[0], True).seconds.max(initial=0.0)
            for node in range(self._graph.compute)
        ]
        return float(max(longest))

    def _follow(
        self, sender: int, group: Group, parcel: Parcel, leaves_s: float, relayed: bool
    ) -> tuple[WholeNumbers, Vector]:
        lanes = self._graph.lanes(sender, group, relayed)
        lost = self._draw_losses(lanes, parcel)
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
        heard = self._places_in_group(spread, group)
        return spread.nodes[heard], spread.times_s[heard]

    def _draw_losses(self, lanes: Lanes, parcel: Parcel) -> Losses | None:
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
            known = self._ways[route] = self._compute_way(sender, group, parcel, relayed)
            self._numbers += known.costs.size
        return known

    def _compute_way(self, sender: int, group: Group, parcel: Parcel, relayed: bool) -> _Way:
        lanes = self._graph.lanes(sender, group, relayed)
        spread = quickest(lanes, exchange_s(self._gossip, lanes, parcel, None), sender)
        heard = self._places_in_group(spread, group)
        nothing, whole, leaf = (
            np.stack(traffic(self._gossip, lanes, spread, unit, None)) for unit in UNIT_PARCELS
        )
        costs = np.stack((nothing, whole - nothing, leaf - nothing))
        return _Way(
            nodes=spread.nodes[heard],
            seconds=spread.times_s[heard],
            reached=spread.nodes,
            costs=costs,
        )

    def _places_in_group(self, spread: Spread, group: Group) -> WholeNumbers:
        """Return the indices of the group's nodes in ``spread.nodes``, without the sender."""
        inside = spread.nodes < (self._graph.nodes if group == "everybody" else self._graph.compute)
        inside[0] = False
        return np.flatnonzero(inside)

    def _settle(self) -> None:
        """Add the traffic of the cached routes to the total, and empty the cache."""
        for way in self._ways.values():
            counts = np.array((way.items, way.sizes, way.leaf_sizes), dtype=np.float64)
            sent, received = np.tensordot(counts, way.costs, 1)
            self._traffic.sent[way.reached] += sent
            self._traffic.received[way.reached] += received
        self._ways, self._numbers = {}, 0

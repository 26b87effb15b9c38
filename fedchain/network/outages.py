"""Outages: the times at which nodes are offline and links are broken.

A node with churn goes offline and online at random times. A partition breaks every link between its
two parts.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Vector
from fedchain.network.spreading import Graph, Lanes, Spread
from fedchain.randomness import stream
from fedchain.scenario import Gossip

Missed = dict[tuple[int, float], float]
"""Simulated seconds at which a node received the last item that it had missed during an outage.
Keys: the node's id, and the end of the outage in simulated seconds."""
HEADERS_STEPS = 2
"""Number of transmissions for the headers of missed blocks: the request and the answer."""


@dataclass(frozen=True)
class _Cut:
    """One partition of the network."""

    start_s: float
    """Simulated seconds at which the links between the two parts break."""
    end_s: float
    """Simulated seconds at which the links between the two parts work again."""
    part: frozenset[int]
    """Ids of the nodes in one of the two parts."""


class Outages:
    """Tells when nodes are online, and when neighbours can exchange data, in simulated seconds."""

    def __init__(self, gossip: Gossip, graph: Graph, seed: int) -> None:
        """Draw the nodes that join late, and the nodes in one part of each partition.

        Args:
            gossip: settings of churn, partitions and late joiners.
            graph: the network from which the nodes are drawn.
            seed: seed of the scenario.
        """
        self._churn, self._seed = gossip.churn, seed
        self._cuts = [
            _Cut(cut.from_s, cut.to_s, _draw_nodes(graph, cut.share, seed, "partition", number))
            for number, cut in enumerate(gossip.partitions)
        ]
        late = gossip.late_joiners
        joining = _draw_nodes(graph, late.share, seed, "late") if late else frozenset()
        joins = dict.fromkeys(joining, late.at_s) if late else {}
        self._turns = [[joins.get(node, 0.0)] for node in range(graph.nodes)]
        self._draws: dict[int, np.random.Generator] = {}

    def came(self, node: int, now_s: float) -> float:
        """Return when a node last came online; the node must be online at ``now_s``."""
        return self._turns[node][self._count_changes(node, now_s) - 1]

    def back(self, node: int, now_s: float) -> float:
        """Return the first time, ``now_s`` or later, at which a node is online."""
        place = self._count_changes(node, now_s)
        return now_s if place % 2 else self._turns[node][place]

    def heard(self, one: int, other: int, now_s: float) -> float:
        """Return the first time, ``now_s`` or later, at which two neighbours can exchange data."""
        while True:
            later = max(self.back(one, now_s), self.back(other, now_s))
            for cut in self._cuts_between(one, other):
                if cut.start_s <= later < cut.end_s:
                    later = cut.end_s
            if later == now_s:
                return now_s
            now_s = later

    def done(self, one: int, other: int, start_s: float, lasts_s: float) -> float:
        """Return when an exchange between two neighbours is complete.

        Args:
            one: id of a node.
            other: id of the node's neighbour.
            start_s: time at which the exchange begins, outside every outage.
            lasts_s: seconds that the exchange takes. An outage interrupts the exchange.
        """
        while True:
            until = min(self._next_departure(one, start_s), self._next_departure(other, start_s))
            for cut in self._cuts_between(one, other):
                if start_s < cut.start_s:
                    until = min(until, cut.start_s)
            if start_s + lasts_s <= until:
                return start_s + lasts_s
            lasts_s -= until - start_s
            start_s = self.heard(one, other, until)

    def _cuts_between(self, one: int, other: int) -> list[_Cut]:
        return [cut for cut in self._cuts if (one in cut.part) != (other in cut.part)]

    def _next_departure(self, node: int, now_s: float) -> float:
        """Return when a node next goes offline; the node must be online at ``now_s``."""
        place, turns = self._count_changes(node, now_s), self._turns[node]
        return turns[place] if place < len(turns) else math.inf

    def _count_changes(self, node: int, now_s: float) -> int:
        """Return how often a node has gone online or offline until ``now_s``.

        If the number is odd, the node is online.
        """
        turns = self._turns[node]
        if self._churn is not None:
            stay = self._churn.stay_s
            away = stay * self._churn.away / (1.0 - self._churn.away)
            while turns[-1] <= now_s:
                spans = self._stream(node).exponential((stay, away))
                turns += [turns[-1] + spans[0], turns[-1] + spans[0] + spans[1]]
        return bisect_right(turns, now_s)

    def _stream(self, node: int) -> np.random.Generator:
        if node not in self._draws:
            self._draws[node] = stream(self._seed, "churn", node)
        return self._draws[node]


def followed(
    lanes: Lanes,
    seconds: Vector,
    sender: int,
    leaves_s: float,
    outages: Outages,
    missed: Missed,
    gap_s: float,
) -> Spread:
    """Return how one item spreads over links that break and work again.

    After an outage, a node receives the missed items in the order in which they were sent.

    Args:
        lanes: the lanes that the item may take.
        seconds: seconds that the item takes over each lane without an outage, shape (lanes,).
        sender: id of the node where the item starts.
        leaves_s: time at which the item starts, simulated seconds.
        outages: the outages of nodes and links.
        missed: arrival times of missed items so far; this call adds the item's times.
        gap_s: least time between two missed items that arrive at a node, seconds, 0 or more.
    """
    lasts, latency = seconds.tolist(), lanes.seconds.tolist()
    waiting: list[tuple[float, int, int, float | None]] = [(leaves_s, sender, -1, None)]
    found: dict[int, tuple[float, int]] = {}
    while waiting:
        now_s, node, lane, since = heapq.heappop(waiting)
        if node in found:
            continue
        if since is not None:
            missed[node, since] = now_s
        found[node] = now_s, lane
        for onward, neighbour in lanes.out.get(node, ()):
            if neighbour not in found:
                start_s = outages.heard(node, neighbour, now_s)
                waited = start_s > now_s
                span = lasts[onward] + waited * HEADERS_STEPS * latency[onward]
                end_s = outages.done(node, neighbour, start_s, span)
                healed = start_s if waited else since
                if healed is not None:
                    end_s = max(end_s, missed.get((neighbour, healed), 0.0) + gap_s)
                heapq.heappush(waiting, (end_s, neighbour, onward, healed))
    times, by = zip(*found.values(), strict=True)
    return Spread(np.array([*found]), np.array(times), np.array(by[1:], dtype=np.int64))


def _draw_nodes(graph: Graph, share: float, seed: int, *purpose: str | int) -> frozenset[int]:
    """Draw a share of the compute nodes and of the holders' slots, but never all compute nodes."""
    miners = min(graph.compute - 1, round(share * graph.compute))
    holder_slots = round(share * (graph.nodes - graph.compute))
    one = stream(seed, *purpose, "compute").permutation(graph.compute)[:miners]
    other = stream(seed, *purpose, "seats").permutation(graph.nodes - graph.compute)[:holder_slots]
    return frozenset([*one.tolist(), *(other + graph.compute).tolist()])

"""Outages: when a node is there, and when a link carries anything.

Nodes that churn stay and are away for exponential spans, each drawn from a stream of its own;
late joiners are away until they join; a partition breaks every link between its two parts.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from fedchain.network.graph import Graph
from fedchain.randomness import stream
from fedchain.scenario import Gossip


@dataclass(frozen=True)
class _Cut:
    """One partition."""

    start_s: float
    """When the links break."""
    end_s: float
    """When they heal."""
    part: frozenset[int]
    """The nodes on one side."""


class Outages:
    """Who is there, and who hears whom, at any time; each question may be about any time."""

    def __init__(self, gossip: Gossip, graph: Graph, seed: int) -> None:
        """Draw who is concerned.

        Args:
            gossip: churn, partitions and late joiners.
            graph: counts compute nodes and seats.
            seed: of the scenario.
        """
        self._churn, self._seed = gossip.churn, seed
        self._cuts = [
            _Cut(cut.from_s, cut.to_s, _drawn(graph, cut.share, seed, "partition", number))
            for number, cut in enumerate(gossip.partitions)
        ]
        late = gossip.late_joiners
        joining = _drawn(graph, late.share, seed, "late") if late else frozenset()
        joins = dict.fromkeys(joining, late.at_s) if late else {}
        self._turns = [[joins.get(node, 0.0)] for node in range(graph.nodes)]
        self._draws: dict[int, np.random.Generator] = {}

    def came(self, node: int, now_s: float) -> float:
        """Return when a node came that is there now."""
        return self._turns[node][self._place(node, now_s) - 1]

    def back(self, node: int, now_s: float) -> float:
        """Return the first time from now on at which a node is there."""
        place = self._place(node, now_s)
        return now_s if place % 2 else self._turns[node][place]

    def heard(self, one: int, other: int, now_s: float) -> float:
        """Return the first time from now on at which two neighbours hear each other."""
        while True:
            later = max(self.back(one, now_s), self.back(other, now_s))
            for cut in self._between(one, other):
                if cut.start_s <= later < cut.end_s:
                    later = cut.end_s
            if later == now_s:
                return now_s
            now_s = later

    def done(self, one: int, other: int, start_s: float, lasts_s: float) -> float:
        """Return when two neighbours have exchanged something.

        Args:
            one: a node.
            other: its neighbour.
            start_s: when they begin; they hear each other then.
            lasts_s: seconds that it takes; what an outage interrupts goes on after it.
        """
        while True:
            until = min(self._gone(one, start_s), self._gone(other, start_s))
            for cut in self._between(one, other):
                if start_s < cut.start_s:
                    until = min(until, cut.start_s)
            if start_s + lasts_s <= until:
                return start_s + lasts_s
            lasts_s -= until - start_s
            start_s = self.heard(one, other, until)

    def _between(self, one: int, other: int) -> list[_Cut]:
        return [cut for cut in self._cuts if (one in cut.part) != (other in cut.part)]

    def _gone(self, node: int, now_s: float) -> float:
        """Return when a node leaves that is there now."""
        place, turns = self._place(node, now_s), self._turns[node]
        return turns[place] if place < len(turns) else math.inf

    def _place(self, node: int, now_s: float) -> int:
        """Return how often a node has come or gone so far; it is there after an odd number."""
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


def _drawn(graph: Graph, share: float, seed: int, *purpose: str | int) -> frozenset[int]:
    """Draw a share of the compute nodes, never all of them, and of the data holders."""
    miners = min(graph.compute - 1, round(share * graph.compute))
    holder_slots = round(share * (graph.nodes - graph.compute))
    one = stream(seed, *purpose, "compute").permutation(graph.compute)[:miners]
    other = stream(seed, *purpose, "seats").permutation(graph.nodes - graph.compute)[:holder_slots]
    return frozenset([*one.tolist(), *(other + graph.compute).tolist()])

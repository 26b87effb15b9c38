"""Spreading of an item over a network: when it reaches each node, and over which lane.

A lane is one direction of a link.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Matrix, Vector
from fedchain.network.latencies import Links
from fedchain.scenario import Gossip

Group = Literal["everybody", "compute"]
"""The nodes that an item is for: all nodes, or only the compute nodes."""
WholeNumbers = npt.NDArray[np.int64]
Losses = npt.NDArray[np.int64]
"""Number of lost transmissions in each step of ``steps_bytes``, shape (steps, lanes)."""
ANNOUNCEMENT, REQUEST = 61, 61
"""Bytes of an item's announcement, and of a request for an item. Both numbers are from Bitcoin:
``inv`` and ``getdata`` with one entry."""


@dataclass(frozen=True, eq=False)
class Lanes:
    """Directed links, sorted by the node where they begin, then by the node where they end."""

    tails: WholeNumbers
    """Id of the node where each lane begins, shape (lanes,)."""
    heads: WholeNumbers
    """Id of the node where each lane ends, shape (lanes,)."""
    seconds: Vector
    """Latency of each lane in simulated seconds, shape (lanes,)."""
    leaf: npt.NDArray[np.bool_]
    """Whether the node at the end of each lane passes nothing on, shape (lanes,)."""

    def __getitem__(self, which: slice | npt.NDArray[Any]) -> Lanes:
        return Lanes(self.tails[which], self.heads[which], self.seconds[which], self.leaf[which])

    def __add__(self, others: Lanes) -> Lanes:
        """Return these lanes, then other lanes that begin at nodes with higher ids."""
        return Lanes(
            np.concatenate((self.tails, others.tails)),
            np.concatenate((self.heads, others.heads)),
            np.concatenate((self.seconds, others.seconds)),
            np.concatenate((self.leaf, others.leaf)),
        )

    @functools.cached_property
    def out(self) -> Mapping[int, list[tuple[int, int]]]:
        """Lanes by the id of the node where they begin: pairs of lane index and end node id."""
        out: dict[int, list[tuple[int, int]]] = {}
        ends = zip(self.tails.tolist(), self.heads.tolist(), strict=True)
        for lane, (tail, head) in enumerate(ends):
            out.setdefault(tail, []).append((lane, head))
        return out


@dataclass(frozen=True, eq=False, kw_only=True)
class Graph:
    """The nodes of a network and the links between them.

    The compute nodes have the lowest ids. The other nodes are slots: access points of data holders.
    """

    compute: int
    """Number of compute nodes."""
    nodes: int
    """Number of all nodes."""
    links: Links
    """The two ends of each link, shape (links, 2); each link is listed once."""
    seconds: Vector
    """Latency of each link in seconds, the same in both directions, shape (links,)."""
    holders_relay: bool
    """Whether data holders pass items on. Compute nodes always do."""

    def lanes(self, sender: int, group: Group, relayed: bool) -> Lanes:
        """Return the lanes that an item may take.

        Args:
            sender: id of the node where the item starts.
            group: the nodes that the item is for.
            relayed: whether other nodes pass the item on. If not, the item reaches only the
                sender's neighbours.
        """
        if not relayed:
            own = self._lanes_of(sender)
            return own if group == "everybody" else own[~own.leaf]
        if self.holders_relay:
            return self._all
        among = self._from_compute if group == "everybody" else self._among_compute
        return among if sender < self.compute else among + self._lanes_of(sender)

    @functools.cached_property
    def _all(self) -> Lanes:
        tails, heads = np.concatenate((self.links, self.links[:, ::-1])).T
        order = np.lexsort((heads, tails))
        leaf = (heads >= self.compute) & (not self.holders_relay)
        return Lanes(tails, heads, np.tile(self.seconds, 2), leaf)[order]

    @functools.cached_property
    def _begins(self) -> WholeNumbers:
        """Index of each node's first lane, then the number of all lanes, shape (nodes + 1,)."""
        return np.searchsorted(self._all.tails, np.arange(self.nodes + 1))

    @functools.cached_property
    def _from_compute(self) -> Lanes:
        return self._all[: int(self._begins[self.compute])]

    @functools.cached_property
    def _among_compute(self) -> Lanes:
        return self._from_compute[~self._from_compute.leaf]

    def _lanes_of(self, node: int) -> Lanes:
        return self._all[int(self._begins[node]) : int(self._begins[node + 1])]


@dataclass(frozen=True)
class Parcel:
    """One item that travels through the network."""

    name: bytes
    """Name of the item, and of the random stream for its losses."""
    size: int
    """Bytes of the whole item."""
    leaf_size: int
    """Bytes of the item's part for light clients."""


@dataclass(frozen=True, eq=False)
class Spread:
    """The nodes that an item has reached, in the order of arrival; the sender comes first."""

    nodes: WholeNumbers
    """Ids of the nodes, shape (reached,)."""
    times_s: Vector
    """Simulated seconds at which the item reaches each of these nodes, shape (reached,)."""
    lanes: WholeNumbers
    """Index of the lane to each of these nodes except the sender, shape (reached - 1,)."""


def steps_bytes(gossip: Gossip, lanes: Lanes, parcel: Parcel) -> Matrix:
    """Return the bytes of each step of an item's transfer over each lane, shape (steps, lanes).

    A pushed item takes one step. An announced item takes three steps: announcement, request, item.
    """
    item = np.where(lanes.leaf, parcel.leaf_size, parcel.size).astype(np.float64)
    if gossip.relay == "push":
        return item[None]
    return np.stack((np.full_like(item, ANNOUNCEMENT), np.full_like(item, REQUEST), item))


def bytes_per_s(gossip: Gossip) -> float:
    """Return the bytes that a link carries per second; infinite without a limit on bandwidth."""
    rate = gossip.bandwidth_mbit_s
    return math.inf if rate is None else 125_000.0 * rate


def exchange_s(gossip: Gossip, lanes: Lanes, parcel: Parcel, lost: Losses | None) -> Vector:
    """Return the seconds that an item takes over each lane without an outage, shape (lanes,).

    ``lost`` is None if no transmission is lost.
    """
    steps = steps_bytes(gossip, lanes, parcel)
    seconds: Vector = len(steps) * lanes.seconds + steps.sum(axis=0) / bytes_per_s(gossip)
    return seconds if lost is None else seconds + gossip.retry_s * lost.sum(axis=0)


def quickest(lanes: Lanes, seconds: Vector, sender: int) -> Spread:
    """Return how an item spreads by the quickest way over links that never break.

    Args:
        lanes: the lanes that the item may take.
        seconds: seconds that the item takes over each lane, shape (lanes,), above 0.
        sender: id of the node where the item starts, at time 0.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    # The sender may be one of many holders, with a number far above those of all other nodes in the
    # lanes. It gets the next free number, which keeps the matrix small.
    start = min(sender, int(lanes.heads.max(initial=-1)) + 1)
    tails = np.where(lanes.tails == sender, start, lanes.tails)
    nodes = max(start, int(lanes.heads.max(initial=0))) + 1
    graph = csr_array((seconds, (tails, lanes.heads)), shape=(nodes, nodes))
    times, before = dijkstra(graph, indices=start, return_predecessors=True)
    order = np.argsort(times, kind="stable")[1 : np.isfinite(times).sum()]
    ends = before[order].astype(np.int64) * nodes + order
    by = np.searchsorted(tails * nodes + lanes.heads, ends)
    return Spread(np.concatenate(([sender], order)), times[[start, *order]], by)


def traffic(
    gossip: Gossip, lanes: Lanes, spread: Spread, parcel: Parcel, lost: Losses | None
) -> tuple[Vector, Vector]:
    """Return the bytes that each node has sent and received for one item.

    Args:
        gossip: the settings, which say whether items are pushed or announced.
        lanes: the lanes that the item may take.
        spread: the nodes that the item reached, and the lanes to them.
        parcel: the item.
        lost: numbers of lost transmissions; None: no losses.

    Returns:
        Bytes sent and bytes received, in the order of ``spread.nodes``, each of shape (reached,).
        Lost transmissions count as sent, but not as received.
    """
    # Pushed items and announcements cross each link once. Requests and announced items use only the
    # lanes over which the item first reached a node.
    count = len(spread.nodes)
    order = np.argsort(spread.nodes)
    tails, heads = (
        order[np.searchsorted(spread.nodes, ends, sorter=order)]
        for ends in (lanes.tails, lanes.heads)
    )
    taken = np.zeros(len(tails), dtype=np.bool_)
    taken[spread.lanes] = True
    told = taken | lanes.leaf | (spread.times_s[tails] < spread.times_s[heads])
    steps = steps_bytes(gossip, lanes, parcel)
    carried = steps * (taken if len(steps) > 1 else told)
    carried[0] = steps[0] * told
    again = carried if lost is None else carried * (1 + lost)
    sent, received = np.zeros(count), np.zeros(count)
    for step, (out, back) in enumerate(zip(again, carried, strict=True)):
        one, other = (heads, tails) if step == 1 else (tails, heads)
        sent += np.bincount(one, out, count)
        received += np.bincount(other, back, count)
    return sent, received

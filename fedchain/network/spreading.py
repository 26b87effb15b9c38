"""Spreading of one item: when each node has it, and over which lane it came.

A node passes an item on as soon as it has it. If nothing is lost and no link ever breaks, the
quickest way is the same for all items of one size. Otherwise each item is followed separately, and
the time that it takes over a link depends on when it gets there.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Matrix, Vector
from fedchain.network.graph import Lanes, Numbers
from fedchain.network.outages import Outages
from fedchain.scenario import Gossip

Losses = npt.NDArray[np.int64]
"""Number of lost transmissions of one item, by step of the exchange and lane, (steps, lanes)."""
Missed = dict[tuple[int, float], float]
"""When the last item that a node had missed arrived there, by node and end of the outage."""
ANNOUNCEMENT, REQUEST = 61, 61
"""Bytes of an item's name and of a request for it: Bitcoin's ``inv`` and ``getdata``, one entry."""
HEADERS_STEPS = 2
"""Steps in which a node learns what it missed: it asks for the headers, and receives them."""


@dataclass(frozen=True)
class Parcel:
    """One item on its way."""

    name: bytes
    """Distinguishes it from other items: its losses are drawn from a stream of this name."""
    size: int
    """Bytes of the whole item."""
    leaf_size: int
    """Bytes of the part that goes to a light client that passes nothing on."""


@dataclass(frozen=True, eq=False)
class Spread:
    """The nodes that an item has reached, in the order of arrival; the sender comes first."""

    nodes: Numbers
    """Nodes that have it, shape (reached,)."""
    times_s: Vector
    """When each of them has it, shape (reached,)."""
    lanes: Numbers
    """Lane over which it came to each of them but the sender, shape (reached - 1,)."""


def steps_bytes(gossip: Gossip, lanes: Lanes, parcel: Parcel) -> Matrix:
    """Return the bytes of each step of an exchange.

    A pushed item takes one step. An announced item takes three: its name, a request, the item.

    Args:
        gossip: tells whether items are pushed or announced.
        lanes: the lanes that the item may take.
        parcel: the item.

    Returns:
        Shape (steps, lanes); the second of three steps goes against the lane.
    """
    item = np.where(lanes.leaf, parcel.leaf_size, parcel.size).astype(np.float64)
    if gossip.relay == "push":
        return item[None]
    return np.stack((np.full_like(item, ANNOUNCEMENT), np.full_like(item, REQUEST), item))


def bytes_per_s(gossip: Gossip) -> float:
    """Return the bytes that a link carries in a second; infinite if bandwidth is not limited."""
    rate = gossip.bandwidth_mbit_s
    return math.inf if rate is None else 125_000.0 * rate


def exchange_s(gossip: Gossip, lanes: Lanes, parcel: Parcel, lost: Losses | None) -> Vector:
    """Return how long one item takes over each lane while no link breaks, shape (lanes,).

    Args:
        gossip: relay, bandwidth, and the time until a lost transmission is repeated.
        lanes: the lanes that the item may take.
        parcel: the item.
        lost: number of lost transmissions; None: no losses.
    """
    steps = steps_bytes(gossip, lanes, parcel)
    seconds: Vector = len(steps) * lanes.seconds + steps.sum(axis=0) / bytes_per_s(gossip)
    return seconds if lost is None else seconds + gossip.retry_s * lost.sum(axis=0)


def quickest(lanes: Lanes, seconds: Vector, sender: int) -> Spread:
    """Return how an item spreads by the quickest way over links that never break.

    Args:
        lanes: the lanes that it may take, in ascending order of their ends.
        seconds: time that it takes over each lane, shape (lanes,), above 0.
        sender: the node where it starts, at time 0.
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


def followed(
    lanes: Lanes,
    seconds: Vector,
    sender: int,
    leaves_s: float,
    outages: Outages,
    missed: Missed,
    gap_s: float,
) -> Spread:
    """Follow one item over links that break and work again.

    An item that an outage delays arrives after the outage, and after the headers. All items that
    one outage delays arrive at a node in the order in which they were sent, one after another.
    This also holds for nodes that receive them from a node that had to wait.

    Args:
        lanes: the lanes that it may take.
        seconds: time that it takes over each lane while both ends are online, shape (lanes,).
        sender: the node where it starts.
        leaves_s: when it starts.
        outages: tells when links are up.
        missed: when earlier items that were missed arrived; this call updates it.
        gap_s: seconds that the item keeps a link busy, 0 or more.
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


def traffic(
    gossip: Gossip, lanes: Lanes, spread: Spread, parcel: Parcel, lost: Losses | None
) -> tuple[Vector, Vector]:
    """Return the bytes that each node has sent and received for one item.

    Each link is used once, from the end that has the item first. It carries the whole item if
    items are pushed, and its name if they are announced; the request and the item then go over the
    lane by which the item reached the node. A node that passes nothing on hears from all its
    neighbours.

    Args:
        gossip: tells whether items are pushed or announced.
        lanes: the lanes that the item could take.
        spread: the nodes that it reached, and the lanes that it took.
        parcel: the item.
        lost: number of transmissions that were lost and repeated; None: no losses.

    Returns:
        Bytes sent and bytes received, in the order of ``spread.nodes``, each of shape (reached,).
        Lost transmissions count as sent, not as received.
    """
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

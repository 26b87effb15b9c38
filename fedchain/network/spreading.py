"""How one item spreads: when each node has it, and by which lane it came.

A node passes an item on as soon as it has it. Where nothing is lost and no link ever breaks the
quickest way is the same for all items of one size. Elsewhere each item is followed by itself, and
how long it takes over a link depends on when it gets there.
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
"""Lost transmissions of one item, by step of the exchange and lane, shape (steps, lanes)."""
Missed = dict[tuple[int, float], float]
"""When the last item came that a node had missed, by node and end of the outage."""
ANNOUNCEMENT, REQUEST = 61, 61
"""Bytes that name an item, and that ask for it: Bitcoin's ``inv`` and ``getdata`` of one entry."""
HEADERS_STEPS = 2
"""Steps by which who was away learns what it has missed: it asks for the headers, and has them."""


@dataclass(frozen=True)
class Parcel:
    """One item on its way."""

    name: bytes
    """What tells it from others: its losses are drawn for this name."""
    size: int
    """Bytes of the whole."""
    leaf_size: int
    """Bytes of what a light client that passes nothing on takes of it."""


@dataclass(frozen=True, eq=False)
class Spread:
    """Where an item has come, in the order of arrival; its sender is the first."""

    nodes: Numbers
    """Who has it, shape (reached,)."""
    times_s: Vector
    """When each has it, shape (reached,)."""
    lanes: Numbers
    """By which lane it came to each but the sender, shape (reached - 1,)."""


def steps_bytes(gossip: Gossip, lanes: Lanes, parcel: Parcel) -> Matrix:
    """Return the bytes of each step of an exchange: the item; or its name, a request, the item.

    Args:
        gossip: says whether items are pushed or announced.
        lanes: that it may take.
        parcel: the item.

    Returns:
        Shape (steps, lanes); the second of three steps goes against the lane.
    """
    item = np.where(lanes.leaf, parcel.leaf_size, parcel.size).astype(np.float64)
    if gossip.relay == "push":
        return item[None]
    return np.stack((np.full_like(item, ANNOUNCEMENT), np.full_like(item, REQUEST), item))


def bytes_per_s(gossip: Gossip) -> float:
    """Return what a link carries in a second; infinite where size does not matter."""
    rate = gossip.bandwidth_mbit_s
    return math.inf if rate is None else 125_000.0 * rate


def exchange_s(gossip: Gossip, lanes: Lanes, parcel: Parcel, lost: Losses | None) -> Vector:
    """Return how long one item takes over each lane while no link breaks, shape (lanes,).

    Args:
        gossip: relay, bandwidth, time until what was lost is sent again.
        lanes: that it may take.
        parcel: the item.
        lost: transmissions that were lost; None: none.
    """
    steps = steps_bytes(gossip, lanes, parcel)
    seconds: Vector = len(steps) * lanes.seconds + steps.sum(axis=0) / bytes_per_s(gossip)
    return seconds if lost is None else seconds + gossip.retry_s * lost.sum(axis=0)


def quickest(lanes: Lanes, seconds: Vector, sender: int) -> Spread:
    """Let an item take the quickest way over links that never break.

    Args:
        lanes: that it may take, in ascending order of their ends.
        seconds: that it takes over each, shape (lanes,), above 0.
        sender: where it starts, at time 0.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    # Of many holders one is the sender, with a number far above those of all who pass it on.
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
    """Follow one item over links that break and heal.

    What an outage has delayed comes when it is over, after the headers. All items that one outage
    has delayed come to a node in the order in which they were sent, one behind the other, also
    to those who hear of them from others.

    Args:
        lanes: that it may take.
        seconds: that it takes over each while both ends are there, shape (lanes,).
        sender: where it starts.
        leaves_s: when it starts.
        outages: when links are up.
        missed: when earlier items came that were missed; brought up to date.
        gap_s: seconds that it keeps a link busy, 0 or more.
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

    Each link carries it once, from the end that has it first: pushed the whole, announced its
    name; what is asked for and delivered goes by the lane by which the item came. Only who passes
    nothing on is told by all its neighbours.

    Args:
        gossip: says whether items are pushed or announced.
        lanes: that it could take.
        spread: the ways that it took.
        parcel: the item.
        lost: transmissions that were lost and sent again; None: none.

    Returns:
        Sent, received, in the order of ``spread.nodes``, each of shape (reached,).
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

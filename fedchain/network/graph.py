"""Graph of a network: its links, the latency of each, and which nodes pass items on."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Vector
from fedchain.network.latencies import Links

Numbers = npt.NDArray[np.int64]
Group = Literal["everybody", "compute"]
"""Nodes that a send is for: all nodes, or the compute nodes."""


@dataclass(frozen=True, eq=False)
class Lanes:
    """Directed links, in ascending order of their tails, then of their heads."""

    tails: Numbers
    """Node where each lane begins, shape (lanes,)."""
    heads: Numbers
    """Node where each lane ends, shape (lanes,)."""
    seconds: Vector
    """Latency of each, shape (lanes,)."""
    leaf: npt.NDArray[np.bool_]
    """Whether the node at the head passes nothing on, shape (lanes,)."""

    def __getitem__(self, which: slice | npt.NDArray[Any]) -> Lanes:
        return Lanes(self.tails[which], self.heads[which], self.seconds[which], self.leaf[which])

    def __add__(self, others: Lanes) -> Lanes:
        """Return these lanes followed by others, whose tails must have higher numbers."""
        return Lanes(
            np.concatenate((self.tails, others.tails)),
            np.concatenate((self.heads, others.heads)),
            np.concatenate((self.seconds, others.seconds)),
            np.concatenate((self.leaf, others.leaf)),
        )

    @functools.cached_property
    def out(self) -> Mapping[int, list[tuple[int, int]]]:
        """The lanes that begin at each node: the number and the head of each."""
        out: dict[int, list[tuple[int, int]]] = {}
        ends = zip(self.tails.tolist(), self.heads.tolist(), strict=True)
        for lane, (tail, head) in enumerate(ends):
            out.setdefault(tail, []).append((lane, head))
        return out


@dataclass(frozen=True, eq=False, kw_only=True)
class Graph:
    """The nodes of a network and the links between them.

    Compute nodes come first, then the holder slots: access points at which data holders listen.
    """

    compute: int
    """Number of compute nodes."""
    nodes: int
    """Number of all nodes."""
    links: Links
    """The two ends of each link, with each link listed once, shape (links, 2)."""
    seconds: Vector
    """Latency of each link, the same in both directions, shape (links,)."""
    holders_relay: bool
    """Whether data holders pass on what they hear, as compute nodes always do."""

    def lanes(self, sender: int, group: Group, relayed: bool) -> Lanes:
        """Return the lanes that an item may take.

        Args:
            sender: the node where it starts.
            group: the nodes that it is for; nodes outside the group are left out if they pass
                nothing on.
            relayed: whether others pass it on; else it reaches only the sender's neighbours.
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
    def _begins(self) -> Numbers:
        """Number of the first lane of each node, then that of all lanes, shape (nodes + 1,)."""
        return np.searchsorted(self._all.tails, np.arange(self.nodes + 1))

    @functools.cached_property
    def _from_compute(self) -> Lanes:
        return self._all[: int(self._begins[self.compute])]

    @functools.cached_property
    def _among_compute(self) -> Lanes:
        return self._from_compute[~self._from_compute.leaf]

    def _lanes_of(self, node: int) -> Lanes:
        return self._all[int(self._begins[node]) : int(self._begins[node + 1])]

"""The graph of a network: who is linked with whom, how long a link takes, who passes things on."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Vector
from fedchain.events import Group
from fedchain.network.latencies import Links

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lanes:
    """Links, each in one direction, in ascending order of their two ends."""

    tails: Numbers
    """Where each begins, shape (lanes,)."""
    heads: Numbers
    """Where each ends, shape (lanes,)."""
    seconds: Vector
    """Latency of each, shape (lanes,)."""
    leaf: npt.NDArray[np.bool_]
    """Whether its end passes nothing on, shape (lanes,)."""

    def __getitem__(self, which: slice | npt.NDArray[Any]) -> Lanes:
        return Lanes(self.tails[which], self.heads[which], self.seconds[which], self.leaf[which])

    def __add__(self, others: Lanes) -> Lanes:
        """Return these lanes and then others, whose tails have higher numbers."""
        return Lanes(
            np.concatenate((self.tails, others.tails)),
            np.concatenate((self.heads, others.heads)),
            np.concatenate((self.seconds, others.seconds)),
            np.concatenate((self.leaf, others.leaf)),
        )

    @functools.cached_property
    def out(self) -> Mapping[int, list[tuple[int, int]]]:
        """By node: number and end of each lane that begins there."""
        out: dict[int, list[tuple[int, int]]] = {}
        ends = zip(self.tails.tolist(), self.heads.tolist(), strict=True)
        for lane, (tail, head) in enumerate(ends):
            out.setdefault(tail, []).append((lane, head))
        return out


@dataclass(frozen=True, eq=False, kw_only=True)
class Graph:
    """Compute nodes, then the seats of data holders, and the links between them."""

    compute: int
    """Number of compute nodes."""
    nodes: int
    """Number of all nodes."""
    links: Links
    """The two ends of each link, each link once, shape (links, 2)."""
    seconds: Vector
    """Latency of each link, the same both ways, shape (links,)."""
    holders_relay: bool
    """Whether data holders pass on what they hear; compute nodes always do."""

    def lanes(self, sender: int, group: Group, relayed: bool) -> Lanes:
        """Return the lanes that an item may take.

        Args:
            sender: where it starts.
            group: whom it is for; who passes nothing on is left out if it is not for him.
            relayed: whether others pass it on; else it reaches the sender's neighbours alone.
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
        """Number of the first lane of each node, and of all lanes, shape (nodes + 1,)."""
        return np.searchsorted(self._all.tails, np.arange(self.nodes + 1))

    @functools.cached_property
    def _from_compute(self) -> Lanes:
        return self._all[: int(self._begins[self.compute])]

    @functools.cached_property
    def _among_compute(self) -> Lanes:
        return self._from_compute[~self._from_compute.leaf]

    def _lanes_of(self, node: int) -> Lanes:
        return self._all[int(self._begins[node]) : int(self._begins[node + 1])]

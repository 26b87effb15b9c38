"""Head tracker: it records every change of head at every compute node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fedchain.nodes.compute.compute_node import ComputeNode
from fedchain.results import HeadRecord


class HeadTracker:
    """Records the heads of the compute nodes as they change."""

    def __init__(self, nodes: Sequence[ComputeNode]) -> None:
        self._nodes = nodes
        self._last = [node.chain.head for node in nodes]
        self._new: list[HeadRecord] = []

    def look(self, node: int, now_s: float) -> None:
        """Record the head of a node that has just acted, if it has changed."""
        if node >= len(self._nodes):
            return
        chain = self._nodes[node].chain
        if chain.head != self._last[node]:
            self._last[node] = chain.head
            self._new.append(HeadRecord(chain.height, node, round(now_s, 6), chain.head.hex()))

    def new(self) -> Iterator[HeadRecord]:
        """Yield the records that were added since the last call."""
        found, self._new = self._new, []
        yield from found

"""Trackers: they record every change of head, and every incident that an honest node logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedchain.nodes.compute.compute_node import ComputeNode
from fedchain.nodes.compute.incident_log import Evidence, Refusal
from fedchain.results import EvidenceRecord, HeadRecord, RefusalRecord

KEPT_RECORDS = 10_000
"""Most incidents that a run records: the first ones. Each node still counts all of its own."""

Incident = tuple[str, RefusalRecord | EvidenceRecord]
"""Name of the event, and its record."""


class IncidentTracker:
    """Reads the incident logs of the honest compute nodes."""

    def __init__(self, nodes: Sequence[ComputeNode]) -> None:
        self._nodes = nodes
        self._honest = [node for node in nodes if node.schedule.honest]
        self._numbers: Mapping[bytes, int] = {node.address: node.node for node in nodes}
        self._read = {node.node: (0, 0) for node in self._honest}
        self._written = 0

    def new(self) -> Iterator[Incident]:
        """Yield the incidents that were logged since the last call, node by node."""
        for node in self._honest:
            refusals, evidence = self._read[node.node]
            found = node.findings
            known = len(found.refusals), len(found.evidence)
            if known == (refusals, evidence):
                continue
            self._read[node.node] = known
            fresh: list[Incident] = [
                *(("refusal", self._refusal(node.node, r)) for r in found.refusals[refusals:]),
                *(("evidence", self._evidence(node.node, e)) for e in found.evidence[evidence:]),
            ]
            yield from fresh[: KEPT_RECORDS - self._written]
            self._written = min(KEPT_RECORDS, self._written + len(fresh))

    def figures(self) -> dict[str, Any]:
        """Return the figures of the incidents for the manifest.

        The deeds come from the dishonest nodes; only the simulator knows them.
        """
        pairs = {(e.first, e.second) for node in self._honest for e in node.findings.evidence}
        return {
            "refused": sum(node.findings.refused for node in self._honest),
            "evidence": len({frozenset(pair) for pair in pairs}),
            "misconduct": [
                {"node": node.node, **deeds}
                for node in self._nodes
                for deeds in node.schedule.deeds()
            ],
        }

    def _refusal(self, node: int, said: Refusal) -> RefusalRecord:
        return RefusalRecord(
            round=said.height,
            node=node,
            time_s=round(said.time_s, 6),
            what=said.what,
            id=said.id.hex(),
            maker=self._numbers.get(said.maker),
            reason=said.reason,
        )

    def _evidence(self, node: int, said: Evidence) -> EvidenceRecord:
        return EvidenceRecord(
            round=said.height,
            node=node,
            time_s=round(said.time_s, 6),
            maker=self._numbers.get(said.maker),
            first=said.first.hex(),
            second=said.second.hex(),
        )


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

"""Recorder: it makes the records of rounds, messages, incidents and heads of chains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

from fedchain.aggregation import Aggregate
from fedchain.arrays import Vector
from fedchain.learning.evaluation import UNMEASURED, Measured
from fedchain.ledger.chain.block import Block, encode_start
from fedchain.ledger.chain.chain import Chain
from fedchain.ledger.chain.state import State
from fedchain.nodes.compute.compute_node import ComputeNode
from fedchain.nodes.compute.incident_log import Evidence, Refusal
from fedchain.results import EvidenceRecord, HeadRecord, MessageRecord, RefusalRecord, RoundRecord
from fedchain.timing import Stopwatch
from fedchain.transition import Steps, model_of

Measure = Callable[[bytes, Vector], Future[Measured]]
"""A function (hash of a block, model after the block) that starts to measure the model's metrics.
The model is a vector of shape (dimension,)."""

UnfinishedRound = tuple[partial[RoundRecord], Future[Measured], list[MessageRecord]]
"""A round without its metrics: its record without ``metrics``, its future metrics and the records
of its messages."""
NOBODY = -1
"""Node id that stands for the maker of the genesis block."""
KEPT_INCIDENTS = 10_000
"""A run records its first incidents, at most this number."""


class Recorder:
    """Makes the records of one chain."""

    def __init__(
        self,
        *,
        chain: Chain,
        steps: Steps,
        state_of: Callable[[bytes], State],
        measure: Measure,
        measured_every: int,
        miners: Mapping[bytes, int],
        watch: Stopwatch,
        keep: int,
    ) -> None:
        """Start at genesis.

        Args:
            chain: the chain whose rounds are recorded.
            steps: aggregates the messages of a block.
            state_of: returns the state after a block, given the block's hash.
            measure: starts to measure the metrics of a model.
            measured_every: rounds between two measurements; the last round is always measured.
            miners: the id of each compute node, by the node's address.
            watch: counts wall time by stage.
            keep: largest depth of a reorganisation, in rounds.
        """
        self._keep = keep
        self._chain, self._steps, self._state_of = chain, steps, state_of
        self._measure, self._measured_every = measure, measured_every
        self._miners, self._watch = miners, watch
        self._reported = [chain.head]
        self._makers = [NOBODY]
        self._released: dict[str, MessageRecord] = {}
        self._unreported: dict[str, MessageRecord] = {}
        self.judged_by = ""
        """What the scores of the messages are, in the words of the aggregation rule."""

    def note(self, released: list[MessageRecord]) -> None:
        """Remember the records of messages that were just sent, and empty the list."""
        for each in released:
            self._released[each.id] = self._unreported[each.id] = each
        released.clear()

    def new_blocks(self) -> list[Block]:
        """Return the blocks that have joined the main chain since the last call, lowest first."""
        name, height, fresh = self._chain.head, self._chain.height, []
        while height >= len(self._reported) or self._reported[height] != name:
            fresh.append(name)
            name, height = self._chain.link(name).header.parent, height - 1
        # Another block may carry the messages of the blocks that left the main chain.
        for lost in self._reported[height + 1 :]:
            names = [message.id.hex() for message in self._chain.block(lost).messages]
            self._unreported |= {name: self._released[name] for name in names}
        blocks = [self._chain.block(name) for name in reversed(fresh)]
        self._reported[height + 1 :] = reversed(fresh)
        self._makers[height + 1 :] = [self._miners[block.header.address] for block in blocks]
        return blocks

    def tally(self, shares: Sequence[float]) -> dict[str, Any]:
        """Count main-chain blocks and stale blocks, in total and for each compute node.

        Args:
            shares: each compute node's share of the hash power, by node id; the sum is 1.
        """
        chain, main = self._chain, Counter(self._makers[1:])
        made = {number: chain.made[address] for address, number in self._miners.items()}
        return {
            "main_blocks": chain.height,
            "stale_blocks": chain.stale,
            "stale_share": chain.stale / max(chain.made.total(), 1),
            "reorganisations": chain.reorganisations,
            "deepest_reorganisation": chain.deepest,
            "nodes": [
                {
                    "node": number,
                    "hash_share": share,
                    "main_share": main[number] / max(chain.height, 1),
                    "main_blocks": main[number],
                    "stale_blocks": made[number] - main[number],
                }
                for number, share in enumerate(shares)
            ],
        }

    def round_record(
        self, block: Block, time_s: float, worst: tuple[int, float | None]
    ) -> UnfinishedRound:
        """Return the record of a round, its future metrics and the records of its messages.

        Args:
            block: a block of the main chain, which ends the round.
            time_s: when the chain accepted the block, simulated seconds.
            worst: the largest number of releases of one participant so far, and the total epsilon
                of these releases, which is None if infinite.
        """
        height, name = block.header.height, self._reported[block.header.height]
        before = self._state_of(block.header.parent)
        aggregate = self._steps.outcome(before, block.messages).aggregate
        messages = self.message_records(block, aggregate)
        attacked = [record for record in messages if record.attack and not record.late]
        captured = 0.0
        if attacked:
            captured = sum(record.share for record in attacked) / (aggregate.shares.sum() or 1.0)
        self.judged_by = aggregate.score or self.judged_by
        record = partial(
            RoundRecord,
            round=height,
            height=height,
            block=name.hex(),
            miner=self._miners[block.header.address],
            time_s=round(time_s, 6),
            messages=len(block.messages),
            root=sum(not message.declaration.records for message in block.messages),
            used=sum(record.used for record in messages),
            byzantine=len(attacked),
            byzantine_used=sum(record.used for record in attacked),
            byzantine_share=round(float(captured), 9),
            epsilon=worst[1],
            releases=worst[0],
            stale_blocks=self._chain.stale,
            reorganisations=self._chain.reorganisations,
            seconds={stage: round(s, 6) for stage, s in self._watch.lap().items()},
        )
        is_measured = height % self._measured_every == 0 or height == self._chain.rules.rounds
        model = model_of(self._state_of(name)) if is_measured else None
        metrics = UNMEASURED if model is None else self._measure(name, model)
        return record, metrics, messages

    def message_records(self, block: Block, aggregate: Aggregate) -> list[MessageRecord]:
        """Return the records of a block's messages, then of earlier ones that no block carries."""
        name, height = self._reported[block.header.height].hex(), block.header.height
        records, scores = [], aggregate.scores
        for row, message in enumerate(block.messages):
            record = replace(
                self._released[message.id.hex()],
                block=name,
                cosine=round(float(aggregate.cosines[row]), 9),
                used=bool(aggregate.used[row]),
                share=round(float(aggregate.shares[row]), 9),
                score=float(f"{scores[row]:.9g}") if len(scores) else None,
                reason=aggregate.reasons[row],
                late=False,
            )
            self._unreported.pop(record.id, None)
            records.append(record)
        records += self.stragglers(height)
        # The table is in the order of release, which is nearly the order of rounds.
        oldest = height - self._keep
        while self._released and self._released[first := next(iter(self._released))].round < oldest:
            del self._released[first]
        return records

    def stragglers(self, before: int) -> list[MessageRecord]:
        """Return the records of messages that no block of the main chain carries.

        Each record is returned only once.

        Args:
            before: a round number. Only messages of earlier rounds are considered.
        """
        late = [record for record in self._unreported.values() if record.round < before]
        for record in late:
            del self._unreported[record.id]
        return late


class NodeTracker:
    """Records the incidents that honest compute nodes log, and the heads of all compute nodes."""

    def __init__(self, nodes: Sequence[ComputeNode]) -> None:
        self._nodes = nodes
        self._honest = [node for node in nodes if node.schedule.honest]
        self._numbers = {node.address: node.node for node in nodes}
        self._read = {node.node: (0, 0) for node in self._honest}
        self._written = 0
        self._heads = [node.chain.head for node in nodes]
        self._new_heads: list[HeadRecord] = []

    def look(self, node: int, now_s: float) -> None:
        """Record the head of a compute node if the head has changed; data holders are ignored."""
        if node >= len(self._nodes):
            return
        chain = self._nodes[node].chain
        if chain.head != self._heads[node]:
            self._heads[node] = chain.head
            head = HeadRecord(chain.height, node, round(now_s, 6), chain.head.hex())
            self._new_heads.append(head)

    def new(self) -> Iterator[tuple[str, RefusalRecord | EvidenceRecord | HeadRecord]]:
        """Yield the kind and the record of each new incident, then of each new head.

        The kinds are ``refusal``, ``evidence`` and ``head``.
        """
        for node in self._honest:
            refusals, evidence = self._read[node.node]
            found = node.incidents
            known = len(found.refusals), len(found.evidence)
            if known == (refusals, evidence):
                continue
            self._read[node.node] = known
            fresh: list[tuple[str, RefusalRecord | EvidenceRecord]] = [
                *(("refusal", self._refusal(node.node, r)) for r in found.refusals[refusals:]),
                *(("evidence", self._evidence(node.node, e)) for e in found.evidence[evidence:]),
            ]
            yield from fresh[: KEPT_INCIDENTS - self._written]
            self._written = min(KEPT_INCIDENTS, self._written + len(fresh))
        heads, self._new_heads = self._new_heads, []
        yield from (("head", head) for head in heads)

    def figures(self) -> dict[str, Any]:
        """Return the numbers of refusals, evidence and acts of misconduct for the manifest."""
        pairs = {
            (e.first.header.hash, e.second.header.hash)
            for node in self._honest
            for e in node.incidents.evidence
        }
        return {
            "refused": sum(node.incidents.refused for node in self._honest),
            "evidence": len({frozenset(pair) for pair in pairs}),
            "misconduct": [
                {"node": node.node, **counts}
                for node in self._nodes
                for counts in node.schedule.counters()
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
            round=said.first.header.height,
            node=node,
            time_s=round(said.time_s, 6),
            maker=self._numbers.get(said.first.header.address),
            first=said.first.header.hash.hex(),
            second=said.second.header.hash.hex(),
            first_signed=encode_start(said.first).hex(),
            second_signed=encode_start(said.second).hex(),
        )

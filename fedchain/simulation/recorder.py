"""Recorder: it makes the record of each round and of each message.

The simulator knows which participant is behind each pseudonym, so its records name them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedchain.arrays import Vector
from fedchain.learning.evaluation import UNMEASURED, Measured
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.chain import Chain
from fedchain.ledger.chain.state import State
from fedchain.results import MessageRecord, RoundRecord
from fedchain.timing import Stopwatch
from fedchain.transition import Outcome, Steps, model_of

Measure = Callable[[bytes, Vector], Future[Measured]]
"""(block hash, the model after it (d,)) to the metrics, which are computed in the background."""

NOBODY = -1
"""Maker of the genesis block."""


@dataclass(frozen=True)
class Released:
    """A message that has left a participant; only the simulator knows which one."""

    holder: int
    """The participant: a data holder, or a group."""
    id: bytes
    """Id of the message, 32 bytes."""
    parent: bytes
    """Hash of the block whose weights it used, 32 bytes."""
    round: int
    """Height of the block that may carry it."""
    norm: float
    """Norm s_k of the release."""
    attack: str
    """Name of the attack in it, or empty; several names are joined by commas."""
    releases: int
    """Number of releases of the participant, this one included."""
    epsilon: float | None
    """Tight total epsilon of the participant after this release; None: infinite."""
    members: int = 1
    """Number of holders whose gradients are in it."""


class Recorder:
    """Makes the records of one chain, and knows which participant sent which message."""

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
            chain: the reported chain.
            steps: the transition; its outcomes say which messages a rule used.
            state_of: block hash to the state after the block.
            measure: measures the metrics of a block's weights.
            measured_every: rounds between two measurements; the last round is always measured.
            miners: number of the compute node by address.
            watch: counts wall time by stage.
            keep: rounds below the head whose releases are remembered; no reorganisation is deeper.
        """
        self._keep = keep
        self._chain, self._steps, self._state_of = chain, steps, state_of
        self._measure, self._measured_every = measure, measured_every
        self._miners, self._watch = miners, watch
        self._reported = [chain.head]
        self._makers = [NOBODY]
        self._released: dict[bytes, Released] = {}
        self._unreported: dict[bytes, Released] = {}
        self._worst: Released | None = None

    def note(self, released: Released) -> None:
        """Note that a message has left its participant, whether or not a block will carry it."""
        self._released[released.id] = self._unreported[released.id] = released
        if self._worst is None or released.releases > self._worst.releases:
            self._worst = released

    def new_blocks(self) -> list[Block]:
        """Return the blocks that have joined the main chain since the last call, lowest first."""
        name, height, fresh = self._chain.head, self._chain.height, []
        while height >= len(self._reported) or self._reported[height] != name:
            fresh.append(name)
            name, height = self._chain.link(name).header.parent, height - 1
        # Another block may carry the messages of the blocks that left the main chain.
        for lost in self._reported[height + 1 :]:
            names = (message.id for message in self._chain.block(lost).messages)
            self._unreported |= {name: self._released[name] for name in names}
        blocks = [self._chain.block(name) for name in reversed(fresh)]
        self._reported[height + 1 :] = reversed(fresh)
        self._makers[height + 1 :] = [self._miners[block.header.address] for block in blocks]
        return blocks

    def tally(self, shares: Sequence[float]) -> dict[str, Any]:
        """Return the numbers of main and stale blocks, in all and of each compute node.

        Args:
            shares: share of each compute node in the hash power; they sum to 1.
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

    def round_record(self, block: Block, time_s: float) -> tuple[RoundRecord, Future[Measured]]:
        """Return the record of the round that a block ended, and a future of its metrics."""
        height, name = block.header.height, self._reported[block.header.height]
        used = self._outcome(block).aggregate.used
        attacks = [self._released[m.id].attack != "" for m in block.messages]
        attacked = np.array(attacks, dtype=np.bool_)
        record = RoundRecord(
            round=height,
            height=height,
            block=name.hex(),
            miner=self._miners[block.header.address],
            time_s=round(time_s, 6),
            messages=len(block.messages),
            used=int(np.count_nonzero(used)),
            byzantine=int(np.count_nonzero(attacked)),
            byzantine_used=int(np.count_nonzero(used & attacked)),
            epsilon=self._worst.epsilon if self._worst else None,
            releases=self._worst.releases if self._worst else 0,
            stale_blocks=self._chain.stale,
            reorganisations=self._chain.reorganisations,
            seconds={stage: round(s, 6) for stage, s in self._watch.lap().items()},
        )
        return record, self._metrics(name, height)

    def message_records(self, block: Block) -> list[MessageRecord]:
        """Return the records of a block's messages, and of older messages that are in no block."""
        aggregate = self._outcome(block).aggregate
        name = self._reported[block.header.height]
        records = []
        for row, message in enumerate(block.messages):
            used, reason = bool(aggregate.used[row]), aggregate.reasons[row]
            released = self._released[message.id]
            cosine = round(float(aggregate.cosines[row]), 9)
            records.append(_record(released, name, cosine, used, reason, late=False))
        for message in block.messages:
            self._unreported.pop(message.id, None)
        late = self.stragglers(block.header.height)
        self._forget(block.header.height - self._keep)
        return records + late

    def stragglers(self, before: int) -> list[MessageRecord]:
        """Return the messages of earlier rounds that no block carries; each is returned once.

        Only blocks of the main chain count: a block that a reorganisation has removed from it
        carries nothing.

        Args:
            before: the first round whose messages are not returned.
        """
        late = [released for released in self._unreported.values() if released.round < before]
        for released in late:
            del self._unreported[released.id]
        return [_record(each, each.parent, None, False, "late", late=True) for each in late]

    def _metrics(self, name: bytes, height: int) -> Future[Measured]:
        """Start to measure a block's weights, if its round is one that is measured."""
        if height % self._measured_every == 0 or height == self._chain.rules.rounds:
            return self._measure(name, model_of(self._state_of(name)))
        return UNMEASURED

    def _outcome(self, block: Block) -> Outcome:
        return self._steps.outcome(self._state_of(block.header.parent), block.messages)

    def _forget(self, before: int) -> None:
        """Forget the releases of rounds before this one."""
        # The table is in the order of release, which is nearly the order of rounds.
        while (
            self._released and self._released[oldest := next(iter(self._released))].round < before
        ):
            del self._released[oldest]


def finite(epsilon: float) -> float | None:
    """Return epsilon, or None if it is infinite, which is no guarantee at all.

    >>> finite(math.inf) is None
    True
    """
    return epsilon if math.isfinite(epsilon) else None


def _record(
    released: Released, block: bytes, cosine: float | None, used: bool, reason: str, late: bool
) -> MessageRecord:
    return MessageRecord(
        round=released.round,
        block=block.hex(),
        holder=released.holder,
        id=released.id.hex(),
        norm=released.norm,
        cosine=cosine,
        used=used,
        reason=reason,
        epsilon=released.epsilon,
        attack=released.attack,
        late=late,
        members=released.members,
    )

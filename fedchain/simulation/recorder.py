"""The observer: what the simulator, who sees through every pseudonym, writes down of a round."""

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
from fedchain.ledger.chain.message import message_id
from fedchain.ledger.chain.state import State
from fedchain.results import MessageRecord, RoundRecord
from fedchain.timing import Stopwatch
from fedchain.transition import Outcome, Steps, model_of

Measure = Callable[[bytes, Vector], Future[Measured]]
"""(block hash, the model after it (d,)) to the metrics, which may take their time."""

NOBODY = -1
"""Who made genesis."""


@dataclass(frozen=True)
class Released:
    """A message that has left a holder; only the simulator knows who sent it."""

    holder: int
    """The data holder, or the group."""
    id: bytes
    """Id of what it sent, 32 bytes."""
    parent: bytes
    """Hash of the block that it answered."""
    round: int
    """Height of the block that may carry it."""
    norm: float
    """s_k."""
    attack: str
    """The attack behind it, or empty."""
    releases: int
    """Releases of the holder up to and with this one."""
    epsilon: float | None
    """The holder's tight total after this release."""
    members: int = 1
    """Holders whose gradients are in it."""


class Recorder:
    """Follows one chain, and knows who sent which message."""

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
        """Begin at genesis.

        Args:
            chain: the view that is followed.
            steps: tells which messages a rule used.
            state_of: state after a block.
            measure: metrics of a block's weights.
            measured_every: rounds between two measurements; the last round always is measured.
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
        self._untold: dict[bytes, Released] = {}
        self._worst: Released | None = None

    def note(self, released: Released) -> None:
        """Note that a message has left its holder, whatever becomes of it."""
        self._released[released.id] = self._untold[released.id] = released
        if self._worst is None or released.releases > self._worst.releases:
            self._worst = released

    def new_blocks(self) -> list[Block]:
        """Return the blocks that are new on the main chain, lowest first."""
        name, height, fresh = self._chain.head, self._chain.height, []
        while height >= len(self._reported) or self._reported[height] != name:
            fresh.append(name)
            name, height = self._chain.link(name).header.parent, height - 1
        for lost in self._reported[height + 1 :]:  # what became of their messages is open again
            names = map(message_id, self._chain.block(lost).messages)
            self._untold |= {name: self._released[name] for name in names}
        blocks = [self._chain.block(name) for name in reversed(fresh)]
        self._reported[height + 1 :] = reversed(fresh)
        self._makers[height + 1 :] = [self._miners[block.header.address] for block in blocks]
        return blocks

    def tally(self, shares: Sequence[float]) -> dict[str, Any]:
        """Return the figures of the chain: main and stale blocks, in all and of each node.

        Args:
            shares: of each compute node in all work.
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
        """Return the record of the round that this block ended, and its metrics to come."""
        height, name = block.header.height, self._reported[block.header.height]
        used = self._outcome(block).aggregate.used
        attacks = [self._released[message_id(m)].attack != "" for m in block.messages]
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
        """Return what became of a block's messages, and of older ones that are in no block."""
        aggregate = self._outcome(block).aggregate
        name = self._reported[block.header.height]
        records = []
        for row, message in enumerate(block.messages):
            used, reason = bool(aggregate.used[row]), aggregate.reasons[row]
            released = self._released[message_id(message)]
            cosine = round(float(aggregate.cosines[row]), 9)
            records.append(_record(released, name, cosine, used, reason, late=False))
        for message in block.messages:
            self._untold.pop(message_id(message), None)
        late = self.stragglers(block.header.height)
        self._forget(block.header.height - self._keep)
        return records + late

    def stragglers(self, before: int) -> list[MessageRecord]:
        """Return the messages of rounds before this one that no block carries; each only once.

        A block that a reorganisation has taken off the main chain carries nothing.
        """
        late = [released for released in self._untold.values() if released.round < before]
        for released in late:
            del self._untold[released.id]
        return [_record(each, each.parent, None, False, "late", late=True) for each in late]

    def _metrics(self, name: bytes, height: int) -> Future[Measured]:
        if height % self._measured_every == 0 or height == self._chain.rules.rounds:
            return self._measure(name, model_of(self._state_of(name)))
        return UNMEASURED

    def _outcome(self, block: Block) -> Outcome:
        return self._steps.outcome(self._state_of(block.header.parent), block.messages)

    def _forget(self, before: int) -> None:
        # They stand in order of their release, which is nearly that of their rounds.
        while (
            self._released and self._released[oldest := next(iter(self._released))].round < before
        ):
            del self._released[oldest]


def finite(epsilon: float) -> float | None:
    """Return the epsilon, or None where it is infinite: no guarantee at all.

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

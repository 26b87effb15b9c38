"""Published releases of a run, which an attacker reads from the messages of its ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Vector
from fedchain.errors import RunRefused
from fedchain.ledger.chain.message import Message
from fedchain.ledger.storage.store import Store
from fedchain.results import LEDGER, Run


@dataclass(frozen=True)
class Released:
    """One release of an honest data holder."""

    holder: int
    """The holder that made it; the simulator knows it, a reader of the chain does not."""
    message: Message
    """The message that a block carries."""

    @property
    def vector(self) -> Vector:
        """The noisy mean gradient s_k g_k*, (d,), from the message."""
        integers, message = self.message.direction.astype(np.float64), self.message
        return np.asarray(integers * (message.norm / 2.0**message.exponent))


def releases_of(run: Run) -> Iterator[Released]:
    """Yield the releases of a run's honest holders, from every block, stale ones included.

    Args:
        run: finished, with a ledger that has its directions.

    Raises:
        RunRefused: the directions were not kept.
        LedgerError: the ledger is damaged.
    """
    rows = run.messages
    honest = {row["id"]: int(row["holder"]) for row in rows if not row["attack"]}
    with Store.open(run.folder / LEDGER, writable=False) as store:
        for block in store.blocks():
            if not store.is_whole(block.header.height):
                raise RunRefused(
                    f"{run.folder}: the directions of block {block.header.height} were not kept; "
                    "an audit reads them all: disk.keep_messages must be all"
                )
            for message in block.messages:
                holder = honest.pop(message.id.hex(), None)
                if holder is not None:
                    yield Released(holder, message)

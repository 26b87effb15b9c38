"""Groups of holders with given gradients, and a spy on the numbers that their assembler gets."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from small_runs import small

from fedchain.agreement import mechanism_of
from fedchain.ledger.chain.crypto import public_key_of
from fedchain.ledger.chain.message import Message
from fedchain.nodes.holders import group_pool as group
from fedchain.nodes.holders.group_pool import GroupPool
from fedchain.nodes.holders.identity import RoundKey
from fedchain.nodes.holders.pool_parts import PoolParts
from fedchain.nodes.holders.release import ReleaseContext, ReleaseRequest
from fedchain.scenario import Scenario
from fedchain.secure_aggregation import assembler

SECRET = bytes(range(32))
IDENTITY = RoundKey(SECRET, public_key_of(SECRET), None)
SHARED = {"kind": "skellam", "noise_multiplier": 4.0, "delta": 1e-3, "clip": 0.5}
FIVE = {"size": 5, "honest": 0.8, "dropout": 0.2}


def grouped(rounds: int = 6, groups=FIVE, **overrides) -> Scenario:
    """Return a scenario: ten holders of the breast cancer table, in two groups of five."""
    values = {
        "nodes.groups": groups,
        "privacy": SHARED,
        "aggregation": {"kind": "mean"},
        "attacks": [],
        "ledger.storage": "int32",
    }
    return small(rounds, **{**values, **overrides})


def asked(round_: int = 3, number: int = 0, parent: bytes = b"p" * 32) -> ReleaseRequest:
    """Return a request to one group for its release."""
    return ReleaseRequest(
        ReleaseContext(
            secret=bytes(32), chain_id=bytes(32), parent=parent, round=round_, holder=number
        ),
        IDENTITY,
    )


def pool_of(scenario: Scenario, rows, records=None) -> GroupPool:
    """Return groups whose members have the gradients ``rows``, (holders, parameters)."""
    rows = np.asarray(rows, dtype=np.float32)
    counts = [100] * len(rows) if records is None else records
    task = SimpleNamespace(holders=[SimpleNamespace(count=count) for count in counts])
    parts = PoolParts(
        gradients=lambda _, who, *__: rows[who],
        scenario=scenario,
        task=task,
        mechanism=mechanism_of(scenario, rows.shape[1]),
    )
    return GroupPool(parts)


def said(made: GroupPool, *groups: ReleaseRequest) -> list[Message | None]:
    """Return the messages that groups release."""
    return list(made(np.zeros(1), groups).messages)


def read(message: Message) -> np.ndarray:
    """Return the update in a message, as floating-point numbers."""
    return message.direction / 2.0**message.exponent * message.norm


class Spy:
    """Records the numbers that members put in, and the masked numbers that their assembler gets."""

    def __init__(self, patch) -> None:
        self.numbers, self.masked, self.openings, self.sessions = [], [], [], []
        true_summed, true_opened = group.summed, assembler.opened

        def summed(members, session, numbers, lost):
            self.numbers.append({n: words.copy() for n, words in numbers.items()})
            self.sessions.append(session)
            return true_summed(members, session, numbers, lost)

        def opened(session, mask_keys, masked, openings):
            self.masked.append(masked)
            self.openings.append((mask_keys, openings))
            return true_opened(session, mask_keys, masked, openings)

        patch.setattr(group, "summed", summed)
        patch.setattr(assembler, "opened", opened)

"""Commitment: computes a run's secret root, and the hash of data and seed in the genesis block.

All noise and keys come from the secret root. Runs with different data or rules have different
secret roots.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from fedchain.learning.task import Records, Task
from fedchain.ledger.chain.rules import ZERO, Rules, encode_rules
from fedchain.randomness import digest
from fedchain.scenario import Scenario


@dataclass(frozen=True)
class HeldData:
    """Summary of the holders' data."""

    digest: bytes
    """SHA-256 of the inputs, targets and record numbers of all holders, and of public records (32
    bytes)."""
    counts: tuple[int, ...]
    """Number of records of each holder."""


def held_data(task: Task) -> HeldData:
    """Read the records of every holder once, in order of holders, and return digest and counts.

    Public records of the task (``Task.subspace`` and ``Task.root``) are hashed too.

    >>> one = Records(np.zeros((2, 3), np.float32), np.zeros(2, np.int64))
    >>> other = Records(np.zeros((3, 2), np.float32), np.zeros(3, np.int64))
    >>> _digest_of([one]) == _digest_of([other])
    False
    """
    # Records are read even if a task builds them on demand: the digest must cover the data itself.
    counts: list[int] = []

    def counted() -> Iterator[Records]:
        for records in task.holders:
            counts.append(records.count)
            yield records
        if task.subspace is not None:
            yield task.subspace.public
        if task.root is not None:
            yield task.root

    return HeldData(_digest_of(counted()), tuple(counts))


def _digest_of(held: Iterable[Records]) -> bytes:
    whole = hashlib.sha256(b"fedchain:data")
    for records in held:
        for array in (records.inputs, records.targets, records.record):
            if array is None:
                whole.update(b"|")
                continue
            # The shape comes first, so that the same bytes in another shape are other data.
            whole.update(f"{array.dtype.str}{array.shape}|".encode())
            whole.update(array.reshape(-1).view(np.uint8).data)
    return whole.digest()


def secrets_of(
    scenario: Scenario, rules: Rules, data: bytes, secret: bytes | None
) -> tuple[bytes, bytes]:
    """Return a run's secret root and commitment, 32 bytes each.

    Without ``secret``, whoever guesses seed and records can confirm the guess with the commitment.

    Args:
        scenario: the scenario; only its seed is read.
        rules: the chain's rules; commitment and identity root are ignored.
        data: the digest of the data of all holders.
        secret: 256 secret bits of the user; if None, the seed takes their place.
    """
    source = scenario.seed if secret is None else secret
    agreed = encode_rules(replace(rules, commitment=ZERO, identity_root=ZERO))
    names = scenario.seed, agreed, data
    blind = digest(source, "blind", *names)
    committed = hashlib.sha256(blind + data + scenario.seed.to_bytes(8, "big")).digest()
    return digest(source, "secret root", *names), committed

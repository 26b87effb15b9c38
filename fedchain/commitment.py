"""Commitment to data and seed, which genesis holds, and the secret root of all noise and keys.

Both depend on everything that is agreed. So two runs that differ in anything that is agreed or in
their data share no secret draw, though their seed is the same. Who attacks is not agreed: honest
holders send the same in both runs. Holders with poisoned records, and groups with attackers, draw
from roots of their own (``Colluders.secret_of``).
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
    """What a run commits to of the data of its holders."""

    digest: bytes
    """SHA-256 of the inputs, targets and record numbers of every holder, in order, 32 bytes."""
    counts: tuple[int, ...]
    """Number of records of each holder."""


def held_data(task: Task) -> HeldData:
    """Read the records of every holder once, in order, and return their digest and numbers.

    A task may build a holder's records when they are read. Then each is built here once more and
    dropped again: a commitment that leaves holders out, or hashes the recipe of the data in place
    of the data, would not say what it claims. Records that are public but steer every release
    (``Task.subspace``) are hashed too. A task without data has the digest of nothing.

    >>> one = Records(np.zeros((2, 3), np.float32), np.zeros(2, np.int64))
    >>> other = Records(np.zeros((3, 2), np.float32), np.zeros(3, np.int64))
    >>> _digest_of([one]) == _digest_of([other])
    False
    """
    counts: list[int] = []

    def counted() -> Iterator[Records]:
        for records in task.holders:
            counts.append(records.count)
            yield records
        if task.subspace is not None:
            yield task.subspace.public

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
    """Return the secret root of a run, from which all its secret draws come, and the commitment.

    The commitment is a hash of data and seed together with 256 bits that nobody can guess who does
    not know the secret: a plain hash of private records would be a release without noise. Without
    a secret the 256 bits follow from the seed, so that whoever guesses seed and records can
    confirm them.

    Args:
        scenario: its seed, which genesis does not tell.
        rules: what is agreed; commitment and identity root are not read.
        data: the digest of the data of all holders.
        secret: 256 bits of the user's own; None: everything comes from the seed.

    Returns:
        The secret root and the commitment, 32 bytes each.
    """
    source = scenario.seed if secret is None else secret
    agreed = encode_rules(replace(rules, commitment=ZERO, identity_root=ZERO))
    names = scenario.seed, agreed, data
    blind = digest(source, "blind", *names)
    committed = hashlib.sha256(blind + data + scenario.seed.to_bytes(8, "big")).digest()
    return digest(source, "secret root", *names), committed

"""Pseudonyms: a fresh key for each holder and round, registered before the first round."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from fedchain.ledger.chain.merkle import InclusionProof, Tree
from fedchain.ledger.chain.message import identity_leaves, identity_of
from fedchain.ledger.chain.rules import ZERO
from fedchain.ledger.chain.signature import public_key_of
from fedchain.nodes.holders.cohort_sampler import Sampling
from fedchain.randomness import digest

REMEMBERED = 2
"""Rounds whose identities are kept: a holder asks for its own several times in a round."""


@dataclass(frozen=True)
class Identity:
    """What a holder speaks with in one round."""

    secret: bytes
    """Ed25519 secret key, 32 bytes; known to the holder alone."""
    public_key: bytes
    """Ed25519 public key, 32 bytes; its SHA-256 is P*."""
    proof: InclusionProof | None
    """Shows that P* is registered for this round; None where it is not."""


class Identities:
    """The keys of the holders for the rounds that they are asked in, and their registration.

    The registered list is ordered by round and P*, which is a hash: the order tells nothing
    about who stands behind two entries, so a reader of the chain cannot link two rounds. Only
    the tree is kept; the keys of a round are made again when the round comes.

    >>> names = Identities(0, Sampling(seed=0, holders=2, asked=2, rounds=3), registered=True)
    >>> names.of(1, 3).public_key == names.of(1, 2).public_key
    False
    """

    def __init__(self, seed: int, sampling: Sampling, registered: bool) -> None:
        self._seed, self._sampling = seed, sampling
        self._of_round = functools.lru_cache(REMEMBERED)(self._made)
        self._tree = Tree(identity_leaves(self._pairs())) if registered else None

    @property
    def root(self) -> bytes:
        """What genesis commits to, 32 bytes; zero where identities are open."""
        return self._tree.root if self._tree else ZERO

    def of(self, holder: int, round_: int) -> Identity:
        """Return the identity of a holder in a round, unregistered where it is not asked."""
        if not 1 <= round_ <= self._sampling.rounds:
            return self._unregistered(holder, round_)
        return self._of_round(round_).get(holder) or self._unregistered(holder, round_)

    def _pairs(self) -> Iterator[tuple[int, bytes]]:
        for round_ in range(1, self._sampling.rounds + 1):
            keys = (self._public_key(k, round_) for k in self._sampling.holders_of(round_))
            for identity in sorted(map(identity_of, keys)):
                yield round_, identity

    def _made(self, round_: int) -> dict[int, Identity]:
        holders = self._sampling.holders_of(round_)
        made = {holder: self._unregistered(holder, round_) for holder in holders}
        if self._tree is None:
            return made
        first = (round_ - 1) * len(holders)
        order = sorted(made.items(), key=lambda item: identity_of(item[1].public_key))
        for place, (holder, identity) in enumerate(order, first):
            made[holder] = Identity(identity.secret, identity.public_key, self._tree.proof(place))
        return made

    def _unregistered(self, holder: int, round_: int) -> Identity:
        return Identity(self._secret(holder, round_), self._public_key(holder, round_), None)

    def _public_key(self, holder: int, round_: int) -> bytes:
        return public_key_of(self._secret(holder, round_))

    def _secret(self, holder: int, round_: int) -> bytes:
        return digest(self._seed, "identity", holder, round_)

"""Identities: a fresh key for each participant and round, registered before the first round."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from fedchain.ledger.chain.crypto import InclusionProof, Tree, public_key_of
from fedchain.ledger.chain.message import identity_leaf, identity_of
from fedchain.ledger.chain.rules import ZERO
from fedchain.nodes.holders.cohort_sampler import Sampling
from fedchain.randomness import digest

REMEMBERED = 2
"""Number of rounds whose identities are cached: each is needed several times in its round."""


@dataclass(frozen=True)
class Identity:
    """The key of a participant for one round, and the proof that it is registered."""

    secret: bytes
    """Ed25519 secret key, 32 bytes; only the participant knows it."""
    public_key: bytes
    """Ed25519 public key, 32 bytes; its SHA-256 is the pseudonym P*."""
    proof: InclusionProof | None
    """Proof that P* is registered for this round; None if it is not."""


class Identities:
    """The keys of the participants for their rounds, and the registration of these keys.

    The registered list is ordered by round and P*. P* is a hash, so the order does not reveal
    which participant is behind an entry, and a reader of the chain cannot link two rounds. Only
    the Merkle tree is kept in memory; the keys of a round are derived again when they are needed.

    >>> names = Identities(0, Sampling(seed=0, holders=2, asked=2, rounds=3), registered=True)
    >>> names.of(1, 3).public_key == names.of(1, 2).public_key
    False
    """

    def __init__(self, seed: int, sampling: Sampling, registered: bool) -> None:
        self._seed, self._sampling = seed, sampling
        self._of_round = functools.lru_cache(REMEMBERED)(self._identities_of)
        self._tree = Tree(self._leaves()) if registered else None

    @property
    def root(self) -> bytes:
        """Root of the tree, to which genesis commits, 32 bytes; zero if identities are open."""
        return self._tree.root if self._tree else ZERO

    def of(self, holder: int, round_: int) -> Identity:
        """Return the identity of a participant in a round.

        It is unregistered if the participant is not in the cohort of the round, or if identities
        are open.
        """
        if not 1 <= round_ <= self._sampling.rounds:
            return self._unregistered(holder, round_)
        return self._of_round(round_).get(holder) or self._unregistered(holder, round_)

    def _leaves(self) -> Iterator[bytes]:
        """Yield the leaves of all rounds, in the order of the registered list."""
        for round_ in range(1, self._sampling.rounds + 1):
            keys = (self._public_key(k, round_) for k in self._sampling.holders_of(round_))
            for identity in sorted(map(identity_of, keys)):
                yield identity_leaf(round_, identity)

    def _identities_of(self, round_: int) -> dict[int, Identity]:
        """Return the identities of the cohort of a round, by participant."""
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

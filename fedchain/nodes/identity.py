"""Pseudonyms: a fresh key for each holder and round, registered before the first round."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from fedchain.ledger.merkle import InclusionProof, Tree
from fedchain.ledger.message import identity_leaves, identity_of
from fedchain.ledger.rules import ZERO
from fedchain.ledger.signature import public_key_of
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
    """Shows that P* is registered for this round; None where identities are open."""


class Identities:
    """The keys of all holders for all rounds, and their registration.

    The registered list is ordered by P*, which is a hash: the order tells nothing about who
    stands behind two entries, so a reader of the chain cannot link two rounds.

    >>> names = Identities(seed=0, holders=2, rounds=3, registered=True)
    >>> names.of(1, 3).public_key == names.of(1, 2).public_key
    False
    """

    def __init__(self, seed: int, holders: int, rounds: int, registered: bool) -> None:
        self._seed = seed
        self._of = functools.lru_cache(REMEMBERED * holders)(self._made)
        self._tree: Tree | None = None
        self._index: dict[bytes, int] = {}
        if registered:
            pairs = sorted(
                (number, identity_of(public_key_of(self._secret(holder, number))))
                for holder in range(holders)
                for number in range(1, rounds + 1)
            )
            self._tree = Tree(identity_leaves(pairs))
            self._index = {identity: place for place, (_, identity) in enumerate(pairs)}

    @property
    def root(self) -> bytes:
        """What genesis commits to, 32 bytes; zero where identities are open."""
        return self._tree.root if self._tree else ZERO

    def of(self, holder: int, round_: int) -> Identity:
        """Return the identity of a holder in a round."""
        return self._of(holder, round_)

    def _made(self, holder: int, round_: int) -> Identity:
        secret = self._secret(holder, round_)
        public_key = public_key_of(secret)
        place = self._index.get(identity_of(public_key))
        proof = self._tree.proof(place) if self._tree and place is not None else None
        return Identity(secret, public_key, proof)

    def _secret(self, holder: int, round_: int) -> bytes:
        return digest(self._seed, "identity", holder, round_)

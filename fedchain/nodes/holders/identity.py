"""Identities: the participants of each round, and a fresh key for each participant.

The participants of a round are its cohort, and each of them has one slot of the network. Cohorts
are public, so the sampling of cohorts does not amplify privacy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fedchain.ledger.chain.crypto import InclusionProof, Tree, public_key_of
from fedchain.ledger.chain.message import identity_leaf, identity_of
from fedchain.ledger.chain.rules import ZERO
from fedchain.randomness import digest, stream

CACHED_COHORTS = 4
"""Number of rounds whose cohort is cached."""
CACHED_KEYS = 2
"""Number of rounds whose keys are cached."""


@dataclass(frozen=True)
class Sampling:
    """The cohorts of a run: which participants take part in each round.

    >>> cohorts = Sampling(seed=0, holders=1000, asked=10, rounds=50)
    >>> len(set(cohorts.holders_of(1))), cohorts.holders_of(1) == cohorts.holders_of(2)
    (10, False)
    """

    seed: int
    """The scenario's seed."""
    holders: int
    """Number of registered participants: groups if holders form groups, otherwise holders."""
    asked: int
    """Number of participants in a round."""
    rounds: int
    """Number of rounds."""
    root: bool = False
    """Whether a public root takes part in every round, besides the participants drawn."""

    def holders_of(self, round_: int) -> Sequence[int]:
        """Return the ids of the participants of a round, by slot; the public root is the last."""
        if self.asked == self.holders:
            return range(self.holders + self.root)
        drawn = _cohort(self.seed, self.holders, self.asked, round_)
        return (*drawn, self.holders) if self.root else drawn

    @functools.cached_property
    def most_releases(self) -> int:
        """Largest number of rounds in which one participant takes part."""
        if self.asked == self.holders:
            return self.rounds
        times = np.zeros(self.holders, dtype=np.uint32)
        for round_ in range(1, self.rounds + 1):
            times[_draw(self.seed, self.holders, self.asked, round_)] += 1
        return int(times.max())


def _draw(seed: int, holders: int, asked: int, round_: int) -> npt.NDArray[np.int64]:
    return stream(seed, "cohort", round_).choice(holders, asked, replace=False)


@functools.lru_cache(CACHED_COHORTS)
def _cohort(seed: int, holders: int, asked: int, round_: int) -> tuple[int, ...]:
    return tuple(_draw(seed, holders, asked, round_).tolist())


@dataclass(frozen=True)
class RoundKey:
    """The key of a participant for one round, and the proof that the key is registered."""

    secret: bytes = field(repr=False)
    """Ed25519 secret key, 32 bytes."""
    public_key: bytes
    """Ed25519 public key, 32 bytes. The SHA-256 of the public key is the pseudonym P*."""
    proof: InclusionProof | None
    """Proof that the pseudonym and the number of records are registered for this round; None: they
    are not registered."""


class Identities:
    """The keys of the participants for their rounds, and the registration of these keys.

    The registered list is ordered by round and pseudonym P*, so the order reveals no participant.
    Keys link no two rounds of a participant. Its registered number of records can, and so can its
    messages: with momentum, successive ones are nearly parallel (audit ``linkability``).

    >>> everybody = Sampling(seed=0, holders=2, asked=2, rounds=3)
    >>> names = Identities(bytes(32), everybody, lambda holder: 60)
    >>> names.of(1, 3).public_key == names.of(1, 2).public_key
    False
    """

    def __init__(
        self, secret: bytes, sampling: Sampling, records_of: Callable[[int], int] | None
    ) -> None:
        """Register the keys of all rounds.

        Args:
            secret: the secret root of the run, from which all keys are drawn.
            sampling: the participants of each round.
            records_of: returns the registered number of records of a participant, 0 for the public
                root; None: identities are open, so nothing is registered.
        """
        self._secret, self._sampling = secret, sampling
        self._of_round = functools.lru_cache(CACHED_KEYS)(self._keys_of)
        self._tree = Tree(self._leaves(records_of)) if records_of else None
        self.root = self._tree.root if self._tree else ZERO
        """Root of the Merkle tree of registered keys, 32 bytes; zero if identities are open."""

    def of(self, holder: int, round_: int) -> RoundKey:
        """Return the key of a participant in a round.

        The key has no proof if the participant is not in the cohort, or if identities are open.
        """
        registered = 1 <= round_ <= self._sampling.rounds
        found = self._of_round(round_).get(holder) if registered else None
        return found or self._unregistered(holder, round_)

    def _leaves(self, records_of: Callable[[int], int]) -> Iterator[bytes]:
        """Yield the leaves of all rounds, in the order of the registered list."""
        for round_ in range(1, self._sampling.rounds + 1):
            holders = self._sampling.holders_of(round_)
            names = [(identity_of(self._unregistered(k, round_).public_key), k) for k in holders]
            for identity, holder in sorted(names):
                yield identity_leaf(round_, identity, records_of(holder))

    def _keys_of(self, round_: int) -> dict[int, RoundKey]:
        """Return the keys of the cohort of a round, by participant id."""
        holders = self._sampling.holders_of(round_)
        keys = {holder: self._unregistered(holder, round_) for holder in holders}
        if self._tree is None:
            return keys
        first = (round_ - 1) * len(holders)
        order = sorted(keys.items(), key=lambda item: identity_of(item[1].public_key))
        for place, (holder, key) in enumerate(order, first):
            keys[holder] = RoundKey(key.secret, key.public_key, self._tree.proof(place))
        return keys

    def _unregistered(self, holder: int, round_: int) -> RoundKey:
        secret = digest(self._secret, "identity", holder, round_)
        return RoundKey(secret, public_key_of(secret), None)

"""A member of a group: it sends its numbers under masks, and helps to take masks off the sum."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from fedchain.errors import TooFewMembers
from fedchain.secure_aggregation.masks import (
    KeyPair,
    Words,
    add_pair_mask,
    agreed,
    derived,
    key_pair,
    mask,
)
from fedchain.secure_aggregation.shamir import SHARE_BYTES, polynomial, share_at

_TAG_BYTES = 16
"""What a seal adds to a letter."""


@dataclass(frozen=True)
class Session:
    """One attempt at one sum: what every member knows before it begins."""

    name: bytes
    """32 bytes that no other session has."""
    channels: tuple[bytes, ...]
    """X25519 public key of each member, the same for a whole run; member k has number k + 1."""
    threshold: int
    """Members that must be there in every step: fewer open nothing."""

    def __post_init__(self) -> None:
        if not len(self.channels) < 2 * self.threshold <= 2 * len(self.channels):
            raise ValueError(
                f"threshold: {self.threshold} of {len(self.channels)} members; more than half of "
                "them, and at most all, are allowed"
            )

    @property
    def numbers(self) -> range:
        """The members' numbers, from 1: the points of their shares."""
        return range(1, len(self.channels) + 1)

    def check(self, numbers: Set[int], step: str) -> None:
        """See that enough members are there.

        Raises:
            TooFewMembers: they are not.
        """
        if len(numbers) < self.threshold:
            raise TooFewMembers(
                f"{step}: {len(numbers)} of {len(self.channels)} members are there; "
                f"at least {self.threshold} must be, nothing is opened"
            )


@dataclass(frozen=True)
class Opening:
    """What a member says in the last step: of each other member one share of one of two secrets."""

    seeds: Mapping[int, int]
    """Shares of the own masks' seeds of those whose numbers are in the sum."""
    keys: Mapping[int, int]
    """Shares of the secret mask keys of those who were lost before they sent their numbers."""


class Member:
    """One member in one session; it never says both of another member's two secrets.

    Its numbers go out under a mask for each pair, which cancel in the sum, and a mask of its own.
    Who collects them needs the own masks of those who are in the sum, and the pair masks of those
    who are not: of each member one of the two, from a threshold of shares.

    Reference:
        Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning",
        CCS 2017, figure 4, for one who collects as the protocol says but is curious.
    """

    def __init__(self, session: Session, number: int, channel: KeyPair, secret: bytes) -> None:
        """Enter a session.

        Args:
            session: what all members know.
            number: its own, from 1.
            channel: its key for the run.
            secret: 32 bytes of this session alone: keys, seeds and shares follow from it.
        """
        self._session, self._number, self._channel = session, number, channel
        self._mask_secret = derived(secret, b"mask key")
        self._mask_key = key_pair(self._mask_secret)
        self._seed = derived(secret, b"own mask")
        self._sharing = derived(secret, b"share key"), derived(secret, b"share seed")
        self._mask_keys: Mapping[int, bytes] = {}
        self._shares: dict[int, tuple[int, int]] = {}
        self._opened = False

    def mask_key(self) -> bytes:
        """Step 1: return the public key of its pair masks, 32 bytes."""
        return self._mask_key.public

    def sealed_shares(self, mask_keys: Mapping[int, bytes]) -> dict[int, bytes]:
        """Step 2: return for each other member its shares of the two secrets, sealed.

        Args:
            mask_keys: of all members that took step 1, by number, its own among them.

        Raises:
            TooFewMembers: fewer than the threshold took step 1.
        """
        self._session.check(mask_keys.keys(), "mask keys")
        self._mask_keys = mask_keys
        secrets = self._mask_secret, self._seed
        key, seed = (
            polynomial(secret, self._session.threshold, drawn)
            for secret, drawn in zip(secrets, self._sharing, strict=True)
        )
        shares = {number: (share_at(key, number), share_at(seed, number)) for number in mask_keys}
        self._shares[self._number] = shares.pop(self._number)
        return {number: self._sealed(number, pair) for number, pair in shares.items()}

    def masked(self, sealed: Mapping[int, bytes], numbers: Words) -> Words:
        """Step 3: return its numbers under all masks.

        Args:
            sealed: what the others sealed for it, by their number: those who took step 2.
            numbers: (d,), as they are to be added; left alone.

        Returns:
            Words (d,) that are uniform to everybody else.

        Raises:
            TooFewMembers: with itself fewer than the threshold took step 2.
            ValueError: a share was not sealed for it by that member in this session.
        """
        self._session.check({*sealed, self._number}, "shares")
        words = numbers + mask(self._seed, len(numbers))
        for other, letter in sealed.items():
            self._shares[other] = self._unsealed(other, letter)
            seed = pair_seed(self._session, self._mask_key, self._mask_keys[other])
            add_pair_mask(words, seed, self._number, other)
        return words

    def opening(self, summed: Set[int]) -> Opening:
        """Step 4: return its shares of what must be taken off the sum; it does so only once.

        Args:
            summed: who has sent numbers.

        Raises:
            TooFewMembers: they are fewer than the threshold.
            ValueError: somebody is among them who took no part, or it has answered already.
        """
        self._session.check(summed, "numbers")
        if self._opened or not summed <= self._shares.keys():
            raise ValueError(
                f"opening: asked for {sorted(summed)}; once, and of those who took part "
                f"({sorted(self._shares)}), is allowed"
            )
        self._opened = True
        seeds = {number: self._shares[number][1] for number in sorted(summed)}
        lost = self._shares.keys() - summed
        return Opening(seeds, {number: self._shares[number][0] for number in sorted(lost)})

    def _sealed(self, other: int, shares: tuple[int, int]) -> bytes:
        text = b"".join(share.to_bytes(SHARE_BYTES) for share in shares)
        return self._box(other).encrypt(_nonce(self._number), text, None)

    def _unsealed(self, other: int, letter: bytes) -> tuple[int, int]:
        try:
            text = self._box(other).decrypt(_nonce(other), letter, None)
        except InvalidTag as error:
            raise ValueError(
                f"shares of member {other}: not sealed for member {self._number} in this session"
            ) from error
        return int.from_bytes(text[:SHARE_BYTES]), int.from_bytes(text[SHARE_BYTES:])

    def _box(self, other: int) -> ChaCha20Poly1305:
        """Return what seals letters between two members in this session."""
        channel = self._session.channels[other - 1]
        return ChaCha20Poly1305(agreed(self._channel, channel, b"shares", self._session.name))


def sent_bytes(members: int, dimension: int) -> int:
    """Return what a member sends in a session in which nobody is lost.

    A mask key, sealed shares for each other member, its numbers, and a share of each seed.

    >>> sent_bytes(5, 30_000)
    240525
    """
    sealed = 2 * SHARE_BYTES + _TAG_BYTES
    return 32 + (members - 1) * sealed + 8 * dimension + members * SHARE_BYTES


def pair_seed(session: Session, own: KeyPair, mask_key: bytes) -> bytes:
    """Return the seed of a pair's mask in a session: the same from either side."""
    return agreed(own, mask_key, b"pair mask", session.name)


def _nonce(sender: int) -> bytes:
    # The key is of this pair and session alone, and each of the two seals one letter with it.
    return sender.to_bytes(12)

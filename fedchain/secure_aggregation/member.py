"""Member of a group: it sends masked numbers, and helps to remove masks from the sum."""

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
"""Number of bytes that sealing adds to a message."""


@dataclass(frozen=True)
class Session:
    """One attempt to compute one sum; every member knows these facts before it begins."""

    name: bytes
    """32 bytes that no other session has."""
    channels: tuple[bytes, ...]
    """X25519 public keys of the members, the same for a whole run. Entry 0 is that of member 1."""
    threshold: int
    """Number of members that must take part in every step; fewer cannot reveal any mask."""

    def __post_init__(self) -> None:
        if not len(self.channels) < 2 * self.threshold <= 2 * len(self.channels):
            raise ValueError(
                f"threshold: {self.threshold} of {len(self.channels)} members; more than half of "
                "them, and at most all, are allowed"
            )

    @property
    def numbers(self) -> range:
        """The member numbers, from 1; a member's shares are the values of polynomials there."""
        return range(1, len(self.channels) + 1)

    def check(self, numbers: Set[int], step: str) -> None:
        """Check that enough members take part in a step.

        Raises:
            TooFewMembers: they are fewer than the threshold.
        """
        if len(numbers) < self.threshold:
            raise TooFewMembers(
                f"{step}: {len(numbers)} of {len(self.channels)} members are there; "
                f"at least {self.threshold} must be, nothing is opened"
            )


@dataclass(frozen=True)
class Opening:
    """A member's message in the last step: for each member, a share of one of its two secrets."""

    seeds: Mapping[int, int]
    """By number of each member in the sum: a share of the seed of that member's own mask."""
    keys: Mapping[int, int]
    """By number of each member that sent no numbers: a share of that member's secret mask key."""


class GroupMember:
    """One member in one session; it adds masks to its numbers, and helps to remove them.

    A member adds a mask of its own, and one mask for each pair with another member. The two masks
    of a pair cancel out in the sum. The assembler must remove the own masks of the members in the
    sum, and the pair masks of the lost members. For each member it reconstructs one of two secrets:
    the seed of the own mask, or the secret mask key. A member reveals its share of only one of the
    two.

    Reference:
        Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning",
        CCS 2017, figure 4, for an assembler that follows the protocol but is curious.
    """

    def __init__(self, session: Session, number: int, channel: KeyPair, secret: bytes) -> None:
        """Enter a session as member ``number``.

        ``channel`` is the member's key pair for the whole run. ``secret`` has 32 bytes for this
        session only; the mask key, the seed and the shares are derived from it.
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
        """Return the public key of this member's pair masks, 32 bytes (step 1)."""
        return self._mask_key.public

    def sealed_shares(self, mask_keys: Mapping[int, bytes]) -> dict[int, bytes]:
        """Return sealed shares of this member's two secrets for each other member (step 2).

        ``mask_keys`` holds the public mask keys, by member number, of all members that took part in
        step 1, including this one.

        Raises:
            TooFewMembers: fewer than the threshold took part in step 1.
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
        return {number: self._seal(number, pair) for number, pair in shares.items()}

    def masked(self, sealed: Mapping[int, bytes], numbers: Words) -> Words:
        """Return this member's numbers (d,) with all masks added: words that look uniform (step 3).

        ``sealed`` holds the sealed shares that this member received in step 2, by sender.

        Raises:
            TooFewMembers: fewer than the threshold took part in step 2, including this member.
            ValueError: a share was not sealed by its sender for this member in this session.
        """
        self._session.check({*sealed, self._number}, "shares")
        words = numbers + mask(self._seed, len(numbers))
        for other, letter in sealed.items():
            self._shares[other] = self._unseal(other, letter)
            seed = pair_seed(self._session, self._mask_key, self._mask_keys[other])
            add_pair_mask(words, seed, self._number, other)
        return words

    def opening(self, summed: Set[int]) -> Opening:
        """Return this member's shares of the masks that must leave the sum (step 4); only once.

        ``summed`` holds the numbers of the members in the sum.

        Raises:
            TooFewMembers: fewer than the threshold have sent numbers.
            ValueError: a member in ``summed`` took no part, or this is the second call.
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

    def _seal(self, other: int, shares: tuple[int, int]) -> bytes:
        text = b"".join(share.to_bytes(SHARE_BYTES) for share in shares)
        return self._cipher(other).encrypt(_nonce(self._number), text, None)

    def _unseal(self, other: int, letter: bytes) -> tuple[int, int]:
        try:
            text = self._cipher(other).decrypt(_nonce(other), letter, None)
        except InvalidTag as error:
            raise ValueError(
                f"shares of member {other}: not sealed for member {self._number} in this session"
            ) from error
        return int.from_bytes(text[:SHARE_BYTES]), int.from_bytes(text[SHARE_BYTES:])

    def _cipher(self, other: int) -> ChaCha20Poly1305:
        """Return the cipher that seals messages between this member and another in this session."""
        channel = self._session.channels[other - 1]
        return ChaCha20Poly1305(agreed(self._channel, channel, b"shares", self._session.name))


def sent_bytes(members: int, dimension: int) -> int:
    """Return the number of bytes that a member sends in a session, if no member is lost.

    It sends a mask key, sealed shares for each other member, its numbers, and a share of each seed.
    For 5 members and vectors of length 30,000:

    >>> sent_bytes(5, 30_000)
    240525
    """
    sealed = 2 * SHARE_BYTES + _TAG_BYTES
    return 32 + (members - 1) * sealed + 8 * dimension + members * SHARE_BYTES


def pair_seed(session: Session, own: KeyPair, mask_key: bytes) -> bytes:
    """Return the seed of a pair's mask in a session; both members compute the same seed."""
    return agreed(own, mask_key, b"pair mask", session.name)


def _nonce(sender: int) -> bytes:
    # The key serves only this pair and session, and each of the two members seals one message with
    # it. The sender's number is therefore never used twice as a nonce.
    return sender.to_bytes(12)

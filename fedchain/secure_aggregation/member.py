"""Member of a group: it sends a masked vector, and helps to remove the masks from the sum."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from fedchain.errors import TooFewMembers
from fedchain.secure_aggregation.masks import (
    KeyPair,
    MaskWords,
    add_pair_mask,
    agreed,
    derived,
    key_pair,
    mask,
)
from fedchain.secure_aggregation.shamir import SHARE_BYTES, polynomial, share_at

_TAG_BYTES = 16
"""Number of bytes that encryption adds to a message."""


@dataclass(frozen=True)
class Session:
    """The public parameters of one attempt to compute a sum."""

    name: bytes
    """Unique name of the session, 32 bytes."""
    channels: tuple[bytes, ...]
    """X25519 public keys for encryption between members, in the order of the member numbers."""
    threshold: int
    """Smallest number of members that must take part in every step."""

    def __post_init__(self) -> None:
        if not len(self.channels) < 2 * self.threshold <= 2 * len(self.channels):
            raise ValueError(
                f"threshold: {self.threshold} of {len(self.channels)} members; more than half of "
                "them, and at most all, are allowed"
            )

    @property
    def numbers(self) -> range:
        """The member numbers, from 1."""
        return range(1, len(self.channels) + 1)

    def check(self, numbers: Set[int], step: str) -> None:
        """Raise TooFewMembers if fewer members than the threshold take part in a step.

        ``numbers`` holds the numbers of the members; ``step`` is a name for the error text.
        """
        if len(numbers) < self.threshold:
            raise TooFewMembers(
                f"{step}: {len(numbers)} of {len(self.channels)} members are there; "
                f"at least {self.threshold} must be, nothing is opened"
            )


@dataclass(frozen=True)
class Opening:
    """A member's message in step 4: shares of the secrets of all members."""

    seeds: Mapping[int, int]
    """A share of the own-mask seed of each member in the sum, by member number."""
    keys: Mapping[int, int]
    """A share of the secret mask key of each lost member, by member number."""


class GroupMember:
    """One member in one session of secure aggregation.

    A member adds its own mask to its vector, and a pair mask for each other member. The pair masks
    of two members cancel out in the sum. The assembler removes the own masks of the members in the
    sum, and the pair masks of the lost members. For each member, the assembler learns only one of
    two secrets: the seed of the own mask, or the secret mask key.

    Reference:
        Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning",
        CCS 2017, figure 4, for an honest but curious assembler.
    """

    def __init__(self, session: Session, number: int, channel: KeyPair, secret: bytes) -> None:
        """Enter a session as member ``number``.

        Args:
            session: the session.
            number: the member's number, from 1.
            channel: the member's key pair for encryption, the same for the whole run.
            secret: 32 secret bytes for this session only.
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
        """Return this member's public mask key, 32 bytes, which it sends in step 1."""
        return self._mask_key.public

    def sealed_shares(self, mask_keys: Mapping[int, bytes]) -> dict[int, bytes]:
        """Return encrypted shares of this member's two secrets for step 2, by receiver's number.

        The secrets are the secret mask key and the seed of the own mask.

        Args:
            mask_keys: the public mask keys of all members from step 1, by member number.

        Raises:
            TooFewMembers: fewer members than the threshold took part in step 1.
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

    def masked(self, sealed: Mapping[int, bytes], numbers: MaskWords) -> MaskWords:
        """Return this member's masked vector for step 3, shape (dimension,).

        Args:
            sealed: the encrypted shares that this member received in step 2, by sender's number.
            numbers: this member's vector, shape (dimension,).

        Raises:
            TooFewMembers: fewer members than the threshold took part in step 2.
            ValueError: a share was not encrypted by its sender for this member and session.
        """
        self._session.check({*sealed, self._number}, "shares")
        words = numbers + mask(self._seed, len(numbers))
        for other, letter in sealed.items():
            self._shares[other] = self._unseal(other, letter)
            seed = pair_seed(self._session, self._mask_key, self._mask_keys[other])
            add_pair_mask(words, seed, self._number, other)
        return words

    def opening(self, summed: Set[int]) -> Opening:
        """Return this member's shares for step 4; only one call is allowed.

        Args:
            summed: numbers of the members whose vectors are in the sum.

        Raises:
            TooFewMembers: fewer members than the threshold are in the sum.
            ValueError: a member in ``summed`` sent no shares, or this is the second call.
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
        """Return the cipher for messages between this member and another member in this session."""
        channel = self._session.channels[other - 1]
        return ChaCha20Poly1305(agreed(self._channel, channel, b"shares", self._session.name))


def sent_bytes(members: int, dimension: int) -> int:
    """Return the number of bytes that a member sends in a session without lost members.

    For example, with 5 members and vectors of length 30,000:

    >>> sent_bytes(5, 30_000)
    240525
    """
    sealed = 2 * SHARE_BYTES + _TAG_BYTES
    return 32 + (members - 1) * sealed + 8 * dimension + members * SHARE_BYTES


def pair_seed(session: Session, own: KeyPair, mask_key: bytes) -> bytes:
    """Return the seed of a pair mask in a session. Both members compute the same seed.

    ``own`` is the mask key pair of one member, ``mask_key`` the public mask key of the other.
    """
    return agreed(own, mask_key, b"pair mask", session.name)


def _nonce(sender: int) -> bytes:
    # The key serves only this pair and session, and each of the two members seals one message with
    # it. The sender's number is therefore never used twice as a nonce.
    return sender.to_bytes(12)

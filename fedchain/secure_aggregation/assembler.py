"""Assembler: it adds the masked vectors of group members, and removes the masks from the sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from fedchain.secure_aggregation.masks import MaskWords, add_pair_mask, key_pair, mask
from fedchain.secure_aggregation.member import GroupMember, Opening, Session, pair_seed
from fedchain.secure_aggregation.shamir import secret_of


class Step(IntEnum):
    """The four steps of a session, with what each member sends."""

    KEYS = 1
    """Each member sends its public mask key."""
    SHARES = 2
    """Each member sends encrypted shares of its two secrets to every other member."""
    NUMBERS = 3
    """Each member sends its masked vector."""
    OPENING = 4
    """Each member sends the shares that reveal the remaining masks in the sum."""


@dataclass(frozen=True)
class Sum:
    """The result of a session."""

    words: MaskWords
    """Sum of the members' vectors modulo 2^64, shape (dimension,)."""
    members: tuple[int, ...]
    """Numbers of the members whose vectors are in the sum, ascending."""


def summed(
    members: Sequence[GroupMember],
    session: Session,
    numbers: Mapping[int, MaskWords],
    lost: Mapping[int, Step],
) -> Sum:
    """Run a whole session among members of a group, and return the sum.

    Args:
        members: all members, in the order of their member numbers.
        session: the session of these members.
        numbers: the vector of each member, by member number. Members that are lost by step 3 may be
            missing.
        lost: the first step that each lost member misses, by member number.

    Raises:
        TooFewMembers: fewer members than the threshold took part in a step.
    """

    def there(step: Step) -> dict[int, GroupMember]:
        stays = {**dict.fromkeys(session.numbers, Step.OPENING + 1), **lost}
        numbered = zip(session.numbers, members, strict=True)
        return {number: member for number, member in numbered if stays[number] > step}

    mask_keys = {number: member.mask_key() for number, member in there(Step.KEYS).items()}
    letters = {n: member.sealed_shares(mask_keys) for n, member in there(Step.SHARES).items()}
    masked = {
        number: member.masked(_letters_for(number, letters), numbers[number])
        for number, member in there(Step.NUMBERS).items()
    }
    openings = {n: member.opening(masked.keys()) for n, member in there(Step.OPENING).items()}
    return opened(session, mask_keys, masked, openings)


def opened(
    session: Session,
    mask_keys: Mapping[int, bytes],
    masked: Mapping[int, MaskWords],
    openings: Mapping[int, Opening],
) -> Sum:
    """Add the masked vectors of all members, and remove the masks that do not cancel out.

    The mappings hold the messages of steps 1, 3 and 4, by member number.

    Raises:
        TooFewMembers: fewer members than the threshold sent masked vectors or openings.
        ValueError: the shares of a lost member give another key than the member sent in step 1.
    """
    session.check(masked.keys(), "numbers")
    session.check(openings.keys(), "opening")
    points = sorted(openings)[: session.threshold]
    total = np.zeros_like(next(iter(masked.values())))
    for number, words in masked.items():
        total += words
        total -= mask(_secret({p: openings[p].seeds[number] for p in points}), len(total))
    for number in openings[points[0]].keys:
        key = key_pair(_secret({p: openings[p].keys[number] for p in points}))
        if key.public != mask_keys[number]:
            raise ValueError(f"opening: the shares of member {number} give another mask key")
        for other in masked:
            # the lost member would have added this mask with the sign that cancels the other's
            add_pair_mask(total, pair_seed(session, key, mask_keys[other]), number, other)
    return Sum(total, tuple(sorted(masked)))


def _secret(shares: Mapping[int, int]) -> bytes:
    return (secret_of(shares) % 2**256).to_bytes(32)


def _letters_for(number: int, letters: Mapping[int, Mapping[int, bytes]]) -> dict[int, bytes]:
    return {sender: sent[number] for sender, sent in letters.items() if sender != number}

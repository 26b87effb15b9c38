from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain.errors import TooFewMembers
from fedchain.secure_aggregation import masks
from fedchain.secure_aggregation.assembler import Step, opened, summed
from fedchain.secure_aggregation.masks import (
    MaskWords,
    add_pair_mask,
    agreed,
    derived,
    key_pair,
    mask,
)
from fedchain.secure_aggregation.member import GroupMember, Session

DIMENSION = 50


def secret(*names: object) -> bytes:
    return hashlib.sha256(repr(names).encode()).digest()


def session_of(size: int, threshold: int, name: str = "one") -> Session:
    channels = tuple(key_pair(secret("channel", n)).public for n in range(1, size + 1))
    return Session(secret(name), channels, threshold)


def members_of(session: Session) -> list[GroupMember]:
    return [
        GroupMember(session, n, key_pair(secret("channel", n)), secret("session", session.name, n))
        for n in session.numbers
    ]


def numbers_of(session: Session, dimension: int = DIMENSION) -> dict[int, MaskWords]:
    """Whole numbers of both signs, as words."""
    generator = np.random.default_rng(len(session.channels))
    values = generator.integers(-(2**50), 2**50, (len(session.channels), dimension))
    return {n: values[n - 1].astype(np.int64).view(np.uint64) for n in session.numbers}


def plain_sum(numbers: Mapping[int, MaskWords], members: tuple[int, ...]) -> list[int]:
    """In Python's integers, apart from the words."""
    rows = [numbers[n].view(np.int64).tolist() for n in members]
    return [sum(column) for column in zip(*rows, strict=True)]


def signed(words: MaskWords) -> list[int]:
    found: list[int] = words.view(np.int64).tolist()
    return found


losses = st.integers(2, 9).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.integers(size // 2 + 1, size),
        st.dictionaries(st.integers(1, size), st.sampled_from(Step), max_size=size),
    )
)


@given(losses)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_session_gives_the_exact_sum_of_who_sent_numbers_or_refuses(
    drawn: tuple[int, int, dict[int, Step]],
) -> None:
    size, threshold, lost = drawn
    session = session_of(size, threshold)
    numbers = numbers_of(session)
    if size - len(lost) < threshold:
        with pytest.raises(TooFewMembers, match=f"at least {threshold} must be"):
            summed(members_of(session), session, numbers, lost)
        return
    found = summed(members_of(session), session, numbers, lost)
    there = tuple(n for n in session.numbers if lost.get(n, 9) > Step.NUMBERS)
    assert found.members == there
    assert signed(found.words) == plain_sum(numbers, there)


def test_every_loss_of_a_third_of_a_group_of_six_leaves_the_exact_sum() -> None:
    session = session_of(6, 4)
    numbers = numbers_of(session, 5)
    for pair in itertools.combinations(session.numbers, 2):
        for steps in itertools.product(Step, repeat=2):
            lost = dict(zip(pair, steps, strict=True))
            found = summed(members_of(session), session, numbers, lost)
            assert signed(found.words) == plain_sum(numbers, found.members)


def test_sums_wrap_round_as_words_do() -> None:
    session = session_of(2, 2)
    most = np.full(3, 2**64 - 1, dtype=np.uint64)
    found = summed(members_of(session), session, {1: most, 2: most}, {})
    assert found.words.tolist() == [2**64 - 2] * 3


def test_the_masks_of_a_pair_cancel() -> None:
    words = np.zeros(100, dtype=np.uint64)
    add_pair_mask(words, secret("pair"), 1, 2)
    assert len(set(words.tolist())) == 100
    add_pair_mask(words, secret("pair"), 2, 1)
    assert not words.any()


class Letters:
    """What an assembler sees up to the third step."""

    def __init__(self, session: Session, numbers: Mapping[int, MaskWords]) -> None:
        self.members = dict(zip(session.numbers, members_of(session), strict=True))
        self.mask_keys = {n: m.mask_key() for n, m in self.members.items()}
        sealed = {n: m.sealed_shares(self.mask_keys) for n, m in self.members.items()}
        self.sealed = {
            n: {sender: sealed[sender][n] for sender in sealed if sender != n} for n in sealed
        }
        self.masked = {n: m.masked(self.sealed[n], numbers[n]) for n, m in self.members.items()}


def chi_square(words: MaskWords) -> float:
    """Of the bytes: 255 degrees of freedom, so that 255 +- 23 is usual."""
    counts = np.bincount(words.view(np.uint8), minlength=256)
    expected = counts.sum() / 256
    return float(((counts - expected) ** 2).sum() / expected)


def test_what_the_assembler_sees_is_uniform_whatever_the_numbers_are() -> None:
    session = session_of(3, 2)
    seen = Letters(session, {n: np.zeros(100_000, dtype=np.uint64) for n in session.numbers})
    for words in seen.masked.values():
        assert abs(chi_square(words) - 255) < 5 * 23
    # two of the three together do not cancel either: the third's masks are in them
    for one, other in itertools.combinations(seen.masked.values(), 2):
        assert abs(chi_square(one + other) - 255) < 5 * 23
    # and all three do not: each has a mask of its own
    assert abs(chi_square(sum(seen.masked.values(), start=np.uint64(0))) - 255) < 5 * 23


def test_fewer_openings_than_the_threshold_open_nothing() -> None:
    session = session_of(5, 4)
    seen = Letters(session, numbers_of(session))
    openings = {n: seen.members[n].opening({1, 2, 3, 4}) for n in (1, 2, 3)}
    with pytest.raises(TooFewMembers, match=r"opening: 3 of 5 members .* nothing is opened"):
        opened(session, seen.mask_keys, seen.masked, openings)
    # the three shares fit every secret: with any fourth share they give another one
    seeds = {n: o.seeds[1] for n, o in openings.items()}
    assert len({*seeds.values()}) == 3


def test_a_member_does_not_open_for_too_few_nor_twice_nor_for_strangers() -> None:
    session = session_of(5, 4)
    member = Letters(session, numbers_of(session)).members[1]
    with pytest.raises(TooFewMembers, match="numbers: 3 of 5"):
        member.opening({1, 2, 3})
    with pytest.raises(ValueError, match="of those who took part"):
        member.opening({1, 2, 3, 9})
    member.opening({1, 2, 3, 4})
    with pytest.raises(ValueError, match="once"):
        member.opening({1, 2, 3, 5})  # the other secret of members 4 and 5


def test_a_member_says_only_one_of_anothers_two_secrets() -> None:
    session = session_of(5, 4)
    member = Letters(session, numbers_of(session)).members[1]
    opening = member.opening({1, 2, 3, 4})
    assert set(opening.seeds) == {1, 2, 3, 4}
    assert set(opening.keys) == {5}


def test_shares_are_sealed_for_one_member_and_one_session() -> None:
    session = session_of(3, 2)
    seen = Letters(session, numbers_of(session))
    strangers = Letters(session_of(3, 2, "two"), numbers_of(session))
    one = members_of(session)[0]
    one.sealed_shares(seen.mask_keys)
    wrong = [seen.sealed[3][2], strangers.sealed[1][2], seen.sealed[1][3], b"short"]
    for letter in wrong:
        with pytest.raises(ValueError, match="shares of member 2: not sealed for member 1"):
            one.masked({2: letter}, np.zeros(1, dtype=np.uint64))


def test_masks_differ_from_session_to_session_and_from_pair_to_pair() -> None:
    first, second = session_of(3, 2), session_of(3, 2, "two")
    nothing = {n: np.zeros(DIMENSION, dtype=np.uint64) for n in first.numbers}
    sent = [*Letters(first, nothing).masked.values(), *Letters(second, nothing).masked.values()]
    assert len({words.tobytes() for words in sent}) == 6
    assert len({mask(secret(n), 4).tobytes() for n in range(100)}) == 100


def test_half_of_a_group_is_no_threshold() -> None:
    with pytest.raises(ValueError, match="threshold: 2 of 4 members; more than half"):
        session_of(4, 2)
    with pytest.raises(ValueError, match="threshold: 5 of 4"):
        session_of(4, 5)


def test_two_members_agree_on_the_published_secret() -> None:
    # RFC 7748, 6.1
    bob = key_pair(
        bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    )
    assert bob.public.hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    alice = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    found = agreed(bob, bytes.fromhex(alice), b"purpose")
    assert found == derived(bytes.fromhex(shared), b"purpose")
    assert found != agreed(bob, bytes.fromhex(alice), b"another")


def test_the_second_of_two_members_computes_what_the_first_did() -> None:
    one, other = key_pair(secret("one")), key_pair(secret("other"))
    first = agreed(one, other.public, b"purpose")
    assert agreed(other, one.public, b"purpose") is first  # remembered, and rightly so:
    masks._derived_of.cache_clear()
    masks._exchanged.cache_clear()
    assert agreed(other, one.public, b"purpose") == first

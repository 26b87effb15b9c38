"""Mistakes that sums of groups can hide: a check for each, and code that makes it and fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from group_runs import Spy, asked, grouped, pool_of, read, said

from fedchain.nodes.holders import group_pool as group
from fedchain.nodes.holders.dropouts import contributors, first_reconstruction
from fedchain.scenario import Groups
from fedchain.secure_aggregation import member
from fedchain.secure_aggregation.assembler import Step

DIMENSION = 20_000
NOTHING = np.zeros((10, DIMENSION))
CLIP, SIGMA = 0.5, 4.0
TEN = {"size": 10, "honest": 0.8, "dropout": 0.2}


def the_honest_members_who_are_left_carry_the_noise_that_is_declared(patch):
    """Two of ten members know their noise and tell; as many honest ones as may be are lost."""
    spy, scenario = Spy(patch), grouped(groups={**TEN, "away": 0.15})
    made = pool_of(scenario, NOTHING)
    colluding, left = (9, 10), set()
    for round_ in range(1, 60):
        opening = first_reconstruction(scenario.nodes.groups, asked(round_).context, 0)
        absent = {n for n, step in opening.lost.items() if step <= Step.NUMBERS}
        if len(absent) < 2 or absent & set(colluding):
            continue
        (message,) = said(made, asked(round_))
        known = sum(spy.numbers[-1][n].view(np.int64) for n in colluding)
        summed = contributors(scenario.nodes.groups, asked(round_).context, 0)
        units = sum(map(made._parts.count, summed))
        hidden = read(message) * units - known * made._noise.step
        left.add(8 - len(absent))
        noise = message.declaration.noise * message.declaration.clip
        assert noise == SIGMA * CLIP
        assert hidden.std() == pytest.approx(noise, rel=0.03)
    assert left == {6}


def noise_is_fresh_in_every_round_fork_and_attempt(patch):
    made = pool_of(grouped(), NOTHING)
    contexts = [asked(3), asked(4), asked(3, parent=b"q" * 32), asked(3, number=1)]
    noise = [read(message) for message in said(made, *contexts)]
    repeated = grouped(groups={**TEN, "dropout": 0.0, "honest": 1.0, "away": 0.03, "attempts": 9})
    spy, made = Spy(patch), pool_of(repeated, NOTHING)
    first = asked(next(t for t in range(1, 50) if attempt(repeated, t) == 2))
    said(made, first)
    patch.setattr(
        group, "first_reconstruction", lambda *at: replace(first_reconstruction(*at), number=1)
    )
    said(made, first)
    noise += [spy.numbers[n][1].view(np.int64) for n in (0, 1)]
    for place, one in enumerate(noise):
        for other in noise[:place]:
            assert abs(np.corrcoef(one, other)[0, 1]) < 0.05


def attempt(scenario, round_: int) -> int:
    return first_reconstruction(scenario.nodes.groups, asked(round_).context, 0).number


def what_one_round_opens_takes_no_mask_off_in_another(patch):
    """The own masks' seeds of a round are known to its assembler, who tries them everywhere."""
    spy, made = Spy(patch), pool_of(grouped(), NOTHING[:, :5000])
    for each in (asked(3), asked(4), asked(3, parent=b"q" * 32), asked(3, number=1)):
        said(made, each)
    names = [session.name for session in spy.sessions]
    assert len(set(names)) == 4
    shares = [
        share
        for _, openings in spy.openings
        for opening in openings.values()
        for share in opening.seeds.values()
    ]
    assert len(set(shares)) == len(shares) == 4 * 5 * 5
    keys = [key for mask_keys, _ in spy.openings for key in mask_keys.values()]
    assert len(set(keys)) == len(keys) == 4 * 5
    for one, other in zip(spy.masked, spy.masked[1:], strict=False):
        for number, words in one.items():
            assert abs(chi_square(words - other[number]) - 255) < 5 * 23


def nobody_but_its_member_can_read_a_masked_gradient(patch):
    spy, made = Spy(patch), pool_of(grouped(), NOTHING[:, :5000])
    said(made, asked())
    for words in spy.masked[0].values():
        assert abs(chi_square(words) - 255) < 5 * 23
    everybody = list(spy.masked[0].values())  # one who comes late is in nobody's sum
    assert abs(chi_square(sum(everybody[1:], start=everybody[0])) - 255) < 5 * 23


def chi_square(words) -> float:
    """Of the bytes, 255 degrees of freedom: far above 255 where the words are small numbers."""
    counts = np.bincount(np.ascontiguousarray(words).view(np.uint8), minlength=256)
    expected = counts.sum() / 256
    return float(((counts - expected) ** 2).sum() / expected)


def counts_on_all_members(patch):
    patch.setattr(Groups, "counted_on", property(lambda groups: groups.size))


def counts_on_all_honest_members_though_some_may_be_lost(patch):
    patch.setattr(Groups, "counted_on", property(lambda groups: groups.honest_members))


def counts_on_all_who_are_left_though_some_may_be_dishonest(patch):
    patch.setattr(Groups, "counted_on", property(lambda groups: groups.threshold))


def _nameless(place: int, purpose: str):
    """Leave one name out of what the secrets of a purpose are called by."""
    true = group.digest

    def digest(seed, *names):
        if names[0] == purpose:
            names = tuple(name for n, name in enumerate(names) if n != place)
        return true(seed, *names)

    return lambda patch: patch.setattr(group, "digest", digest)


members_share_their_noise_over_rounds = _nameless(2, "share")
members_share_their_noise_over_forks = _nameless(3, "share")
members_share_their_noise_over_attempts = _nameless(4, "share")
mask_seeds_are_the_same_in_every_round = _nameless(2, "masks")
mask_seeds_are_the_same_on_every_fork = _nameless(3, "masks")
mask_seeds_are_the_same_for_every_holder = _nameless(1, "masks")


def sessions_are_all_called_the_same(patch):
    true = group._session
    patch.setattr(group, "_session", lambda *at: replace(true(*at), name=bytes(32)))


def sends_numbers_as_they_are(patch):
    patch.setattr(member, "mask", lambda _, count: np.zeros(count, dtype=np.uint64))
    patch.setattr(member, "add_pair_mask", lambda *_: None)


def adds_pair_masks_alone(patch):
    patch.setattr(member, "mask", lambda _, count: np.zeros(count, dtype=np.uint64))


ROWS = {
    the_honest_members_who_are_left_carry_the_noise_that_is_declared: (
        counts_on_all_members,
        counts_on_all_honest_members_though_some_may_be_lost,
        counts_on_all_who_are_left_though_some_may_be_dishonest,
    ),
    noise_is_fresh_in_every_round_fork_and_attempt: (
        members_share_their_noise_over_rounds,
        members_share_their_noise_over_forks,
        members_share_their_noise_over_attempts,
    ),
    what_one_round_opens_takes_no_mask_off_in_another: (
        mask_seeds_are_the_same_in_every_round,
        mask_seeds_are_the_same_on_every_fork,
        mask_seeds_are_the_same_for_every_holder,
        sessions_are_all_called_the_same,
    ),
    nobody_but_its_member_can_read_a_masked_gradient: (
        sends_numbers_as_they_are,
        adds_pair_masks_alone,
    ),
}
BY_NAME = {check.__name__: check for check in ROWS}
NAMES = {broken: name for name, broken in list(globals().items()) if callable(broken)}
PAIRS = [(check.__name__, broken) for check, all_ in ROWS.items() for broken in all_]


@pytest.mark.parametrize("check", BY_NAME)
def test_the_code_passes(check, monkeypatch):
    BY_NAME[check](monkeypatch)


@pytest.mark.parametrize(
    ("check", "broken"), PAIRS, ids=[f"{check}-{NAMES[broken]}" for check, broken in PAIRS]
)
def test_code_that_makes_the_mistake_fails(check, broken, monkeypatch):
    broken(monkeypatch)
    with pytest.raises(AssertionError):
        BY_NAME[check](monkeypatch)

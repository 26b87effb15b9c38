from __future__ import annotations

from dataclasses import replace

import pytest

from fedchain.nodes.holders.dropouts import (
    DropoutOutcome,
    contributors,
    draw_dropouts,
    first_reconstruction,
)
from fedchain.nodes.holders.release import ReleaseContext
from fedchain.scenario import Groups
from fedchain.secure_aggregation.assembler import Step

HERE = ReleaseContext(secret=bytes(32), chain_id=bytes(32), parent=b"p" * 32, round=3, holder=1)
GROUPS = Groups(size=10, honest=0.8, dropout=0.3, away=0.2, attempts=4, retry_s=3.0)


def drawn(count: int, groups: Groups = GROUPS) -> list[DropoutOutcome]:
    return [draw_dropouts(groups, replace(HERE, round=t), 0, 1) for t in range(count)]


def test_shares_of_members_are_rounded_down_and_the_noise_counts_on_who_is_left():
    odd = Groups(size=7, honest=0.8, dropout=0.34)
    assert (odd.honest_members, odd.dropouts, odd.threshold, odd.counted_on) == (5, 2, 5, 3)
    assert (GROUPS.honest_members, GROUPS.dropouts, GROUPS.counted_on) == (8, 3, 5)


def test_nobody_is_lost_where_nobody_is_away():
    there = draw_dropouts(Groups(size=5, honest=1.0), HERE, 0, 1)
    assert (there.lost, there.reconstructs, there.again_s) == ({}, True, 2.0)
    assert contributors(Groups(size=5, honest=1.0), HERE, 0) == (5, 6, 7, 8, 9)


def test_members_are_lost_as_often_as_said_and_in_every_step():
    steps = [step for each in drawn(500) for step in each.lost.values()]
    assert len(steps) / 5000 == pytest.approx(0.2, abs=0.02)
    for step in Step:
        assert steps.count(step) / len(steps) == pytest.approx(0.25, abs=0.04)


def test_a_sum_opens_with_a_threshold_of_members_and_counts_once_they_are_asked_to_open_it():
    for each in drawn(500):
        numbers = each.summed(10)
        assert each.reconstructs == (10 - len(each.lost) >= 7)
        assert each.is_release == (len(numbers) >= 7)
        assert each.is_release or not each.reconstructs
        late = {n for n, step in each.lost.items() if step == Step.OPENING}
        assert set(numbers) == set(range(1, 11)) - each.lost.keys() | late
    both = {(each.reconstructs, each.is_release) for each in drawn(500)}
    assert both == {(True, True), (False, True), (False, False)}


def test_the_first_attempt_that_opens_is_the_one_that_counts():
    tries = set()
    for round_ in range(200):
        context = replace(HERE, round=round_)
        each = [draw_dropouts(GROUPS, context, 0, number) for number in range(1, 5)]
        first = next((a for a in each if a.reconstructs), None)
        assert first_reconstruction(GROUPS, context, 0) == first
        assert [a.again_s for a in each] == [3.0, 3.0, 3.0, None]
        tries.add(first and first.number)
    assert tries >= {1, 2}
    hopeless = Groups(size=10, honest=1.0, away=0.9, attempts=3)
    assert first_reconstruction(hopeless, HERE, 0) is None


def test_who_is_lost_is_drawn_anew_for_each_group_round_parent_and_attempt():
    here = draw_dropouts(GROUPS, HERE, 0, 1)
    assert here == draw_dropouts(GROUPS, HERE, 0, 1)
    others = [
        draw_dropouts(GROUPS, replace(HERE, **other), 0, 1)
        for other in ({"holder": 2}, {"round": 4}, {"parent": b"q" * 32})
    ]
    others += [draw_dropouts(GROUPS, HERE, 0, 2), draw_dropouts(GROUPS, HERE, 1, 1)]
    assert sum(other.lost == here.lost for other in others) == 0
    # Everybody can see who is lost: the draw is no secret of the run.
    assert here == draw_dropouts(GROUPS, replace(HERE, secret=bytes([1]) * 32), 0, 1)

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from small_runs import forking, simulate, small

from fedchain.learning.gradients.clipping import STABILISER
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.nodes.holders.release import ReleaseContext, private_releases
from fedchain.privacy.guarantee import guarantee
from fedchain.privacy.mechanisms import clipped, gaussian, knorm, laplace, skellam
from fedchain.simulation.clips import Clips
from fedchain.simulation.setup import build_setup

FOLLOWING = {"privacy.clip_quantile": 0.5, "privacy.clip": 8.0, "privacy.epsilon": 400.0}


def block(height: int, name: bytes, parent: bytes, *messages: SimpleNamespace) -> SimpleNamespace:
    header = SimpleNamespace(hash=name, parent=parent, height=height)
    return SimpleNamespace(header=header, messages=messages)


def test_a_clip_follows_from_the_messages_of_its_branch_and_from_no_others():
    # genesis - a - b     a carries a message of holder 0, b carries another one
    #    |
    #    +- c             carries none
    first, second = (SimpleNamespace(id=name, round=1) for name in (b"1", b"2"))
    clips = Clips(1.0, keep=16)
    clips.lead(first, 0, 0.5)
    clips.lead(second, 0, 0.25)
    assert clips.at(0, b"genesis") == 1.0
    clips.carry(block(1, b"a", b"genesis", first))
    clips.carry(block(1, b"c", b"genesis"))
    clips.carry(block(2, b"b", b"a", second))
    clips.carry(block(1, b"a", b"genesis", first))  # sent again
    assert [clips.at(0, at) for at in (b"genesis", b"a", b"b", b"c")] == [1.0, 0.5, 0.25, 1.0]
    assert clips.at(1, b"b") == 1.0


def test_what_is_remembered_does_not_grow_with_the_rounds():
    clips, parent = Clips(1.0, keep=16), b"genesis"
    for height in range(1, 100):
        message = SimpleNamespace(id=b"%d" % height, round=height)
        clips.lead(message, 0, 1.0 / height)
        clips.carry(block(height, b"%d" % height, parent, message))
        parent = b"%d" % height
    assert max(len(clips._after), len(clips._leads)) == 17
    assert clips.at(0, parent) == 1.0 / 99


def test_the_total_with_a_count_is_what_was_asked_for():
    fixed, following = (
        gaussian(40, 10, epsilon=4.0, clip=1.0, clip_quantile=quantile) for quantile in (None, 0.5)
    )
    assert following.epsilon_after(44) == pytest.approx(4.0, rel=1e-6)
    assert 1.02 < following.noise_multiplier / fixed.noise_multiplier < 1.03
    following.cross_check()


def test_a_quantile_of_records_is_no_clip_for_holders():
    with pytest.raises(ValueError, match="only null is allowed with unit holder"):
        gaussian(10, 5, epsilon=1.0, clip=1.0, clip_quantile=0.5, unit="holder")


def test_clips_of_a_run_come_near_the_quantile_and_are_declared(tmp_path):
    still = {"update": {"kind": "gradient_descent", "learning_rate": 1e-6}}
    alone = {"nodes.compute": 1}  # whose blocks are never stale
    scenario = small(25, attacks=[], **FOLLOWING, **still, **alone)
    made = simulate(scenario, tmp_path)
    list(made.simulation.rounds())
    clips: dict[int, set[float]] = {}
    for block in made.store.blocks():
        for message in block.messages:
            clips.setdefault(message.round, set()).add(message.declaration.clip)
    assert clips[1] == {8.0}
    assert len(clips[2]) == len(clips[25]) == 10
    weights = made.simulation.blocks.state(made.simulation.chain.head).weights
    gradients = CohortGradients(made.setup.task, math.inf)
    below = []
    for holder in range(10):
        clip = made.simulation._releases._clips.at(holder, made.simulation.chain.head)
        count = made.setup.task.holders[holder].count
        _, within = gradients.bounded(weights, holder, clip, np.ones(count, bool))
        below.append(within / count)
    made.close()
    assert 0.35 < np.mean(below) < 0.75


def test_a_run_whose_clips_follow_is_the_same_run_when_it_is_played_again(tmp_path):
    scenario = forking(5, **FOLLOWING)
    first = simulate(scenario, tmp_path)
    told = [record.block for record, _ in first.simulation.rounds()]
    first.close()
    again = simulate(scenario, tmp_path)
    assert [record.block for record, _ in again.simulation.rounds()] == told
    again.close()


def test_an_automatic_clip_is_a_bound_of_one_and_costs_what_every_clip_costs():
    for made in (gaussian, knorm, laplace, skellam):
        fixed, automatic = (made(40, 10, epsilon=4.0, clip=clip) for clip in (1.0, "automatic"))
        assert automatic == replace(fixed, terms=replace(fixed.terms, automatic=True))
    fixed, automatic = (clipped(40, 10, clip=clip) for clip in (1.0, "automatic"))
    assert automatic == replace(fixed, terms=replace(fixed.terms, automatic=True))


def test_no_quantile_moves_an_automatic_clip():
    with pytest.raises(ValueError, match="only null is allowed with clip automatic"):
        gaussian(10, 5, epsilon=1.0, clip="automatic", clip_quantile=0.5)


def test_runs_with_either_clip_do_not_share_the_noise_whose_difference_gives_gradients_away():
    rows = np.zeros((1, 5), dtype=np.float32)
    drawn = []
    for clip in (1.0, "automatic"):
        given = {"epsilon": 1.0, "clip": clip}
        secret = build_setup(small(2, privacy={"kind": "gaussian", **given})).secret
        here = ReleaseContext(
            secret=secret, chain_id=bytes(32), parent=bytes(32), round=1, holder=0
        )
        drawn.append(private_releases(rows, gaussian(10, 5, **given), [10], [here]))
    assert not np.intersect1d(*drawn).size


def test_the_guarantee_says_how_gradients_were_bounded():
    said = {
        clip: guarantee(gaussian(10, 5, epsilon=1.0, clip=clip), 10) for clip in (0.5, "automatic")
    }
    assert "the holder clipped to 0.5 and added" in said[0.5]
    words = f"divided each gradient by its norm + {STABILISER}, which leaves a norm below 1, and"
    assert f"the holder {words}" in said["automatic"]


def test_the_guarantee_says_that_a_record_is_also_left_out_of_the_counts_that_move_the_clip():
    made = [
        guarantee(gaussian(10, 5, epsilon=1.0, clip=1.0, clip_quantile=quantile), 10)
        for quantile in (None, 0.5)
    ]
    words = "its gradient there or zero, and there or left out in the counts that move the clip"
    assert [words in text for text in made] == [False, True]

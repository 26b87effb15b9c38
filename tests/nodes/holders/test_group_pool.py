from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from group_runs import FIVE, IDENTITY, SHARED, Spy, asked, grouped, pool_of, read, said

from fedchain.ledger.chain.message import encode_message
from fedchain.nodes.holders.dropouts import contributors, first_reconstruction
from fedchain.nodes.holders.group_pool import LARGEST_ADDED
from fedchain.nodes.holders.release import ReleaseRequest, messages_of
from fedchain.simulation.setup import build_setup

DIMENSION = 300
LOSING = {**FIVE, "away": 0.1}


def rows(holders: int = 10, dimension: int = DIMENSION) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.02, 0.02, (holders, dimension))


def test_a_message_is_the_exact_sum_of_what_its_members_put_in(monkeypatch):
    scenario, spy = grouped(groups=LOSING), Spy(monkeypatch)
    made, records = pool_of(scenario, rows(), range(50, 60)), np.arange(50, 60)
    step, lost = made._noise.step, set()
    for round_ in range(1, 40):
        each = asked(round_, round_ % 2)
        (message,) = said(made, each)
        holders = contributors(scenario.nodes.groups, each.context, 0)
        lost.add(5 - len(holders))
        put_in = [words.view(np.int64).tolist() for words in spy.numbers[-1].values()]
        whole = [sum(column) for column in zip(*put_in, strict=True)]
        units = int(records[list(holders)].sum())
        mean = np.array([whole], dtype=np.float64) * (step / units)
        request = ReleaseRequest(each.context, IDENTITY)
        (expected,) = messages_of(mean, [request], [message.declaration], "int32")
        assert message.norm == expected.norm
        np.testing.assert_array_equal(message.direction, expected.direction)
        # The registered number of a group is that of all its members, lost or not.
        everybody = list(scenario.nodes.groups.members_of(each.context.holder))
        assert message.declaration.records == records[everybody].sum() >= units
    assert lost == {0, 1}


def test_without_noise_a_group_says_the_mean_of_its_members_records():
    silent = {**SHARED, "noise_multiplier": None, "epsilon": float("inf")}
    records = [10, 20, 30, 40, 50, 5, 5, 5, 5, 5]
    (message,) = said(pool_of(grouped(privacy=silent), rows(), records), asked())
    mean = np.average(rows()[:5].astype(np.float32), axis=0, weights=records[:5])
    np.testing.assert_allclose(read(message), mean, atol=2e-6 * message.norm)
    assert message.declaration.mechanism == "skellam"


def test_of_whole_holders_a_group_says_the_mean_whatever_their_records():
    silent = {**SHARED, "noise_multiplier": None, "epsilon": float("inf"), "unit": "holder"}
    made = pool_of(grouped(privacy=silent), rows(), range(50, 60))
    mean = rows()[:5].astype(np.float32).mean(axis=0)
    (message,) = said(made, asked())
    np.testing.assert_allclose(read(message), mean, atol=2e-6 * message.norm)


def test_groups_with_either_clip_do_not_share_the_noise_whose_difference_gives_gradients_away():
    drawn = []
    for clip in (1.0, "automatic"):
        scenario = grouped(privacy={**SHARED, "clip": clip})
        request = asked()
        own = replace(request.context, secret=build_setup(scenario).secret)
        (message,) = said(pool_of(scenario, 0 * rows()), replace(request, context=own))
        drawn.append(read(message))
    assert abs(np.corrcoef(*drawn)[0, 1]) < 0.3


def test_groups_that_are_asked_together_say_what_each_says_alone():
    made = pool_of(grouped(groups=LOSING), rows())
    both = said(made, asked(number=0), asked(number=1))
    alone = [*said(made, asked(number=0)), *said(made, asked(number=1))]
    assert [encode_message(m) for m in both] == [encode_message(m) for m in alone]
    assert both[0].norm != both[1].norm


def test_a_group_that_is_never_whole_enough_says_nothing_and_the_other_speaks(monkeypatch):
    scenario = grouped(groups={**LOSING, "away": 0.6, "attempts": 1})
    made, outcomes = pool_of(scenario, rows()), set()
    for round_ in range(1, 30):
        pair = [asked(round_, 0), asked(round_, 1)]
        opens = [
            first_reconstruction(scenario.nodes.groups, each.context, 0) is not None
            for each in pair
        ]
        assert [message is not None for message in said(made, *pair)] == opens
        outcomes.add(tuple(opens))
    assert {(False, False), (False, True)} <= outcomes


def test_a_byzantine_member_poisons_its_group_and_no_other():
    silent = {**SHARED, "noise_multiplier": None, "epsilon": float("inf")}
    attack = [{"kind": "norm_inflation", "holders": [7], "factor": 1000.0}]
    quiet = said(pool_of(grouped(privacy=silent), rows()), asked(number=0), asked(number=1))
    made = pool_of(grouped(privacy=silent, attacks=attack), rows())
    good, bad = said(made, asked(number=0), asked(number=1))
    assert encode_message(good) == encode_message(quiet[0])
    inflated = rows()[5:].astype(np.float32)
    inflated[2] *= 1000
    np.testing.assert_allclose(read(bad), inflated.mean(axis=0), atol=1e-4)


@pytest.mark.parametrize("factor", [1e30, 1e300])
def test_a_member_that_says_what_no_word_holds_says_the_largest_word(monkeypatch, factor):
    spy = Spy(monkeypatch)
    attack = [{"kind": "norm_inflation", "holders": [0], "factor": factor}]
    said(pool_of(grouped(attacks=attack), rows()), asked())
    words = spy.numbers[0][1].view(np.int64)
    assert set(np.abs(words).tolist()) == {LARGEST_ADDED}

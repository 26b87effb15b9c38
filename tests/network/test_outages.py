from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_spreading import STAR, gossip_of, graph_of

from fedchain.network.outages import Outages

TROUBLE = gossip_of(
    churn={"away": 0.4, "stay_s": 5.0},
    partitions=[{"from_s": 10.0, "to_s": 30.0}, {"from_s": 25.0, "to_s": 45.0, "share": 0.3}],
    late_joiners={"at_s": 7.0, "share": 0.3},
)
SPANS = st.floats(0.0, 60.0)


def test_nodes_are_away_for_the_share_of_time_that_was_asked_for():
    outages = Outages(gossip_of(churn={"away": 0.3, "stay_s": 20.0}), graph_of(STAR), 0)
    times_s = np.linspace(200.0, 20_000.0, 4000)
    away = [[outages.back(node, t) > t for t in times_s] for node in range(30)]
    assert abs(np.mean(away) - 0.3) < 0.015
    assert not any(outages.back(node, 0.0) for node in range(30))


def test_answers_do_not_depend_on_which_time_was_asked_about_first():
    one, other = (Outages(TROUBLE, graph_of(STAR), 3) for _ in range(2))
    times_s = np.linspace(0.0, 80.0, 41).tolist()
    forwards = [one.heard(0, 7, t) for t in times_s]
    backwards = [other.heard(0, 7, t) for t in reversed(times_s)]
    assert forwards == backwards[::-1]


def test_a_partition_cuts_off_the_share_that_was_asked_for_of_both_kinds_of_nodes():
    cut = gossip_of(partitions=[{"from_s": 10.0, "to_s": 30.0, "share": 0.5}])
    outages = Outages(cut, graph_of(STAR, compute=6, nodes=26), 0)
    inside = [node for node in range(1, 26) if outages.heard(0, node, 10.0) == 10.0]
    assert len([n for n in inside if n < 6]) == 2
    assert len([n for n in inside if n >= 6]) == 10
    outside = sorted(set(range(1, 26)) - set(inside))
    assert {outages.heard(0, node, 29.0) for node in outside} == {30.0}
    assert {outages.heard(0, node, 9.9) for node in outside} == {9.9}
    assert {outages.heard(outside[0], node, 15.0) for node in outside[1:]} == {15.0}


def test_one_compute_node_is_always_there_from_the_start():
    late = gossip_of(late_joiners={"at_s": 50.0, "share": 0.99})
    outages = Outages(late, graph_of(STAR), 0)
    assert sorted(outages.back(node, 0.0) for node in range(6)) == [0.0] + [50.0] * 5


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 5), st.integers(6, 29), SPANS, SPANS, st.floats(0.01, 20.0))
def test_whoever_begins_later_never_ends_earlier(one, other, first, second, lasts):
    outages = Outages(TROUBLE, graph_of(STAR), 3)
    ends = []
    for now_s in sorted((first, second)):
        start_s = outages.heard(one, other, now_s)
        assert start_s >= now_s
        ends.append(outages.done(one, other, start_s, lasts))
        assert ends[-1] >= start_s + lasts - 1e-9
    assert ends[0] <= ends[1] + 1e-9


@pytest.mark.parametrize("other", [1, 9, 17])
def test_an_exchange_takes_its_time_while_both_hear_each_other_and_stands_still_else(other):
    outages = Outages(TROUBLE, graph_of(STAR), 3)
    start_s = outages.heard(0, other, 3.0)
    end_s = outages.done(0, other, start_s, 12.0)
    ticks = np.linspace(start_s, end_s, 40_001)
    up = np.mean([outages.heard(0, other, t) == t for t in ticks[:-1]]) * (end_s - start_s)
    assert up == pytest.approx(12.0, abs=0.02)
    assert end_s > start_s + 12.0

"""One draw lasts until a block is found, whatever heads come and go."""

import math

import numpy as np
import pytest
from scipy import stats
from small_runs import small

from fedchain.ledger.chain.work import compact_from_target, work_of
from fedchain.nodes.compute import hashing
from fedchain.nodes.compute.hashing import SampledWork, expected_hashing_s
from fedchain.randomness import uniforms

EASY, HARD = compact_from_target(2**246), compact_from_target(2**244)
SPEED = 100.0


def drawing(seed=0):
    return SampledWork(SPEED, uniforms(seed, "test of work"))


def test_a_new_head_of_the_same_difficulty_leaves_the_time_as_it_is():
    work = drawing()
    due_s = work.begin(EASY, 3.0)
    assert work.begin(EASY, 3.0 + 0.4 * (due_s - 3.0)) == due_s


def test_four_times_the_difficulty_takes_four_times_what_is_left():
    work = drawing()
    due_s = work.begin(EASY, 0.0)
    now_s = due_s / 4.0
    scale = work_of(HARD) / work_of(EASY)
    assert math.isclose(work.begin(HARD, now_s) - now_s, scale * (due_s - now_s))


def test_no_work_is_done_during_a_pause_and_none_is_lost():
    work = drawing()
    due_s = work.begin(EASY, 0.0)
    work.pause(due_s / 2.0)
    assert work.due_s is None
    work.pause(due_s)  # a pause in a pause changes nothing
    assert math.isclose(work.begin(EASY, 100.0 + due_s), 100.0 + 1.5 * due_s)


def test_every_success_takes_a_draw_of_its_own():
    work, times = drawing(), []
    for _ in range(3):
        times.append(work.begin(EASY, 0.0))
        work.succeed()
        assert work.due_s is None
    assert len(set(times)) == 3


def test_times_between_successes_are_exponential_however_often_heads_change():
    chance = np.random.default_rng(5)
    work, now_s, last_s, waits = drawing(7), 0.0, 0.0, []
    while len(waits) < 2000:
        head_s = now_s + chance.exponential(0.3 * work_of(EASY) / SPEED)
        if head_s < work.begin(EASY, now_s):
            now_s = head_s
            continue
        now_s = work.due_s
        waits.append(now_s - last_s)
        work.succeed()
        last_s = now_s
    assert stats.kstest(waits, stats.expon(0, work_of(EASY) / SPEED).cdf).pvalue > 0.001


def test_the_time_of_a_try_is_that_of_the_fastest_sample_and_is_measured_once(monkeypatch):
    now, searches = [0.0], []
    delays = [9.0, 4.0, 1.0, 7.0, 3.0, 8.0, 2.0, 5.0]  # as if other programs were running

    def slow_search(prefix, first, tries, target):
        now[0] += delays[len(searches) % len(delays)]
        searches.append(tries)

    monkeypatch.setattr(hashing, "search", slow_search)
    monkeypatch.setattr(hashing.time, "perf_counter", lambda: now[0])
    hashing.seconds_per_try.cache_clear()
    scenario = small(3, **{"ledger.work.difficulty_bits": 0})
    try:
        assert expected_hashing_s(scenario) == pytest.approx(9 / searches[0])
        assert expected_hashing_s(scenario) == pytest.approx(9 / searches[0])
        assert len(searches) == len(delays)
    finally:
        hashing.seconds_per_try.cache_clear()

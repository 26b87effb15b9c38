from __future__ import annotations

from collections import Counter

import numpy as np

from fedchain.nodes.holders.cohort_sampler import Sampling


def test_nobody_is_asked_twice_in_a_round_and_rounds_differ():
    sampling = Sampling(seed=3, holders=40, asked=12, rounds=9)
    cohorts = [sampling.holders_of(round_) for round_ in range(1, 10)]
    assert all(len(set(cohort)) == 12 and set(cohort) <= set(range(40)) for cohort in cohorts)
    assert len({frozenset(cohort) for cohort in cohorts}) == 9


def test_a_cohort_follows_from_seed_and_round_alone():
    one, other = (Sampling(seed=3, holders=40, asked=12, rounds=r) for r in (9, 90))
    backwards = [one.holders_of(round_) for round_ in range(9, 0, -1)]
    assert backwards[::-1] == [other.holders_of(round_) for round_ in range(1, 10)]
    assert Sampling(4, 40, 12, 9).holders_of(1) != one.holders_of(1)


def test_where_all_are_asked_seat_k_is_holder_k():
    sampling = Sampling(seed=3, holders=7, asked=7, rounds=5)
    assert all(list(sampling.holders_of(round_)) == list(range(7)) for round_ in range(1, 6))
    assert sampling.most_releases == 5


def test_most_releases_is_counted_over_the_whole_run():
    sampling = Sampling(seed=3, holders=30, asked=4, rounds=60)
    asked = Counter(k for round_ in range(1, 61) for k in sampling.holders_of(round_))
    assert sampling.most_releases == max(asked.values())
    assert sampling.most_releases > 60 * 4 / 30


def test_every_holder_is_asked_equally_often_on_every_seat():
    sampling = Sampling(seed=0, holders=20, asked=5, rounds=8000)
    holder_slots = np.array([sampling.holders_of(round_) for round_ in range(1, 8001)])
    times = np.array([np.bincount(slot, minlength=20) for slot in holder_slots.T])
    assert abs(times - 400).max() < 5 * np.sqrt(400)


def test_the_holders_of_a_round_are_plain_integers():
    assert {type(k) for k in Sampling(0, 10, 3, 1).holders_of(1)} == {int}  # streams are named so

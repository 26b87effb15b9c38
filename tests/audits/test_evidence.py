from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from small_runs import small

from fedchain.audits.canaries import bound_of, seen_in
from fedchain.audits.evidence import CanaryEvidence, Seen, count_trials, families_of
from fedchain.privacy.accounting import gaussian_noise_multiplier
from fedchain.runs.running import run

DELTA = 1e-5
ROUNDS, HOLDERS, CANARIES = 40, 20, 500
SIGMA = gaussian_noise_multiplier(4.0, DELTA, ROUNDS)
"""The noise of one release, in clips, for a total epsilon of 4 over all rounds."""


def made_up(sigma: Callable[[int, int], float], seed: int = 0) -> list[Seen]:
    """What holders would publish, with a noise that depends on holder and round (from 1)."""
    generator = np.random.default_rng(seed)
    seen = []
    for holder in range(HOLDERS):
        inside = generator.random(CANARIES) < 0.5
        scales = np.array([sigma(holder, number) for number in range(1, ROUNDS + 1)])
        noise = scales[:, None] * generator.standard_normal((ROUNDS, CANARIES))
        own = CanaryEvidence(inside + noise, np.ones(noise.shape))
        rounds = np.arange(1, ROUNDS + 1)
        seen.append(
            Seen(holder=holder, rounds=rounds, inside=inside, own=own, changes=own, others=own)
        )
    return seen


def proved(seen: list[Seen]) -> tuple[float, str]:
    found = bound_of(seen, DELTA, "gaussian", 0.95)
    return found["lower_bound"], found["found_in"]


def over_the_run(seen: list[Seen]) -> float:
    """What the sums over the run prove alone, as an audit without other scores would say."""
    only = [replace(each, rounds=np.ones(ROUNDS)) for each in seen]
    joined = Seen(
        holder=0,
        rounds=only[0].rounds,
        inside=np.concatenate([each.inside for each in only]),
        **{
            kind: CanaryEvidence(
                np.concatenate([getattr(each, kind).products for each in only], axis=1),
                np.concatenate([getattr(each, kind).squares for each in only], axis=1),
            )
            for kind in ("own", "changes", "others")
        },
    )
    return bound_of([joined], DELTA, "gaussian", 0.95)["lower_bound"]


def test_right_noise_stays_below_the_claim_in_every_score():
    bound, where = proved(made_up(lambda *_: SIGMA))
    assert (3.4 < bound < 4.0, where) == (True, "all rounds")


DEFECTS = {
    "one round": (lambda _, number: SIGMA * (number != 17), "round 17", 38),
    "every tenth round": (lambda _, number: SIGMA * (number % 10 != 0), "round 10", 38),
    "one release": (lambda k, number: SIGMA * ((k, number) != (3, 17)), "holder 3 in round 17", 18),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_noise_that_is_left_out_now_and_then_is_seen_in_its_own_score(name):
    sigma, place, least = DEFECTS[name]
    seen = made_up(sigma)
    assert over_the_run(seen) < 4.3  # hardly above the claim, in other seeds below
    bound, where = proved(seen)
    assert where == place
    assert bound > least


def test_two_weak_holders_of_twenty_are_seen_in_their_own_scores():
    found = []
    for seed in range(5):
        seen = made_up(lambda k, _: SIGMA / (1 + (k in (3, 11))), seed)
        assert over_the_run(seen) < 4.6
        found.append(proved(seen))
    assert all(bound > 4.0 for bound, _ in found)
    assert {where for _, where in found} <= {"holder 3", "holder 11"}
    assert np.mean([bound for bound, _ in found]) > 5.8


def test_every_round_holder_and_release_has_a_score():
    families = families_of(made_up(lambda *_: SIGMA))
    counts = {name: len(scores) for name, scores in families.items()}
    assert counts == {"run": 3, "round": 40, "holder": 20, "release": 800}
    trials = {name: len(next(iter(scores.values())).scores) for name, scores in families.items()}
    assert trials == {"run": 10_000, "round": 10_000, "holder": 500, "release": 500}


def test_two_releases_of_one_round_are_one_score():
    seen = made_up(lambda *_: SIGMA)[0]
    forked = replace(seen, rounds=np.repeat(np.arange(1, 21), 2))
    scores = families_of([forked])["release"]
    assert len(scores) == 20
    expected = seen.own.products[:2].mean(axis=0)
    np.testing.assert_allclose(scores["holder 0 in round 1"].scores, expected)


ADAPTIVE = {"kind": "gaussian", "noise_multiplier": 4.0, "clip": 0.5, "clip_quantile": 0.5}


@pytest.fixture(scope="module")
def following(tmp_path_factory):
    """A run whose clips follow a quantile."""
    few = {"kind": "canaries", "each": 40}
    values = {"attacks": [], "nodes.compute": 1, "ledger.quorum": 1.0}
    made = small(6, task=few, privacy={**ADAPTIVE, "delta": 1e-5}, **values)
    return run(made, tmp_path_factory.mktemp("following"))


def test_a_count_is_what_the_clip_tells_and_its_noise_is_the_mechanisms(following):
    seen = seen_in(following)
    trials, factor = count_trials(seen)
    assert len(trials.scores) == 10 * 5  # the last release has no clip after it
    assert factor == pytest.approx(math.sqrt(5) / 2)
    noise = trials.scores - trials.inside
    expected = 4.0 * math.sqrt(0.95) / (2 * math.sqrt(0.05))
    assert noise.std() == pytest.approx(expected, rel=0.35)  # 3.5 standard errors
    assert abs(noise.mean()) < 3.5 * expected / math.sqrt(50)


def test_counts_without_noise_refute_the_claim(following):
    seen = seen_in(following)
    bare = [replace(each, counts={k: float(each.inside[k]) for k in each.counts}) for each in seen]
    found = bound_of(bare, DELTA, "gaussian", 0.95)
    assert found["found_in"] == "counts of the clip"
    assert found["lower_bound"] > 5 * following.manifest["epsilon"]["total"]
    assert count_trials([replace(each, counts={}) for each in seen]) is None

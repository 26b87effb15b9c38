from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from adversaries import told
from scipy import stats
from small_runs import simulate, small

from fedchain.ledger.chain.crypto import is_signature, public_key_of
from fedchain.ledger.chain.message import Declaration, signing_bytes
from fedchain.nodes.holders.holder_pool import HolderPool
from fedchain.nodes.holders.identity import RoundKey
from fedchain.nodes.holders.pool_parts import PoolParts
from fedchain.nodes.holders.release import (
    ReleaseContext,
    ReleaseRequest,
    drawn_records,
    messages_of,
    private_releases,
    secret_key,
)
from fedchain.privacy.mechanisms import gaussian, none
from fedchain.simulation.setup import build_setup

OCCASION = ReleaseContext(secret=bytes(32), chain_id=bytes(32), parent=b"p" * 32, round=3, holder=4)
SECRET = bytes(range(32))
IDENTITY = RoundKey(SECRET, public_key_of(SECRET), None)


def private_release(gradient, mechanism, records, context):
    rows = private_releases(gradient[None].astype(np.float32), mechanism, [records], [context])
    return rows[0]


SAID = Declaration(mechanism="gaussian", noise_step=0, noise=2.0, clip=0.1, records=50)
GRADIENT = np.linspace(-1.0, 1.0, 1000)


def message_of(release):
    return messages_of(release[None], [ReleaseRequest(OCCASION, IDENTITY)], [SAID], "int16")[0]


def test_the_noise_has_the_sd_of_the_mean_and_not_of_the_sum():
    mechanism = gaussian(10, 1000, noise_multiplier=2.0, clip=0.1)
    for records in (10, 100, 1000):
        context = replace(OCCASION, holder=records)
        noise = private_release(GRADIENT, mechanism, records, context) - GRADIENT
        assert noise.std() == pytest.approx(2.0 * 0.1 / records, rel=0.08)


def test_the_same_release_asked_for_twice_is_the_same():
    mechanism = gaussian(10, 1000, noise_multiplier=2.0, clip=0.1)
    first = private_release(GRADIENT, mechanism, 50, OCCASION)
    assert np.array_equal(first, private_release(GRADIENT, mechanism, 50, OCCASION))


@pytest.mark.parametrize(
    "other",
    [{"holder": 5}, {"round": 4}, {"parent": b"q" * 32}, {"secret": bytes([1]) * 32}],
    ids=["holder", "round", "fork", "seed"],
)
def test_noise_is_fresh_for_every_holder_round_fork_and_seed(other):
    mechanism = gaussian(10, 1000, noise_multiplier=2.0, clip=0.1)
    one = private_release(np.zeros(1000), mechanism, 50, OCCASION)
    two = private_release(np.zeros(1000), mechanism, 50, replace(OCCASION, **other))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.15
    assert (one - two).std() == pytest.approx(math.sqrt(2) * 2.0 * 0.1 / 50, rel=0.1)


def test_two_runs_of_one_seed_at_another_scale_do_not_share_their_noise():
    drawn = []
    for noise in (2.0, 4.0):
        given = {"noise_multiplier": noise, "clip": 0.1}
        secret = build_setup(small(2, privacy={"kind": "gaussian", **given})).secret
        at = replace(OCCASION, secret=secret)
        drawn.append(private_release(np.zeros(1000), gaussian(10, 1000, **given), 50, at))
    assert abs(np.corrcoef(*drawn)[0, 1]) < 0.15


def test_the_message_carries_the_norm_of_the_noisy_vector_and_its_direction():
    message = message_of(GRADIENT)
    direction = message.direction / 2.0**message.exponent
    assert message.norm == pytest.approx(np.linalg.norm(GRADIENT), rel=1e-14)
    np.testing.assert_allclose(direction * message.norm, GRADIENT, atol=1e-3)
    assert np.linalg.norm(direction) == pytest.approx(1.0, abs=1e-3)


def test_the_signature_covers_every_field_of_the_message():
    message = message_of(GRADIENT)
    assert is_signature(message.public_key, message.signature, signing_bytes(message))
    for change in ({"norm": 9.0}, {"round": 4}, {"declaration": replace(SAID, records=51)}):
        changed = replace(message, **change)
        assert not is_signature(message.public_key, message.signature, signing_bytes(changed))
        assert changed.id != message.id


@pytest.mark.parametrize("bad", [np.array([1.0, np.nan]), np.array([np.inf, 1.0])])
def test_a_release_that_is_not_finite_is_no_message(bad):
    assert message_of(bad) is None


def test_a_release_of_exactly_zero_is_a_message_without_a_direction():
    rows = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, -4.0], [np.nan, 0.0, 0.0], [-0.0, 0.0, 0.0]])
    asked = [ReleaseRequest(OCCASION, IDENTITY)] * 4
    zero, other, none_, again = messages_of(rows.astype(np.float32), asked, [SAID] * 4, "int8")
    assert none_ is None
    assert (other.norm, other.exponent > 0) == (5.0, True)
    for message in (zero, again):
        assert (message.exponent, str(message.norm)) == (0, "0.0")
        assert (message.direction.dtype, message.direction.tolist()) == (np.int8, [0, 0, 0])
        assert is_signature(message.public_key, message.signature, signing_bytes(message))


def test_a_release_from_a_gradient_of_any_length_becomes_a_unit_direction():
    for size in (1e-37, 1e-20, 1.0, 1e30):
        gradient = (GRADIENT * size).astype(np.float32)
        message = message_of(gradient)
        direction = message.direction / 2.0**message.exponent
        assert np.linalg.norm(direction) == pytest.approx(1.0, abs=1e-3)


class Flipped:
    """Gradients that stand still, for one holder."""

    def __call__(self, weights, holders, sampled=None):
        return np.stack([GRADIENT.astype(np.float32) for _ in holders])

    def twin(self):
        return self


def test_the_attack_comes_after_the_noise_and_before_the_signature():
    task = SimpleNamespace(holders=[SimpleNamespace(count=50)])
    asked = [ReleaseRequest(replace(OCCASION, holder=0), IDENTITY)]
    sent = {}
    for name, attacks in {"honest": [], "flipped": [{"kind": "sign_flip", "holders": [0]}]}.items():
        scenario = small(attacks=attacks)
        mechanism = gaussian(10, 1000, noise_multiplier=2.0, clip=0.1)
        parts = PoolParts(gradients=Flipped(), scenario=scenario, task=task, mechanism=mechanism)
        (sent[name],) = told(scenario, HolderPool(parts), None, asked)
    honest, flipped = sent["honest"], sent["flipped"]
    assert np.array_equal(flipped.direction, -honest.direction)
    assert flipped.norm == honest.norm
    assert is_signature(flipped.public_key, flipped.signature, signing_bytes(flipped))


def test_a_pool_says_where_the_time_went():
    task = SimpleNamespace(holders=[SimpleNamespace(count=50)])
    parts = PoolParts(gradients=Flipped(), scenario=small(), task=task, mechanism=none(10, 1000))
    spoken = HolderPool(parts)(None, [ReleaseRequest(replace(OCCASION, holder=0), IDENTITY)])
    assert {stage for stage, s in spoken.seconds.items() if s > 0} == {
        "gradients",
        "noise",
        "signing",
    }


def test_records_are_drawn_each_by_itself_with_the_chance_that_is_declared():
    masks = [drawn_records(replace(OCCASION, round=r), 50, sampled(0.3)) for r in range(4000)]
    drawn = np.stack(masks)
    assert drawn.mean() == pytest.approx(0.3, abs=0.004)
    counts = np.bincount(drawn.sum(axis=1), minlength=51)
    expected = 4000 * stats.binom.pmf(np.arange(51), 50, 0.3)
    middle = expected > 20  # the size of a batch is random: this is what amplifies
    assert (
        stats.chisquare(
            counts[middle], expected[middle] * counts[middle].sum() / expected[middle].sum()
        ).pvalue
        > 0.01
    )
    pairs = np.corrcoef(drawn.T) - np.eye(50)
    assert abs(pairs).max() < 0.08


@pytest.mark.parametrize(
    "other", [{"holder": 5}, {"round": 4}, {"parent": b"q" * 32}, {"secret": bytes([1]) * 32}]
)
def test_records_are_drawn_anew_for_every_holder_round_fork_and_run(other):
    half = sampled(0.5)
    one, two = (drawn_records(o, 5000, half) for o in (OCCASION, replace(OCCASION, **other)))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.06
    assert np.array_equal(one, drawn_records(OCCASION, 5000, half))


def test_each_purpose_has_a_key_of_its_own():
    keys = {secret_key(purpose, OCCASION) for purpose in ("noise", "records", "clip")}
    assert len(keys) == 3
    assert secret_key("noise", OCCASION) in keys


def sampled(rate):
    return gaussian(10, 5, noise_multiplier=2.0, clip=0.5, sampling_rate=rate)


def test_a_run_samples_its_records_in_secret_and_anew_each_time():
    setup = build_setup(small(2, attacks=[], **{"privacy.sampling_rate": 0.25}))
    seen = []

    def gradients(_, holders, sampled):
        seen.append((holders, sampled))
        return np.ones((len(holders), 31), np.float32)

    parts = PoolParts(
        gradients=gradients, scenario=setup.scenario, task=setup.task, mechanism=setup.mechanism
    )
    pool = HolderPool(parts)
    for round_ in (1, 2):
        contexts = [replace(OCCASION, holder=h, round=round_) for h in range(10)]
        pool(np.zeros(31), [ReleaseRequest(context, IDENTITY) for context in contexts])
    counts = [records.count for records in setup.task.holders]
    for holders, sampled in seen:
        assert holders == list(range(10))
        assert list(sampled.sizes) == [0.25 * count for count in counts]
        assert [len(mask) for mask in sampled.masks] == counts
    one, two = (np.concatenate(sampled.masks) for _, sampled in seen)
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.15


def test_a_run_with_sampled_records_is_the_same_run_again(tmp_path):
    heads = []
    for name in ("one", "two"):
        made = simulate(small(3, **{"privacy.sampling_rate": 0.5}), tmp_path / name)
        list(made.simulation.rounds())
        heads.append(made.simulation.chain.head)
        made.close()
    assert heads[0] == heads[1]

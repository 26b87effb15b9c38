"""Mistakes of noise that hide behind what is right: a check for each, which names the mistake."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import noise_mutants as mutants
import numpy as np
import pytest
from small_runs import small

from fedchain import randomness
from fedchain.audits import audit
from fedchain.ledger.chain.crypto import public_key_of
from fedchain.ledger.chain.message import Message
from fedchain.nodes.holders import holder_pool as pool
from fedchain.nodes.holders.holder_pool import HolderPool
from fedchain.nodes.holders.identity import RoundKey
from fedchain.nodes.holders.momentum import LastMessage, published_vector, release_behind
from fedchain.nodes.holders.pool_parts import PoolParts
from fedchain.nodes.holders.release import ReleaseContext, ReleaseRequest
from fedchain.privacy.accounting import gaussian_epsilon
from fedchain.privacy.mechanisms import gaussian, skellam
from fedchain.privacy.skellam_law import DEVIATION
from fedchain.scenario import load

CLIP, SIGMA, DIMENSION = 0.5, 2.0, 2000
SECRET = bytes(range(32))
IDENTITY = RoundKey(SECRET, public_key_of(SECRET), None)
HERE = ReleaseContext(secret=bytes(32), chain_id=bytes(32), parent=b"p" * 32, round=3, holder=0)
AUDIT = Path(__file__).parents[2] / "scenarios" / "audit.yaml"


class Gradients:
    """Holders whose gradients are all zero, and whose records are all within any clip."""

    def __init__(self, dimension: int) -> None:
        """Have this length."""
        self.dimension = dimension

    def __call__(self, _weights, holders, _sampled=None) -> np.ndarray:
        return np.zeros((len(holders), self.dimension), np.float32)

    def bounded(self, _weights, _holder, _clip, mask) -> tuple[np.ndarray, int]:
        return np.zeros((1, self.dimension), np.float32), int(mask.sum())


def pool_of(mechanism, records: int = 100, dimension: int = DIMENSION, **changes) -> HolderPool:
    """Holders with these records, whose messages are noise alone."""
    scenario = small(attacks=[], **{"ledger.storage": "int32", **changes})
    held = SimpleNamespace(count=records)
    task = SimpleNamespace(holders=dict.fromkeys([*range(300), 65_536, 65_537], held))
    return HolderPool(
        PoolParts(gradients=Gradients(dimension), scenario=scenario, task=task, mechanism=mechanism)
    )


def sent(made: HolderPool, contexts, **request) -> list[Message]:
    asked = [ReleaseRequest(context, IDENTITY, **request) for context in contexts]
    return list(made(np.zeros(1), asked).messages)


def noise_of(made: HolderPool, contexts, **request) -> np.ndarray:
    return np.stack([published_vector(each) for each in sent(made, contexts, **request)])


def fixed(**changes):
    return gaussian(60, DIMENSION, noise_multiplier=SIGMA, clip=CLIP, **changes)


def every_release_of_sixty_rounds_has_all_its_noise():
    made, expected = pool_of(fixed()), SIGMA * CLIP / 100
    for number in range(1, 61):
        cohort = [replace(HERE, round=number, holder=holder) for holder in range(12)]
        noise = noise_of(made, cohort)
        # 2,000 normal numbers: 5 standard errors
        np.testing.assert_allclose(noise.std(axis=1), expected, rtol=5 / math.sqrt(4000))
        halves = noise.reshape(12, 2, -1).std(axis=2)
        np.testing.assert_allclose(halves, expected, rtol=5 / math.sqrt(2000))


def every_call_for_noise_is_served():
    before = pool.NOISED_TOGETHER
    pool.NOISED_TOGETHER = 2 * DIMENSION  # two holders in a call
    try:
        noise = noise_of(pool_of(fixed()), [replace(HERE, holder=holder) for holder in range(7)])
    finally:
        pool.NOISED_TOGETHER = before
    assert np.all(noise.std(axis=1) > 0.9 * SIGMA * CLIP / 100)


@contextmanager
def watched() -> Iterator[list[bytes]]:
    """Write down every key of a secret stream that is begun."""
    keys: list[bytes] = []
    true = randomness.algorithms

    def begin(key: bytes):
        keys.append(bytes(key))
        return true.AES(key)

    randomness.algorithms = SimpleNamespace(AES=begin)
    try:
        yield keys
    finally:
        randomness.algorithms = true


NEAR = [
    replace(HERE, **change)
    for change in (
        *({"holder": holder} for holder in (0, 1, 255, 256, 257, 65_536, 65_537)),
        *({"round": number} for number in (1, 2, 4, 259, 515, 65_539)),
        {"parent": b"p" * 31 + b"q"},
        {"parent": b"q" + b"p" * 31},
        {"secret": bytes(31) + b"1"},
    )
]
"""Releases that differ in one thing, if only by a multiple of 256."""


def no_key_serves_twice():
    adaptive = fixed(clip_quantile=0.5, sampling_rate=0.5)
    plain = fixed(sampling_rate=0.5)
    for mechanism, streams in ((adaptive, 3), (plain, 2)):  # noise, records, and count
        with watched() as keys:
            for context in NEAR:
                sent(pool_of(mechanism), [context], clip=CLIP)
        assert len(keys) == streams * len(NEAR)
        assert len(set(keys)) == len(keys)


def a_release_has_the_same_noise_whenever_and_with_whomever_it_is_computed():
    contexts = [replace(HERE, holder=holder) for holder in (5, 0, 9)]
    together = noise_of(pool_of(fixed()), contexts)
    for context, row in list(zip(contexts, together, strict=True))[::-1]:
        alone = noise_of(pool_of(fixed()), [context])[0]
        assert np.array_equal(alone, row)


def noise_follows_the_clip_of_its_own_release():
    made = pool_of(fixed(clip_quantile=0.5))
    for clip in (CLIP / 4, CLIP, 4 * CLIP):
        (message,) = sent(made, [HERE], clip=clip)
        assert message.declaration.clip == clip
        assert published_vector(message).std() == pytest.approx(SIGMA * clip / 100, rel=0.08)


def noise_follows_the_records_of_its_own_holder_and_their_rate():
    for records, rate in ((10, 1.0), (1000, 1.0), (1000, 0.1)):
        made = pool_of(fixed(sampling_rate=rate), records)
        expected = SIGMA * CLIP / (rate * records)
        assert noise_of(made, [HERE])[0].std() == pytest.approx(expected, rel=0.08)
    made = pool_of(fixed())
    made._parts.task.holders.update({0: SimpleNamespace(count=10), 1: SimpleNamespace(count=1000)})
    noise = noise_of(made, [replace(HERE, holder=holder) for holder in (0, 1)])
    np.testing.assert_allclose(noise.std(axis=1) * [10, 1000], SIGMA * CLIP, rtol=0.08)


def noise_is_fine_and_never_repeats_within_a_vector():
    dimension = 200_000
    (drawn,) = fixed().release(np.zeros((1, dimension), np.float32), [SECRET], [1.0])
    assert len(np.unique(drawn)) > 0.95 * dimension
    assert abs(np.corrcoef(drawn[:-1000], drawn[1000:])[0, 1]) < 0.012  # 5 standard errors


def a_running_mean_is_of_noisy_releases():
    momentum = {"nodes.momentum": {"kind": "ema", "beta": 0.9}}
    made = pool_of(fixed(), **momentum)
    (first,) = sent(made, [HERE])
    last = LastMessage(first, 30)
    (message,) = sent(made, [replace(HERE, round=4)], last=last)
    behind = release_behind(message, last, made._parts.scenario.nodes.momentum)
    assert behind.std() == pytest.approx(SIGMA * CLIP / 100, rel=0.08)


def rounding_to_the_grid_is_paid_for():
    for dimension, releases, sigma in ((30_000, 40, 20.0), (10**9, 10, 5.0)):
        made = skellam(releases, dimension, noise_multiplier=sigma, clip=CLIP, spare_releases=0)
        # rounding moves each of d coordinates by a step of sigma / 2^23 at most
        less = sigma / (1 + math.sqrt(dimension) * sigma / DEVIATION)
        least = gaussian_epsilon(1e-5, math.sqrt(releases) / less)
        assert made.epsilon_after(releases) >= least


def noise_covers_the_spare_releases():
    for releases, spare, asked in ((40, None, 44), (10, None, 12), (10, 0, 10)):
        made = gaussian(releases, 5, epsilon=2.0, clip=CLIP, spare_releases=spare)
        assert made.terms.releases == asked
        assert made.epsilon_after(asked) == pytest.approx(2.0, rel=1e-6)


def the_count_of_a_clip_has_its_own_noise():
    mechanism = fixed(clip_quantile=0.5)
    made, counts = pool_of(mechanism), []
    for number in range(1, 400):
        asked = [ReleaseRequest(replace(HERE, round=number), IDENTITY, clip=CLIP)]
        batch = made(np.zeros(1), asked)
        share = 0.5 - math.log(batch.clips[0] / CLIP) / 0.2
        counts.append((share - 0.5) * 100 - 50)  # all 100 records are within
    assert np.std(counts) == pytest.approx(mechanism.count_noise, rel=0.18)  # 5 standard errors
    assert abs(np.mean(counts)) < 5 * mechanism.count_noise / math.sqrt(399)


ROWS: dict[Callable[[], None], tuple[Callable[..., None], ...]] = {
    every_release_of_sixty_rounds_has_all_its_noise: (
        mutants.leaves_out_one_round,
        mutants.leaves_out_every_tenth_round,
        mutants.leaves_out_one_release,
        mutants.shrinks_the_noise_after_round_20,
        mutants.halves_the_noise_of_two_holders,
        mutants.draws_the_first_half_only,
    ),
    every_call_for_noise_is_served: (mutants.leaves_out_all_but_the_first_call,),
    no_key_serves_twice: (
        mutants.cuts_the_holder_to_a_byte,
        mutants.cuts_the_round_to_a_byte,
        mutants.cuts_the_parent_to_a_byte,
        mutants.forgets_the_purpose,
        mutants.forgets_the_holder,
        mutants.forgets_the_round,
        mutants.forgets_the_parent,
        mutants.forgets_the_secret,
        mutants.counts_from_the_stream_of_the_noise,
        mutants.draws_records_from_the_stream_of_the_noise,
    ),
    a_release_has_the_same_noise_whenever_and_with_whomever_it_is_computed: (
        mutants.numbers_releases_as_they_are_computed,
        mutants.numbers_holders_within_their_cohort,
    ),
    noise_follows_the_clip_of_its_own_release: (mutants.scales_the_noise_by_the_first_clip,),
    noise_follows_the_records_of_its_own_holder_and_their_rate: (
        mutants.takes_the_largest_holder_for_all,
        mutants.takes_the_smallest_holder_for_all,
        mutants.forgets_the_rate_of_the_mean,
    ),
    noise_is_fine_and_never_repeats_within_a_vector: (
        mutants.draws_in_half_precision,
        mutants.repeats_the_noise_within_a_vector,
    ),
    a_running_mean_is_of_noisy_releases: (mutants.momentum_before_the_noise,),
    rounding_to_the_grid_is_paid_for: (mutants.rounds_to_the_grid_for_nothing,),
    noise_covers_the_spare_releases: (mutants.forgets_the_spare_releases,),
    the_count_of_a_clip_has_its_own_noise: (mutants.moves_the_clip_without_noise,),
}
"""Each check, and the mistakes that it must find."""
BY_NAME = {check.__name__: check for check in ROWS}
NAMES = {broken: name for name, broken in vars(mutants).items() if callable(broken)}
PAIRS = [(check.__name__, broken) for check, all_ in ROWS.items() for broken in all_]


@pytest.mark.parametrize("check", BY_NAME)
def test_the_noise_passes(check):
    BY_NAME[check]()


@pytest.mark.parametrize(
    ("check", "broken"), PAIRS, ids=[f"{check}-{NAMES[broken]}" for check, broken in PAIRS]
)
def test_noise_with_the_mistake_fails(check, broken, monkeypatch):
    broken(monkeypatch)
    with pytest.raises(AssertionError):
        BY_NAME[check]()


FEW = {"rounds": 10, "nodes.holders": 5, "task.each": 100, "nodes.compute": 1}
QUANTILE = {"privacy.clip_quantile": 0.9}
"""Canaries are above any clip, so that it grows from round to round."""


def audited(values) -> tuple[float, str]:
    """Return what an audit proves over what is claimed, and where."""
    with tempfile.TemporaryDirectory() as folder:
        (row,) = audit(load(AUDIT, set=values), ["canaries"], folder).findings["canaries"]
    return row["lower_bound"] / row["claimed"], row["found_in"]


def test_a_short_audit_sees_a_round_without_noise(monkeypatch):
    mutants.leaves_out_every_tenth_round(monkeypatch)
    over, where = audited(FEW)
    assert (over > 5, where) == (True, "round 10")


def test_a_short_audit_sees_a_count_without_noise(monkeypatch):
    mutants.moves_the_clip_without_noise(monkeypatch)
    over, where = audited({**FEW, "privacy.clip_quantile": 0.5})
    assert (over > 5, where) == (True, "counts of the clip")


LONG = {
    "leaves_out_one_round": ({}, "round 17", 42 / 4),
    "leaves_out_every_tenth_round": ({}, "round ", 40 / 4),
    "halves_the_noise_of_two_holders": ({}, "holder ", 1.2),
    "leaves_out_one_release": ({}, "holder 3 in round 17", 4.0),
    "shrinks_the_noise_after_round_20": ({}, "", 1.0),
    "scales_the_noise_by_the_first_clip": (QUANTILE, "", 2.0),
    "moves_the_clip_without_noise": (QUANTILE, "counts of the clip", 10.0),
}
"""What the shipped audit must prove, over the claim, and where."""


@pytest.mark.long
@pytest.mark.parametrize("name", LONG)
def test_the_shipped_audit_sees_the_mistake(name, monkeypatch):
    values, place, least = LONG[name]
    getattr(mutants, name)(monkeypatch)
    over, where = audited(values)
    assert where.startswith(place)
    assert over > least


@pytest.mark.long
@pytest.mark.parametrize("values", [{}, QUANTILE], ids=["as it is", "with a clip that follows"])
def test_the_shipped_audit_passes_what_is_right(values):
    assert audited(values)[0] < 1

"""Mistakes that simulators make: a check for each, and code that makes it and fails the check."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import mutants
import numpy as np
import pytest
import torch
from published import ACCOUNTING
from scipy import stats
from small_runs import forking, simulate, small
from torch import nn
from whole_numbers import WHOLE, whole_numbers

from fedchain.agreement import mechanism_of
from fedchain.audits import Choices, audit
from fedchain.errors import PartError
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.losses import cross_entropy
from fedchain.learning.models import mlp
from fedchain.learning.task import Records, Task
from fedchain.ledger.chain.crypto import public_key_of
from fedchain.ledger.chain.message import Declaration, Message
from fedchain.nodes.holders.holder_pool import HolderPool
from fedchain.nodes.holders.identity import RoundKey
from fedchain.nodes.holders.pool_parts import PoolParts
from fedchain.nodes.holders.release import ReleaseContext, ReleaseRequest, private_releases
from fedchain.privacy import accounting, guarantee
from fedchain.privacy.accounting import gaussian_epsilon
from fedchain.privacy.budget import Budget
from fedchain.privacy.local_steps import releases_in_message
from fedchain.privacy.mechanisms import gaussian, knorm, laplace, skellam
from fedchain.randomness import digest
from fedchain.registry import Part
from fedchain.runs.privacy_statement import epsilon_spent
from fedchain.scenario import Local, load

CLIP = 0.5
SPENT = {"epsilon": 4.0, "delta": 1e-5, "clip": CLIP}
SECRET = bytes(range(32))
IDENTITY = RoundKey(SECRET, public_key_of(SECRET), None)
OCCASION = ReleaseContext(secret=bytes(32), chain_id=bytes(32), parent=b"p" * 32, round=3, holder=0)
QUIET = small(attacks=[], **{"ledger.storage": "int32"})


def messages(rows, mechanism, records, **when) -> list[Message]:
    """What holders with these clipped mean gradients send."""
    task = SimpleNamespace(holders=[SimpleNamespace(count=count) for count in records])
    parts = PoolParts(
        gradients=lambda *_: np.array(rows, np.float32),
        scenario=QUIET,
        task=task,
        mechanism=mechanism,
    )
    made = HolderPool(parts)
    contexts = [replace(OCCASION, holder=holder, **when) for holder in range(len(rows))]
    return list(made(np.zeros(1), [ReleaseRequest(o, IDENTITY) for o in contexts]).messages)


def read(message: Message) -> np.ndarray:
    return message.direction / 2.0**message.exponent * message.norm


def sent(rows, mechanism, records, **when) -> np.ndarray:
    return np.stack([read(each) for each in messages(rows, mechanism, records, **when)])


def linear_task(holders, outputs: int = 2) -> Task:
    width = holders[0].inputs.shape[1]

    def model():
        torch.manual_seed(0)
        return nn.Linear(width, outputs)

    return Task(
        name="t",
        holders=holders,
        held_out=holders[0],
        model=model,
        loss=cross_entropy(),
        measure=lambda *_: {},
        score="accuracy",
        baselines={},
    )


def table(count: int, seed: int = 0) -> Records:
    generator = np.random.default_rng(seed)
    inputs = generator.standard_normal((count, 6)).astype(np.float32)
    return Records(inputs, generator.integers(0, 2, count))


def noise_and_gradient_are_both_of_the_mean():
    dimension = 2000
    spread = {gaussian: 1.0, skellam: 1.0, laplace: math.sqrt(2 * dimension)}
    spread[knorm] = math.sqrt(dimension + 1)
    rows = np.linspace(-1, 1, 3 * dimension).reshape(3, -1) * 1e-4
    for made, sd in spread.items():
        mechanism = made(10, dimension, noise_multiplier=2.0, clip=CLIP)
        noise = sent(rows, mechanism, [10, 100, 1000]) - rows
        np.testing.assert_allclose(noise.std(axis=1) * [10, 100, 1000], 2 * CLIP * sd, rtol=0.08)
    same = Records(np.ones((10, 6), np.float32), np.zeros(10, np.int64))
    more = Records(np.ones((1000, 6), np.float32), np.zeros(1000, np.int64))
    task = linear_task([same, more])
    few, many = CohortGradients(task, CLIP)(np.zeros(14), [0, 1])
    np.testing.assert_allclose(few, many, rtol=1e-4)
    assert np.linalg.norm(many) <= CLIP * (1 + 1e-4)  # a sum in float32


def one_record_moves_a_message_by_its_sensitivity_at_most():
    records, dimension = 100, 20
    generator = np.random.default_rng(0)
    largest = 0.0
    for made in (gaussian, knorm, laplace):
        mechanism = made(10, dimension, noise_multiplier=1.0, clip=CLIP)
        for size in (0.0, 1e-4, 1e-3, 1e-2, 0.1):  # short gradients are what normalising stretches
            base, step = generator.standard_normal((2, dimension))
            base *= size / np.linalg.norm(base)
            step *= CLIP / records / np.linalg.norm(step)
            with_it, without = (sent([row], mechanism, [records])[0] for row in (base + step, base))
            largest = max(largest, float(np.linalg.norm(with_it - without)))
    assert largest <= CLIP / records * 1.001


def an_enormous_example_moves_the_sum_by_the_clip_at_most():
    ordinary = table(50)
    for size in (1.0, 1e3, 1e6):
        outlier = Records(np.full((1, 6), size, np.float32), np.array([1]))
        inputs = np.concatenate([ordinary.inputs, outlier.inputs])
        more = Records(inputs, np.concatenate([ordinary.targets, outlier.targets]))
        task = linear_task([ordinary, more])
        weights = np.random.default_rng(1).standard_normal(14)
        for way in (False, True):
            found = CohortGradients(task, CLIP, dtype=torch.float64, automatic=way)
            one, two = found(weights, [0, 1])
            assert np.linalg.norm(two * 51 - one * 50) <= CLIP * (1 + 1e-9)


def noise_is_fresh_but_for_the_same_release():
    mechanism = gaussian(10, 4000, noise_multiplier=2.0, clip=CLIP)
    one, two = sent(np.zeros((2, 4000)), mechanism, [50, 50])
    later = sent(np.zeros((1, 4000)), mechanism, [50], round=4, parent=b"q" * 32)[0]
    fork = sent(np.zeros((1, 4000)), mechanism, [50], parent=b"q" * 32)[0]
    again = sent(np.zeros((1, 4000)), mechanism, [50])[0]
    higher = sent(np.zeros((1, 4000)), mechanism, [50], round=4)[0]
    assert np.array_equal(one, again)
    for other in (two, later, fork, higher):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.08
        expected = math.sqrt(2) * 2.0 * CLIP / 50
        assert (one - other).std() == pytest.approx(expected, rel=0.06)


def totals_are_the_published_ones():
    for row in ACCOUNTING:
        mechanism = gaussian(
            row.releases,
            10,
            noise_multiplier=row.sigma,
            delta=row.delta,
            clip=CLIP,
            sampling_rate=row.rate,
            spare_releases=0,
        )
        assert mechanism.epsilon_after(row.releases) == pytest.approx(row.pld, abs=1e-3)
    many = gaussian(100, 10, noise_multiplier=20.0, clip=CLIP).epsilon_after(100)
    one = gaussian(1, 10, noise_multiplier=2.0, clip=CLIP).epsilon_after(1)
    assert many == pytest.approx(one, rel=1e-9)


def the_budget_is_what_went_over_the_wire(folder):
    made = simulate(forking(12, attacks=[], privacy=WHOLE), folder)
    setup, simulation = made.setup, made.simulation
    wire, post = set(), simulation._transport.post

    def watched(sender, sends, now_s):
        wire.update(
            (send.payload.public_key, send.payload.parent)
            for send in sends
            if sender in setup.holder_slots and isinstance(send.payload, Message)
        )
        post(sender, sends, now_s)

    simulation._transport.post = watched
    with whole_numbers():
        list(simulation.rounds())
    made.close()
    owners = {
        setup.identities.of(holder, round_).public_key: holder
        for holder in range(10)
        for round_ in range(1, 14)
    }
    releases = Counter(owners[key] for key, _ in wire)
    assert max(releases.values()) > simulation.chain.height  # forks were answered
    assert simulation.releases == dict(releases)
    told = epsilon_spent(setup, simulation.releases)
    assert told["total"] == setup.mechanism.epsilon_after(max(releases.values()))


class Normed(nn.Module):
    """A dense network with something between its layers."""

    def __init__(self, between: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(6, 8), between, nn.Linear(8, 2))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layers(inputs)


def no_example_touches_the_gradient_of_another():
    batch = table(8)
    inputs, targets = torch.from_numpy(batch.inputs).double(), torch.from_numpy(batch.targets)
    changed = inputs.clone()
    changed[0] += 3.0
    models = [lambda: mlp((6,), 2, hidden=[5]), lambda: Normed(nn.GroupNorm(2, 8))]
    models += [lambda: Normed(nn.BatchNorm1d(8, affine=False))]
    for model in models:
        task = replace(linear_task([batch]), model=model)
        try:
            gradients = CohortGradients(task, CLIP, dtype=torch.float64)
        except PartError:
            continue  # refused
        before, after = (
            gradients._way(gradients._module, task.loss, each, targets)
            for each in (inputs, changed)
        )
        assert not torch.equal(before[0], after[0])
        assert torch.equal(before[1:], after[1:])


def a_total_grows_with_the_releases():
    setup = SimpleNamespace(mechanism=gaussian(100, 10, noise_multiplier=20.0, clip=CLIP))
    one, hundred = (epsilon_spent(setup, {0: count})["total"] for count in (1, 100))
    assert one < 0.2
    assert hundred > 1.9
    words = [guarantee.figures(setup.mechanism, count) for count in (1, 100)]
    assert words[0] != words[1]


def samplers_follow_their_laws():
    unit = {"noise_multiplier": 1.0, "clip": 1.0}
    zeros, keys = np.zeros((10, 1_000_000), np.float32), [digest(5, "n", k) for k in range(10)]
    scale = math.sqrt(1_000_000)  # laplace: the 1-norm
    for made, law, unit_scale in (
        (gaussian, stats.norm, 1.0),
        (skellam, stats.norm, 1.0),
        (laplace, stats.laplace, scale),
    ):
        drawn = made(1, 1_000_000, **unit).release(zeros, keys, [1.0] * 10).ravel() / unit_scale
        assert stats.kstest(drawn[::50].astype(np.float64), law.cdf).pvalue > 0.001
        fine = np.sort(abs(drawn[:200_000]))[:200]  # near 0 the density is flat
        assert len(np.unique(fine)) > 190
        for tail in (3.0, 4.5):
            expected = 2e7 * law.sf(tail)
            found = (abs(drawn) > tail).sum()
            assert abs(found - expected) < 4.5 * math.sqrt(expected)
    dimension, keys = 30, [digest(6, "n", k) for k in range(4000)]
    zeros = np.zeros((4000, dimension), np.float32)
    radius = np.linalg.norm(knorm(1, dimension, **unit).release(zeros, keys, [1.0] * 4000), axis=1)
    assert stats.kstest(radius, stats.gamma(dimension).cdf).pvalue > 0.001


FIELDS = {
    Message: "version chain_id parent round public_key proof exponent direction norm declaration "
    "signature",
    Declaration: "mechanism noise_step noise clip records",
}
"""All that a holder says; nothing else may leave it."""


def messages_carry_nothing_private():
    mechanism = gaussian(10, 20, noise_multiplier=1.0, clip=CLIP)
    rows = np.random.default_rng(0).standard_normal((2, 20)) * [[0.01], [0.1]]
    said = [messages([row], mechanism, [100])[0] for row in rows]
    for message in said:
        for part, kind in ((message, Message), (message.declaration, Declaration)):
            assert [field.name for field in fields(part)] == FIELDS[kind].split()
    assert said[0].declaration == said[1].declaration
    for message, row in zip(said, rows, strict=True):
        noisy = private_releases(row[None].astype(np.float32), mechanism, [100], [OCCASION])
        assert message.norm == pytest.approx(np.linalg.norm(noisy), rel=1e-4)


def a_clip_that_follows_the_records_is_noisy_and_paid_for():
    mechanism = gaussian(40, 10, epsilon=4.0, clip=CLIP, clip_quantile=0.5, spare_releases=0)
    keys = [digest(0, "clip", number) for number in range(2000)]
    clips = np.array([mechanism.clip_follower.next_clip(key, CLIP, 60, 100, 100) for key in keys])
    shares = 0.5 - np.log(clips / CLIP) / 0.2
    assert shares.mean() == pytest.approx(0.6, abs=0.03)
    # one record moves the gradient by 1 and the count by 1/2: one normal vector
    count = shares.std() * 100
    assert count > 1
    joint = (mechanism.noise_multiplier**-2 + (2 * count) ** -2) ** -0.5
    expected = gaussian_epsilon(1e-5, math.sqrt(40) / joint)
    assert mechanism.epsilon_after(40) == pytest.approx(expected, rel=0.005)


def a_delta_of_one_record_is_warned_of():
    mechanism = gaussian(10, 5, epsilon=1.0, clip=CLIP, delta=0.005)
    texts = guarantee.warnings_for(mechanism, [100, 200, 50])
    assert any("n_k = 200" in text for text in texts)


def every_local_step_of_records_has_noise_and_is_counted():
    # A record moves a step by the clip alone only if the way there is published with its noise.
    local, given = Local(steps=4, learning_rate=0.5), {**SPENT, "spare_releases": None}
    scenario = QUIET.model_copy(update={"local": local, "privacy": Part("gaussian", given)})
    mechanism = mechanism_of(scenario, 2000)
    most = mechanism.terms.releases
    assert most == 4 * gaussian(6, 2000, **SPENT).terms.releases
    noise = accounting.gaussian_noise_multiplier(SPENT["epsilon"], SPENT["delta"], most)
    assert math.isclose(mechanism.noise_multiplier, noise, rel_tol=1e-9)
    ways = []

    class Still:
        dimension = 2000

        def means(self, weights, holders, drawn=None):
            ways.append(weights.copy())
            return np.zeros((len(holders), 2000))

        def clipped(self, rows):
            return rows

    task = SimpleNamespace(holders=[SimpleNamespace(count=100)])
    parts = PoolParts(gradients=Still(), scenario=scenario, task=task, mechanism=mechanism)
    (message,) = HolderPool(parts)(np.zeros(2000), [ReleaseRequest(OCCASION, IDENTITY)]).messages
    steps = -np.diff(np.stack(ways), axis=0) / local.learning_rate
    each = mechanism.noise_multiplier * SPENT["clip"] / 100
    np.testing.assert_allclose(steps.std(axis=1), each, rtol=0.1)
    assert np.abs(np.corrcoef(steps) - np.eye(3)).max() < 0.1
    np.testing.assert_allclose(read(message).std(), 2 * each, rtol=0.1)
    budget = Budget(mechanism, releases_in_message(mechanism, local))
    budget.spend(b"parent", 1)
    assert budget.releases == 4


AUDIT = Path(__file__).parents[2] / "scenarios" / "audit.yaml"


def the_audit_stays_below_the_claim():
    with tempfile.TemporaryDirectory() as folder:
        short = load(AUDIT, set={"rounds": 4, "nodes.holders": 40})
        sure = Choices(confidence=0.9999)
        assert not audit(short, ["canaries"], folder, sure).violations


ROWS: dict[Callable[[], None], tuple[Callable[..., None], ...]] = {
    noise_and_gradient_are_both_of_the_mean: (
        mutants.noise_of_the_sum_on_the_mean,
        mutants.noise_of_the_mean_on_the_sum,
    ),
    one_record_moves_a_message_by_its_sensitivity_at_most: (mutants.normalises_before_the_noise,),
    an_enormous_example_moves_the_sum_by_the_clip_at_most: (
        mutants.clips_the_batch,
        mutants.clips_nothing,
    ),
    noise_is_fresh_but_for_the_same_release: (
        mutants.holders_share_their_noise,
        mutants.rounds_share_their_noise,
        mutants.forks_share_their_noise,
        mutants.rounds_of_a_fork_share_their_noise,
        mutants.a_resumed_release_has_new_noise,
    ),
    totals_are_the_published_ones: (
        mutants.forgets_the_steps,
        mutants.counts_half_the_steps,
        mutants.forgets_the_rate,
        mutants.halves_the_rate,
    ),
    no_example_touches_the_gradient_of_another: (mutants.lets_batch_norm_in,),
    a_total_grows_with_the_releases: (mutants.shows_one_release_as_the_total,),
    samplers_follow_their_laws: (
        mutants.cuts_the_tails,
        mutants.takes_a_radius_of_one_dimension_less,
        mutants.draws_laplace_from_too_few_bits,
        mutants.leaves_the_rest_of_skellam_out,
    ),
    messages_carry_nothing_private: (
        mutants.publishes_the_raw_norm,
        mutants.clips_at_the_median_of_private_norms,
        mutants.publishes_the_loss,
    ),
    a_clip_that_follows_the_records_is_noisy_and_paid_for: (
        mutants.follows_the_quantile_without_noise,
        mutants.forgets_the_cost_of_the_count,
    ),
    every_local_step_of_records_has_noise_and_is_counted: (
        mutants.adds_noise_after_the_last_local_step,
        mutants.local_steps_share_their_noise,
        mutants.counts_the_local_steps_as_one_release,
    ),
    a_delta_of_one_record_is_warned_of: (
        mutants.never_warns,
        mutants.warns_by_the_smallest_holder,
    ),
    the_audit_stays_below_the_claim: (
        mutants.halves_the_noise,
        mutants.rounds_share_their_noise,
        mutants.holders_share_their_noise,
        mutants.clips_nothing,
    ),
}
"""Each check, and the mistakes that it must find."""
BY_NAME = {check.__name__: check for check in ROWS}
NAMES = {broken: name for name, broken in vars(mutants).items() if callable(broken)}
PAIRS = [(check.__name__, broken) for check, all_ in ROWS.items() for broken in all_]
COUNTING = (
    mutants.counts_every_release_twice,
    mutants.forgets_every_third_release,
    mutants.counts_rounds_of_the_chain,
)


@pytest.mark.parametrize("check", BY_NAME)
def test_the_code_passes(check):
    BY_NAME[check]()


@pytest.mark.parametrize(
    ("check", "broken"), PAIRS, ids=[f"{check}-{NAMES[broken]}" for check, broken in PAIRS]
)
def test_code_that_makes_the_mistake_fails(check, broken, monkeypatch):
    broken(monkeypatch)
    with pytest.raises(AssertionError):
        BY_NAME[check]()


def test_epsilon_from_the_messages_on_the_wire_is_that_of_the_budget(tmp_path):
    the_budget_is_what_went_over_the_wire(tmp_path)


@pytest.mark.parametrize("broken", COUNTING, ids=NAMES.__getitem__)
def test_a_budget_that_miscounts_fails(broken, monkeypatch, tmp_path):
    broken(monkeypatch)
    with pytest.raises(AssertionError):
        the_budget_is_what_went_over_the_wire(tmp_path)

"""A privacy filter: what a release spends, whatever forks come, and what a run makes of it."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import SPENDING, simulate, small, spending

from fedchain.checks import verify
from fedchain.errors import ScenarioError
from fedchain.nodes.holders.release import ReleaseContext, private_releases
from fedchain.privacy.budget import Budget
from fedchain.privacy.mechanisms import gaussian, privacy_filter
from fedchain.privacy.mechanisms.privacy_filter import LAST_EXTRA, PER_OCTAVE
from fedchain.runs.running import run

GROWTHS = st.sampled_from([1.0, 1.5, 2.0, 5.0, 16.0])


def asked(budget: Budget, rounds: list[int]) -> list[float | None]:
    """Let a holder answer new blocks of these heights; return the noise of each answer."""
    found: list[float | None] = []
    for number, round_ in enumerate(rounds):
        parent = b"%d" % number
        step = budget.noise_step(parent, round_)
        found.append(None if step is None else budget.mechanism.noises[step])
        if step is not None:
            budget.spend(parent, round_)
    return found


@st.composite
def forked(draw: st.DrawFn) -> tuple[int, list[int]]:
    """Number of rounds, and the heights that a holder is asked at: on, again, or lower."""
    rounds, at, heights = draw(st.integers(1, 30)), 1, list[int]()
    while at <= rounds and len(heights) < 3 * rounds + 8:
        heights.append(at)
        at = max(1, at + draw(st.sampled_from([1, 1, 1, 0, 0, -1, 2])))
    return rounds, heights + [rounds] * draw(st.integers(0, 6))


@settings(max_examples=300, deadline=None)
@given(forked(), GROWTHS)
def test_whatever_forks_come_the_squares_of_all_releases_stay_within_the_filter(forks, growth):
    rounds, heights = forks
    made = privacy_filter(rounds, 5, noise_multiplier=1.0, clip=0.1, growth=growth)
    noises = [noise for noise in asked(Budget(made), heights) if noise is not None]
    spent = math.fsum(1 / noise**2 for noise in noises)
    assert spent <= (rounds + 1) * (1 + 1e-12)
    assert spent <= made.most_spent(len(noises)) * (1 + 1e-12)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 40), GROWTHS, st.data())
def test_a_holder_has_an_answer_in_every_round_and_for_some_forks_whenever_they_come(
    rounds, growth, data
):
    made = privacy_filter(rounds, 5, noise_multiplier=1.0, clip=0.1, growth=growth)
    extra = data.draw(st.lists(st.integers(1, rounds), max_size=LAST_EXTRA))
    assert None not in asked(Budget(made), sorted([*range(1, rounds + 1), *extra]))


def test_after_four_forks_in_the_last_round_a_holder_is_silent():
    made = privacy_filter(6, 5, noise_multiplier=3.0, clip=0.1)
    noises = asked(Budget(made), [1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6])
    assert noises[:6] == pytest.approx([3.0] * 6)
    assert noises[6:10] == pytest.approx([3 * 2 ** (n / 2) for n in (1, 2, 3, 4)])
    assert noises[10] is None


def test_the_total_of_different_noise_agrees_with_an_independent_accountant():
    from dp_accounting.pld import privacy_loss_distribution

    made = privacy_filter(8, 5, epsilon=1.0, clip=0.1, delta=1e-5, growth=2.0)
    noises = asked(Budget(made), [1, 2, 2, 3, 4, 5, 6, 6, 7, 8, 8, 8])
    assert None not in noises
    whole = None
    for noise in noises:
        one = privacy_loss_distribution.from_gaussian_mechanism(
            noise, value_discretization_interval=1e-4
        )
        whole = one if whole is None else whole.compose(one)
    assert 0.97 < whole.get_epsilon_for_delta(1e-5) <= 1.0 + 1e-3


def test_without_forks_noise_is_that_of_one_release_more_than_there_are_rounds():
    made = privacy_filter(40, 5, epsilon=1.0, clip=0.1)
    noises = asked(Budget(made), list(range(1, 41)))
    exact = gaussian(40, 5, epsilon=1.0, clip=0.1, spare_releases=1).noise_multiplier
    assert noises == pytest.approx([exact] * 40)
    assert exact < 0.97 * gaussian(40, 5, epsilon=1.0, clip=0.1).noise_multiplier
    assert made.epsilon_after(40) == pytest.approx(
        gaussian(40, 5, noise_multiplier=exact, clip=0.1).epsilon_after(40)
    )


@pytest.mark.parametrize("growth", [1.0, 2.0, 7.0])
def test_noise_grows_over_the_run_by_what_is_asked(growth):
    made = privacy_filter(40, 5, epsilon=1.0, clip=0.1, growth=growth)
    noises = asked(Budget(made), list(range(1, 41)))
    assert noises == sorted(noises)
    assert abs(math.log2(noises[-1] / noises[0] / growth)) < 4 / PER_OCTAVE
    assert math.fsum((made.noise_multiplier / noise) ** 2 for noise in noises) / 40 > 40 / 41


def test_a_fork_raises_the_noise_of_what_follows_a_little_and_of_nothing_else():
    made = privacy_filter(40, 5, noise_multiplier=1.0, clip=0.1)
    noises = asked(Budget(made), [*range(1, 21), 20, *range(21, 41)])
    assert noises[:20] == pytest.approx([1.0] * 20)
    assert min(noises[20:22]) > 1.0
    assert max(noises[20:]) < 1.1


def test_an_answer_that_is_sent_again_has_its_noise():
    budget = Budget(privacy_filter(10, 5, noise_multiplier=1.0, clip=0.1))
    for parent, round_ in ((b"a", 1), (b"b", 2), (b"fork", 2), (b"c", 3)):
        budget.spend(parent, round_)
    steps = [budget.noise_step(parent, 2) for parent in (b"b", b"fork")]
    budget.spend(b"fork", 2)
    assert steps[0] == 0 < steps[1]
    assert budget.releases == 4


def test_each_release_has_the_noise_of_its_step():
    made = privacy_filter(10, 5, noise_multiplier=2.0, clip=0.5)
    steps = [0, 16, 0, 32, 16, 8]
    at = {"secret": bytes(32), "chain_id": b"", "parent": b"p", "round": 1}
    contexts = [
        ReleaseContext(**at, holder=holder, noise_step=step) for holder, step in enumerate(steps)
    ]
    rows = private_releases(np.zeros((6, 20_000)), made, [10] * 6, contexts)
    expected = [made.noises[step] * 0.05 for step in steps]
    assert rows.std(axis=1) == pytest.approx(expected, rel=0.03)


def test_one_release_with_two_steps_shares_no_draw():
    made = privacy_filter(10, 5, noise_multiplier=2.0, clip=0.5)
    at = {"secret": bytes(32), "chain_id": b"", "parent": b"p", "round": 1, "holder": 3}
    contexts = [ReleaseContext(**at, noise_step=step) for step in (0, 16)]
    rows = private_releases(np.zeros((2, 20_000)), made, [10] * 2, contexts)
    assert abs(np.corrcoef(rows)[0, 1]) < 0.04


@pytest.mark.parametrize("bad", [0.5, 17, math.nan])
def test_noise_may_not_fall_or_grow_without_bounds(bad):
    with pytest.raises(
        ScenarioError, match=r"privacy\.growth: must be (at least 1|at most 16|a finite number)"
    ):
        small(privacy={**SPENDING, "growth": bad})


SEEDS = range(12)
"""Whether a chain forks depends on hashes, and so on the processor: one of these seeds forks."""


def told_in(seed: int, folder: Path) -> dict[int, list[tuple[int, int | None]]]:
    """Play a run; return for each participant its messages' noise steps: declared, and due."""
    made = simulate(spending(seed=seed), folder)
    told = defaultdict(list)
    release = made.simulation._releases.release

    def heard(participant, parent, round_):
        budget = made.simulation._releases.budget(participant)
        sent = release(participant, parent, round_)
        told[participant] += [
            (message.declaration.noise_step, budget.noise_step(parent, round_)) for message in sent
        ]
        return sent

    made.simulation._releases.release = heard
    list(made.simulation.rounds())
    made.close()
    return told


def test_messages_name_the_noise_that_their_holders_budget_says(tmp_path):
    for seed in SEEDS:
        told = told_in(seed, tmp_path / str(seed))
        assert all(said == due for steps in told.values() for said, due in steps)
        if any(len(steps) > 6 for steps in told.values()):
            assert len({step for steps in told.values() for step, _ in steps}) > 6
            return
    pytest.fail("no run has forked")


def test_verify_notices_a_holder_that_takes_less_noise_than_its_budget_allows(
    tmp_path, monkeypatch
):
    step = Budget.noise_step

    def least(budget, parent, round_):
        return 0 if step(budget, parent, round_) is not None else None

    with monkeypatch.context() as patch:
        patch.setattr(Budget, "noise_step", least)
        done = run(spending(4), tmp_path)
    found = verify(done.folder)
    assert not found.ok
    assert "noise_step: is 0; what the participant has spent allows" in found.reason

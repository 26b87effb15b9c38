"""Terms of mechanisms of the user's own: kept, or refused with a reason."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from group_runs import grouped
from small_runs import simulate, small

from fedchain.errors import PartError, ScenarioError
from fedchain.forecasts.forecast import forecast
from fedchain.privacy.guarantee import guarantee
from fedchain.privacy.mechanisms import (
    Mechanism,
    Terms,
    clipped,
    gaussian,
    knorm,
    laplace,
    mechanisms,
    none,
    privacy_filter,
    skellam,
)
from fedchain.registry import Part
from fedchain.runs.running import run
from fedchain.simulation.setup import build_setup

NOISE = {"noise_multiplier": 2.0, "clip": 0.5}
QUANTILE = {"clip_quantile": 0.5}
OWN = {"privacy": {"kind": "own_lab:own"}}


@pytest.fixture
def own(monkeypatch):
    """Return a function that makes another the user's own mechanism ``own_lab:own``."""

    def install(made) -> None:
        monkeypatch.setitem(sys.modules, "own_lab", SimpleNamespace(own=made))

    return install


def with_terms(made: Mechanism, **terms: object) -> Mechanism:
    """Return a mechanism that claims other terms."""
    return replace(made, name="own", terms=replace(made.terms, **terms))


@pytest.mark.parametrize(
    ("made", "shares", "words"),
    [
        (
            with_terms(knorm(10, 5, **NOISE), clip_quantile=0.5),
            (),
            "terms.clip_quantile must be None where clip_follower is None, got 0.5",
        ),
        (
            with_terms(laplace(10, 5, **NOISE), sampling_rate=0.25),
            (),
            "terms.sampling_rate must be 1 where sampling is False, got 0.25",
        ),
        (
            replace(knorm(10, 5, **NOISE), clip_follower=gaussian(10, 5, **NOISE)),
            (),
            "terms.clip_quantile must be what the clip_follower follows, got None",
        ),
        (
            gaussian(10, 5, **NOISE),
            (4,),
            "group_noise must add up from 4 shares where holders form groups, got None",
        ),
        (
            replace(with_terms(skellam(10, 5, 4, **NOISE), sampling_rate=0.5), sampling=True),
            (4,),
            "terms.sampling_rate must be 1 where holders form groups, got 0.5",
        ),
        (
            gaussian(10, 5, **NOISE, clip_quantile=0.5),
            (4,),
            "terms.clip_quantile must be None where holders form groups, got 0.5",
        ),
        (
            replace(skellam(10, 5, 4, **NOISE), noise_schedule=privacy_filter(10, 5, **NOISE)),
            (4,),
            "noise_schedule must be None where holders form groups, got one",
        ),
        (
            replace(
                gaussian(10, 5, **NOISE, clip_quantile=0.5),
                noise_schedule=privacy_filter(10, 5, **NOISE),
            ),
            (),
            "noise_schedule must be None where clips follow a quantile, got one",
        ),
        (
            SimpleNamespace(
                name="own", noise_multiplier=1.0, clip=0.5, epsilon_after=lambda _: 1.0
            ),
            (),
            "lacks terms, sampling, group_noise, clip_follower, noise_schedule, "
            "epsilon_per_release, pure_total, release, noise_norm, epsilon_bound, cross_check, "
            "which every mechanism has",
        ),
        (
            replace(gaussian(10, 5, **NOISE), terms={"clip": 0.5}),
            (),
            "terms must be Terms, got dict",
        ),
    ],
)
def test_a_mechanism_of_ones_own_that_does_not_keep_its_terms_is_refused(made, shares, words, own):
    alone, shared = (lambda _rounds, _size: made), (lambda _rounds, _size, _shares: made)
    own(shared if shares else alone)
    with pytest.raises(PartError) as caught:
        mechanisms.build(Part("own_lab:own", {}), 10, 5, *shares)
    assert str(caught.value) == f"mechanism own_lab:own: {words}"


def test_mechanisms_of_the_package_keep_their_terms():
    made = [maker(10, 5, **NOISE) for maker in (gaussian, knorm, laplace, skellam)]
    made += [none(10, 5), clipped(10, 5, clip=0.5)]
    made += [gaussian(10, 5, **NOISE, sampling_rate=0.5, clip_quantile=0.5)]
    for each in made:
        assert mechanisms.flaw(each, 10, 5) is None
    assert mechanisms.flaw(skellam(10, 5, 4, **NOISE), 10, 5, 4) is None


def test_a_quantile_that_nothing_follows_begins_no_run_and_explains_nothing(own, tmp_path):
    own(lambda releases, dimension: with_terms(knorm(releases, dimension, **NOISE), **QUANTILE))
    scenario = small(2, attacks=[], **OWN)
    words = "own_lab:own: terms.clip_quantile must be None where clip_follower is None, got 0.5"
    with pytest.raises(PartError, match=words):
        run(scenario, tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PartError, match=words):
        forecast(scenario)


def test_clips_of_a_mechanism_of_ones_own_follow_the_quantile_that_the_guarantee_names(
    own, tmp_path
):
    own(lambda rounds, size: with_terms(gaussian(rounds, size, **NOISE, **QUANTILE)))
    made = simulate(small(3, attacks=[], **OWN), tmp_path)
    list(made.simulation.rounds())
    words = "clipped to 0.5 at first, later by the noisy count of the norms below the clip"
    assert words in guarantee(made.setup.mechanism, 3)
    said = [m.declaration for block in made.store.blocks() for m in block.messages if m.round == 2]
    assert {each.mechanism for each in said} == {"own"}
    assert len({each.clip for each in said}) == len(said) > 1
    made.close()


def test_groups_add_up_the_noise_of_a_mechanism_of_ones_own_that_takes_shares(own, tmp_path):
    def shared(releases, dimension, shares):
        return with_terms(skellam(releases, dimension, shares, **NOISE))

    own(shared)
    made = simulate(grouped(2, **OWN), tmp_path)
    assert made.setup.mechanism.shares == made.setup.scenario.nodes.groups.counted_on == 3
    list(made.simulation.rounds())
    said = [m.declaration for block in made.store.blocks() for m in block.messages]
    assert {each.mechanism for each in said} == {"own"}
    made.close()


def test_a_mechanism_of_ones_own_that_takes_no_shares_is_no_mechanism_for_groups(own):
    def shares_are_a_key_of_the_scenario(releases, dimension, *, shares: int = 1):
        return skellam(releases, dimension, shares, **NOISE)

    own(shares_are_a_key_of_the_scenario)
    words = r"privacy.kind: must be skellam where holders form groups .*, got own_lab:own$"
    with pytest.raises(ScenarioError, match=words):
        grouped(2, **OWN)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"unit": "holder", "sampling_rate": 0.5}, "privacy.sampling_rate: 0.5 of the records"),
        ({"unit": "holder", **QUANTILE}, "privacy.clip_quantile: 0.5 of the records' norms says"),
        ({"automatic": True, **QUANTILE}, "privacy.clip_quantile: 0.5 moves a clip"),
    ],
)
def test_terms_that_contradict_each_other_are_refused(terms, words):
    usual = {"clip": 1.0, "unit": "record", "delta": 1e-5, "releases": 3}
    with pytest.raises(ValueError, match=words):
        Terms(**{**usual, **terms})


def test_one_neighbour_moves_a_mean_by_the_clip_over_the_units_that_are_expected():
    usual = {"clip": 0.5, "delta": 1e-5, "releases": 3}
    assert Terms(**usual, unit="record").sensitivity(50) == 0.01
    assert Terms(**usual, unit="record", sampling_rate=0.1).sensitivity(50) == pytest.approx(0.1)
    assert Terms(**usual, unit="holder").sensitivity(50) == 0.5
    assert [Terms(**usual, unit=unit).units(50) for unit in ("record", "holder")] == [50, 1]


def test_noise_in_shares_is_solved_for_the_honest_members_who_are_left():
    alone = build_setup(grouped(2, groups=None)).mechanism
    shared = build_setup(grouped(2)).mechanism
    assert (alone.shares, shared.shares) == (1, 3)
    rows = np.zeros((1, 20_000), np.float32)
    steps = shared.group_noise.in_steps(rows, [bytes(32)], [1])
    sigma = shared.noise_multiplier * shared.terms.clip
    assert steps.std() * shared.step == pytest.approx(sigma / np.sqrt(3), rel=0.05)


def test_the_recipe_of_a_mechanism_can_be_pasted_and_run(monkeypatch, tmp_path):
    recipes = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    text = re.search(r"\*\*A mechanism\.\*\*.*?```python\n(.*?)```", recipes, re.DOTALL)[1]
    (tmp_path / "paste_lab.py").write_text(text.replace("@mechanisms\n", ""))
    monkeypatch.syspath_prepend(tmp_path)
    scenario = small(2, attacks=[], privacy={"kind": "paste_lab:normal", **NOISE})
    made = simulate(scenario, tmp_path)
    list(made.simulation.rounds())
    assert made.simulation.chain.height == 2
    made.setup.mechanism.cross_check()
    oracle = gaussian(2, 31, **NOISE, spare_releases=10)
    assert made.setup.mechanism.epsilon_after(12) == oracle.epsilon_after(12)
    drawn = made.setup.mechanism.release(np.zeros((1, 20_000), np.float32), [bytes(32)], [0.25])
    assert drawn.std() == pytest.approx(0.5, rel=0.03)
    made.close()


@pytest.mark.parametrize(
    "made",
    [
        gaussian(4, 300, noise_multiplier=2.0, clip=0.5),
        skellam(4, 300, noise_multiplier=2.0, clip=0.5),
        laplace(4, 300, noise_multiplier=2.0, clip=0.5),
        knorm(4, 300, noise_multiplier=2.0, clip=0.5),
        privacy_filter(4, 300, noise_multiplier=2.0, clip=0.5),
        clipped(4, 300, clip=0.5),
    ],
    ids=lambda made: made.name,
)
def test_the_norm_of_the_noise_is_the_one_that_releases_have(made):
    keys = [bytes([k]) * 32 for k in range(64)]
    sensitivity = made.terms.sensitivity(10)
    released = made.release(np.zeros((64, 300)), keys, [sensitivity] * 64)
    found = np.sqrt((released.astype(float) ** 2).sum(axis=1).mean())
    assert made.noise_norm(sensitivity, 300) == pytest.approx(found, rel=0.03)

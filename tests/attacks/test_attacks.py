"""Facts of every attack: it keeps the view, has finite rows, and is repeatable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from attack_views import noisy, sent, view

from fedchain.attacks import attacks
from fedchain.errors import ScenarioError


def test_sign_flippers_send_the_opposite_at_the_same_length():
    assert sent("sign_flip", view([3.0, -4.0], [1.0, 0.0])).tolist() == [[-3.0, 4.0], [-1.0, 0.0]]


def test_norm_inflation_keeps_the_direction():
    (made,) = sent("norm_inflation", view([3.0, -4.0]), factor=1e3)
    assert (made / np.linalg.norm(made)).tolist() == [0.6, -0.8]
    assert np.linalg.norm(made) == 5e3


def test_random_directions_are_uniform_and_forget_the_gradient():
    release = [2.0, *[0.0] * 399]
    made = sent("random_direction", view(*[release] * 200))
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 2.0)
    assert abs(made[:, 0].mean()) < 4 * 2.0 / 20 / 200**0.5


@pytest.mark.parametrize("kind", attacks.names())
@pytest.mark.parametrize("honest", [0, 1, 6])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_attack_leaves_the_view_alone_and_sends_finite_rows(kind, honest, dtype):
    told = noisy(6, 2, entries=7).honest[:honest]
    seen = view([0.5, -1.0, 2.0, *[0.0] * 4], [1.0] * 7, honest=told, dtype=dtype)
    own, heard = seen.own.copy(), seen.honest.copy()
    made = sent(kind, seen)
    assert made.shape == (2, 7)
    assert np.isfinite(made).all()
    assert not np.shares_memory(made, seen.own)
    np.testing.assert_array_equal(seen.own, own)
    np.testing.assert_array_equal(seen.honest, heard)


@pytest.mark.parametrize("kind", attacks.names())
def test_every_attack_sends_the_same_bits_again(kind):
    one, other = (noisy(6, 3, seed=4, rule={"kind": "median"}) for _ in range(2))
    np.testing.assert_array_equal(sent(kind, one), sent(kind, other))


FIXED = {"norm_inflation", "sign_flip", "poisoned", "random_direction"}
"""Attacks whose rows follow from the attackers' own releases."""


@pytest.mark.parametrize("kind", [kind for kind in attacks.names() if kind not in FIXED])
def test_what_others_send_decides_and_not_the_attackers_own_releases(kind):
    seen = noisy(6, 3, seed=4)
    other = noisy(6, 3, seed=4)
    given = {"budget": 2} if kind == "adaptive" else {}
    made = sent(kind, seen, **given)
    changed = replace(other, own=other.own[::-1] * 1.5)
    np.testing.assert_array_equal(made, sent(kind, changed, **given))


@pytest.mark.parametrize("kind", attacks.names())
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38, 1e-310, 0.0])
def test_no_attack_fails_at_releases_that_are_no_usual_numbers(kind, value):
    rows = [[value] * 5, [value, 0.0, -value, 0.0, 0.0]]
    with np.errstate(all="ignore"):
        made = sent(kind, view(*rows, [1.0, 2.0, 3.0, 4.0, 5.0]))
    assert made.shape == (3, 5)
    assert np.isfinite(made[2]).all()


def test_an_attack_of_the_old_form_is_refused_with_the_new_one(tmp_path, monkeypatch):
    (tmp_path / "old_lab.py").write_text("def mine(release, generator): return -release\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ScenarioError) as caught:
        attacks.check({"kind": "old_lab:mine"})
    assert "takes 2 values from the simulator (release, generator)" in str(caught.value)
    assert "is written def mine(view, *, ..)" in str(caught.value)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"kind": "sign_flip", "of": "mine"}, "must be one of 'own' or 'pooled', got 'mine'"),
        ({"kind": "min_max", "perturbation": "sd"}, "must be one of 'unit', 'std' or 'sign'"),
        ({"kind": "hidden", "against": 1.5}, "against: must be at most 1, got 1.5"),
        ({"kind": "alie", "factor": -1.0}, "factor: must be at least 0"),
        ({"kind": "adaptive", "budget": 0.5}, "budget: must be a whole number, got 0.5"),
        ({"kind": "poisoned", "records": {"kind": "backdoor", "portion": 0}}, "must be above 0"),
        ({"kind": "mimik"}, "did you mean mimic?"),
    ],
)
def test_wrong_parameters_are_named_with_what_is_allowed(block, words):
    with pytest.raises(ScenarioError) as caught:
        attacks.check(block, ("attacks", 0))
    assert words in str(caught.value)


def test_the_estimated_gradient_trusts_own_records_under_noise_and_honest_messages_without():
    draw = np.random.default_rng(0)
    true = draw.standard_normal(500)
    clean = true + 0.5 * draw.standard_normal((4, 500))
    for noise, near, far in ((20.0, "own", "others"), (1e-3, "others", "own")):
        honest = true + noise * draw.standard_normal((16, 500))
        seen = view(*honest[:4].tolist(), honest=honest, clean=clean)
        means = {"own": clean.mean(axis=0), "others": honest.mean(axis=0)}
        apart = {name: np.linalg.norm(seen.gradient - mean) for name, mean in means.items()}
        assert apart[near] < 0.1 * apart[far]
        assert np.linalg.norm(seen.gradient - true) < np.linalg.norm(means[far] - true)


def test_the_estimated_gradient_is_what_there_is():
    rows = [[1.0, 2.0], [3.0, 4.0]]
    odd = [[np.nan, 1.0], [np.inf, 1.0]]
    assert view(*rows).gradient.tolist() == [2.0, 3.0]
    assert view(*rows, clean=odd, honest=rows).gradient.tolist() == [2.0, 3.0]
    assert view(*odd, clean=rows).gradient.tolist() == [2.0, 3.0]
    assert view(*odd, clean=odd).gradient.tolist() == [0.0, 0.0]
    assert view(rows[0], clean=[[0.0, 0.0]], honest=0 * np.array(rows)).gradient.tolist() == [0, 0]

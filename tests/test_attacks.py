from __future__ import annotations

import numpy as np
import pytest

from fedchain.attacks import attacks, norm_inflation, random_direction, sign_flip


def test_a_sign_flipper_sends_the_opposite_at_the_same_length():
    release = np.array([3.0, -4.0])
    assert sign_flip(release, np.random.default_rng(0)).tolist() == [-3.0, 4.0]


def test_norm_inflation_keeps_the_direction():
    release = np.array([3.0, -4.0])
    sent = norm_inflation(release, np.random.default_rng(0), factor=1e3)
    assert (sent / np.linalg.norm(sent)).tolist() == (release / 5.0).tolist()
    assert np.linalg.norm(sent) == 5e3


def test_random_directions_are_uniform_and_forget_the_gradient():
    release = np.zeros(400)
    release[0] = 2.0
    generator = np.random.default_rng(0)
    sent = np.stack([random_direction(release, generator) for _ in range(200)])
    np.testing.assert_allclose(np.linalg.norm(sent, axis=1), 2.0)
    assert abs(sent[:, 0].mean()) < 4 * 2.0 / 20 / 200**0.5


@pytest.mark.parametrize("kind", attacks.names())
def test_every_attack_leaves_the_release_alone_and_keeps_its_shape(kind):
    release = np.linspace(-1, 1, 9)
    sent = attacks.build(attacks.check({"kind": kind}), release, np.random.default_rng(0))
    assert sent.shape == release.shape
    assert np.isfinite(sent).all()
    assert np.array_equal(release, np.linspace(-1, 1, 9))

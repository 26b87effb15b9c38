"""The head of a run with whole numbers: it is stated here, and must be the same on any machine."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from small_runs import forking, simulate, small
from whole_numbers import WHOLE, whole_gradients, whole_normals, whole_numbers

from fedchain.randomness import digest

HEADS = {
    "small": (small(4, privacy=WHOLE), "00d57c4ee977f19a"),
    "forking": (forking(5, privacy=WHOLE), "025579505feacf7e"),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_run_of_whole_numbers_ends_at_the_same_head_on_every_machine(name, tmp_path):
    scenario, head = HEADS[name]
    with whole_numbers():
        made = simulate(scenario, tmp_path)
        list(made.simulation.rounds())
    made.close()
    assert made.simulation.chain.head.hex()[:16] == head


LAWS = {
    "gaussian": "03f1b75f385c0268",
    "laplace": "00c9af5107b57a6d",
    "knorm": "0072dfd34b9da40d",
    "skellam": "00bfb929524d8bba",
}
"""Heads of three rounds with whole gradients and the noise of a mechanism."""
MODULES = (
    "fedchain.aggregation.inner_products",
    "fedchain.aggregation.weights",
    "fedchain.ledger.chain.codec",
    "fedchain.privacy.mechanisms.skellam",
    "fedchain.privacy.skellam_law",
    "fedchain.transforms",
)
"""Modules that use the kernels in these runs."""


@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "numpy"])
@pytest.mark.parametrize("law", LAWS)
def test_noise_leads_to_the_same_head_on_every_machine(law, kernels, tmp_path, monkeypatch):
    for name in MODULES if not kernels else ():
        monkeypatch.setattr(importlib.import_module(name), "library", lambda: None)
    noise = {"kind": law, "noise_multiplier": 2.0, "clip": 1.0, "unit": "holder"}
    with whole_numbers(noise=False):
        made = simulate(small(3, privacy=noise), tmp_path)
        list(made.simulation.rounds())
    made.close()
    assert made.simulation.chain.head.hex()[:16] == LAWS[law]


def test_whole_gradients_are_those_of_a_holder_at_these_weights_whoever_is_asked_beside_it():
    weights = np.linspace(-1.0, 1.0, 31)
    together, alone = whole_gradients(weights, [3, 5]), whole_gradients(weights, [5])
    assert np.array_equal(together[1], alone[0])
    assert not np.array_equal(together[0], together[1])
    assert not np.array_equal(whole_gradients(weights + 1, [5]), alone)
    assert np.array_equal(together, np.rint(together))
    assert np.abs(together).max() <= 11


def test_whole_noise_is_that_of_its_key_and_has_mean_zero():
    keys = [digest(0, "noise", holder) for holder in range(2)]
    drawn = whole_normals(keys, 10_000)
    assert np.array_equal(drawn[1], whole_normals(keys[1:], 10_000)[0])
    assert not np.array_equal(drawn[0], drawn[1])
    assert set(np.unique(drawn)) == {-2, -1, 0, 1, 2}
    assert abs(drawn.mean()) < 0.06  # 6 standard errors

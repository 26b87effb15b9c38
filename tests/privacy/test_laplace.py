from __future__ import annotations

import math

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.rdp import RdpAccountant
from scipy.integrate import quad

from fedchain.privacy.accounting import pure_epsilon
from fedchain.privacy.mechanisms.laplace import (
    laplace_divergence,
    laplace_epsilon,
    laplace_spread_epsilon,
)


@pytest.mark.parametrize("order", [1.1, 2.0, 8.0, 64.0])
@pytest.mark.parametrize("shift", [1e-3, 0.3, 2.0])
def test_the_divergence_is_the_integral_of_the_densities(order, shift):
    def density(x: float) -> float:
        return 0.5 * math.exp(-order * abs(x) + (order - 1) * abs(x - shift))

    whole = sum(quad(density, *ends, epsabs=1e-14)[0] for ends in ((-60, 0), (0, shift)))
    whole += quad(density, shift, 60, epsabs=1e-14)[0]
    expected = math.log(whole) / (order - 1)
    assert laplace_divergence(order, shift) == pytest.approx(expected, rel=1e-5, abs=1e-11)


def test_no_shift_of_the_same_length_costs_more_than_the_evenly_spread_one():
    generator = np.random.default_rng(0)
    for order in (1.05, 1.5, 4.0, 40.0, 400.0):
        for length in (0.01, 1.0, 10.0):
            spread = 12 * laplace_divergence(order, length / math.sqrt(12))
            for _ in range(20):
                shift = abs(generator.standard_normal(12)) ** generator.uniform(0.2, 5)
                shift *= length / np.linalg.norm(shift)
                cost = sum(laplace_divergence(order, x) for x in shift)
                assert cost <= spread * (1 + 1e-9)


def test_dp_accounting_gives_the_same_renyi_bound_for_one_coordinate():
    accountant = RdpAccountant()
    accountant.compose(dp_event.LaplaceDpEvent(4.0), 30)
    found = laplace_epsilon(0.25, 1, 30, 1e-5)
    assert found == pytest.approx(accountant.get_epsilon(1e-5), rel=0.01)


@pytest.mark.parametrize(
    ("eps0", "dimension", "releases"), [(1.0, 650, 100), (5.0, 2035, 44), (0.5, 3, 40)]
)
def test_the_certified_bound_is_a_little_above_the_cost_of_the_worst_shift(
    eps0, dimension, releases
):
    found = laplace_epsilon(eps0, dimension, releases, 1e-5)
    spread = laplace_spread_epsilon(eps0, dimension, releases, 1e-5)
    assert spread < found < 1.12 * spread


def test_the_total_never_passes_that_of_pure_releases():
    for eps0, dimension, releases in ((0.1, 1, 50), (3.0, 2, 3), (0.5, 1, 10)):
        found = laplace_epsilon(eps0, dimension, releases, 1e-5)
        assert found <= pure_epsilon(eps0, releases, 1e-5) <= releases * eps0


def test_pure_releases_compose_as_dp_accounting_composes_them():
    from dp_accounting.pld import common, privacy_loss_distribution

    for eps0, releases in ((0.1, 50), (1.0, 100), (0.7, 1)):
        given = common.DifferentialPrivacyParameters(eps0, 0.0)
        one = privacy_loss_distribution.from_privacy_parameters(
            given, value_discretization_interval=1e-3
        )
        expected = one.self_compose(releases).get_epsilon_for_delta(1e-5)
        assert pure_epsilon(eps0, releases, 1e-5) == pytest.approx(expected, rel=2e-3)

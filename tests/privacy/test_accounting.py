from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from fedchain.errors import FedchainError
from fedchain.privacy.accounting import (
    cross_check,
    gaussian_delta,
    gaussian_epsilon,
    gaussian_noise_multiplier,
    least_noise,
    pld_epsilon,
    prv_epsilon,
    rdp_epsilon,
)
from fedchain.privacy.knorm_loss import knorm_epsilon, knorm_rdp_epsilon

REFERENCE = Path(__file__).parents[2] / ".." / "shared" / "reference" / "privacy.json"


def reference() -> dict:
    if not REFERENCE.exists():
        pytest.skip("needs ../shared/reference/privacy.json")
    return json.loads(REFERENCE.read_text())


def test_every_accountant_gives_the_published_epsilon():
    for row in reference()["accounting"]:
        sigma, steps, delta, rate = row["sigma"], row["steps"], row["delta"], row["q"]
        assert pld_epsilon(sigma, steps, delta, rate) == pytest.approx(row["pld"], abs=5e-4)
        assert prv_epsilon(sigma, steps, delta, rate) == pytest.approx(row["prv"], abs=5e-4)
        assert rdp_epsilon(sigma, steps, delta, rate) == pytest.approx(row["rdp"], abs=5e-4)
        if "exact" in row:
            exact = gaussian_epsilon(delta, math.sqrt(steps) / sigma)
            assert exact == pytest.approx(row["exact"], abs=5e-5)


def test_the_analytic_noise_is_the_published_one():
    published = reference()["analytic_gaussian_sigma_one_release"]
    for key, delta in (("delta_1e-5", 1e-5), ("delta_1e-3", 1e-3)):
        for epsilon, sigma in published[key].items():
            found = gaussian_noise_multiplier(float(epsilon), delta)
            assert found == pytest.approx(sigma, abs=1e-5)


def test_gaussian_dp_costs_the_published_epsilon():
    for mu, epsilon in reference()["mu_gdp_eps_at_delta_1e-5"].items():
        assert gaussian_epsilon(1e-5, float(mu)) == pytest.approx(epsilon, abs=5e-5)


def test_knorm_costs_the_published_epsilon():
    for row in reference()["knorm_mechanism"]["examples"]:
        found = knorm_epsilon(row["eps0"], row["d"], row["steps"], 1e-5)
        assert found == pytest.approx(row["tight"], abs=6e-4)


@pytest.mark.parametrize("mu", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.5, 3.0])
def test_the_closed_form_is_the_integral_of_the_densities(mu, epsilon):
    def excess(x: float) -> float:
        return max(0.0, norm.pdf(x, mu) - math.exp(epsilon) * norm.pdf(x))

    crossing = epsilon / mu + mu / 2
    integral, _ = quad(excess, crossing, crossing + 30, epsabs=1e-12, limit=200)
    assert gaussian_delta(epsilon, mu) == pytest.approx(integral, abs=1e-9)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(mu=st.floats(0.01, 20), delta=st.sampled_from([1e-9, 1e-5, 1e-2]))
def test_epsilon_and_delta_are_inverse_and_epsilon_is_rounded_up(mu, delta):
    epsilon = gaussian_epsilon(delta, mu)
    assert gaussian_delta(epsilon, mu) <= delta
    assert epsilon == 0 or gaussian_delta(epsilon * (1 - 1e-6), mu) > delta


@settings(derandomize=True, max_examples=20, deadline=None)
@given(epsilon=st.floats(0.05, 50), releases=st.integers(1, 2000))
def test_noise_for_many_releases_is_that_of_one_times_their_square_root(epsilon, releases):
    one, many = (gaussian_noise_multiplier(epsilon, 1e-5, count) for count in (1, releases))
    assert many == pytest.approx(one * math.sqrt(releases), rel=1e-8)
    assert gaussian_epsilon(1e-5, math.sqrt(releases) / many) <= epsilon


def test_one_and_a_hundred_releases_differ():
    costs = [pld_epsilon(20.0, releases, 1e-5) for releases in (1, 100)]
    assert costs[0] < 0.2
    assert costs[1] > 1.9


@pytest.mark.parametrize(("eps0", "dimension", "releases"), [(1.0, 650, 100), (1.1, 31, 44)])
def test_the_certified_bound_of_knorm_is_above_the_gaussian_limit_and_below_renyi(
    eps0, dimension, releases
):
    found = knorm_epsilon(eps0, dimension, releases, 1e-5)
    mu = math.sqrt(releases) * eps0 / math.sqrt(dimension + 1)
    assert 0.999 * gaussian_epsilon(1e-5, mu) < found < 1.02 * gaussian_epsilon(1e-5, mu)
    assert found < knorm_rdp_epsilon(eps0, dimension, releases, 1e-5) < 1.2 * found


def test_the_bound_of_knorm_holds_where_the_loss_is_simulated():
    import numpy as np

    eps0, dimension, releases, delta = 2.0, 20, 5, 1e-2
    generator = np.random.default_rng(0)
    shape = (200_000, releases)
    radius = generator.standard_gamma(dimension, shape) / eps0
    half = (dimension - 1) / 2
    cosine = 2 * generator.beta(half, half, shape) - 1
    losses = eps0 * (np.sqrt(radius**2 - 2 * radius * cosine + 1) - radius)
    total = losses.sum(1)

    def simulated_delta(epsilon: float) -> float:
        return float(np.maximum(0, 1 - np.exp(epsilon - total)).mean())

    epsilon = knorm_epsilon(eps0, dimension, releases, delta)
    assert simulated_delta(epsilon) < 1.05 * delta  # its error is about 2 %
    assert simulated_delta(0.98 * epsilon) > 0.98 * delta  # and the bound is tight


def test_the_tight_total_of_knorm_never_passes_the_pure_one():
    for eps0, dimension, releases in ((0.1, 2, 50), (3.0, 5, 3), (0.01, 1000, 1)):
        found = knorm_epsilon(eps0, dimension, releases, 1e-5)
        assert 0 <= found <= releases * eps0


def test_least_noise_is_within_the_budget_and_nearly_spends_it():
    noise = least_noise(lambda sigma: rdp_epsilon(sigma, 10, 1e-5), 2.0, 1.0, 1e-6)
    assert 2.0 - 1e-3 < rdp_epsilon(noise, 10, 1e-5) <= 2.0


def test_figures_that_disagree_are_refused_and_both_are_quoted():
    with pytest.raises(FedchainError, match=r"closed form 7\.9, dp-accounting 5\.56"):
        cross_check({"closed form": 7.9, "dp-accounting": 5.56}, {})
    with pytest.raises(FedchainError, match=r"PLD 8, RDP 7"):
        cross_check({"PLD": 8.0}, {"RDP": 7.0})
    with pytest.raises(FedchainError, match="nan"):
        cross_check({"PLD": 8.0, "PRV": math.nan}, {})

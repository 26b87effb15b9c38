from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published import ACCOUNTING, EPSILON_OF_MU, KNORM, PURE, SIGMA_OF_ONE_RELEASE
from scipy.fft import fftfreq, irfft, next_fast_len, rfft
from scipy.integrate import quad
from scipy.optimize import brentq
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
    pure_epsilon,
    rdp_epsilon,
)
from fedchain.privacy.mechanisms import knorm
from fedchain.privacy.mechanisms.knorm import knorm_epsilon, knorm_rdp_epsilon
from fedchain.randomness import digest


@pytest.mark.parametrize("row", ACCOUNTING)
def test_every_accountant_gives_the_published_epsilon(row):
    asked = row.sigma, row.releases, row.delta, row.rate
    assert pld_epsilon(*asked) == pytest.approx(row.pld, abs=5e-4)
    assert prv_epsilon(*asked) == pytest.approx(row.prv, abs=5e-4)
    assert rdp_epsilon(*asked) == pytest.approx(row.rdp, abs=5e-4)
    if row.exact is not None:
        exact = gaussian_epsilon(row.delta, math.sqrt(row.releases) / row.sigma)
        assert exact == pytest.approx(row.exact, abs=5e-5)


@pytest.mark.parametrize("row", ACCOUNTING)
def test_a_third_program_gives_the_published_epsilon(row):
    found = convolved_epsilon(row.sigma, row.releases, row.delta, row.rate)
    assert found == pytest.approx(row.pld, abs=1e-3)


def convolved_epsilon(sigma: float, releases: int, delta: float, rate: float) -> float:
    """The larger of both directions, by the Fourier transform of the losses: no bound, no package.

    Reference: Koskela, Jälkö and Honkela, "Computing Tight Differential Privacy Guarantees Using
    FFT", 2020.
    """
    step = 1e-4 * min(1.0, 30 * rate / sigma)
    points = np.linspace(-12 * sigma, 12 * sigma + 1, 1_000_001)
    without = norm.cdf(points, 0, sigma)
    mixed = (1 - rate) * without + rate * norm.cdf(points, 1, sigma)
    middle = (points[1:] + points[:-1]) / 2
    losses = np.log1p(rate * np.expm1((2 * middle - 1) / (2 * sigma**2)))
    return max(
        composed(np.diff(mixed), losses, releases, delta, step),
        composed(np.diff(without), -losses, releases, delta, step),
    )


def composed(masses, losses, releases: int, delta: float, step: float) -> float:
    mean = float(masses @ losses)
    sd = math.sqrt(float(masses @ (losses - mean) ** 2) * releases)
    reach = max(12 * sd + 2, 1.1 * (losses.max() - mean), 1.1 * (mean - losses.min()))
    count = 2 * next_fast_len(math.ceil(reach / step))
    # each mass is shared by the two points of the grid around its loss, so that means are kept
    places = (losses - mean) / step
    low = np.floor(places).astype(np.int64)
    share = places - low
    one = np.bincount(low % count, masses * (1 - share), count)
    one += np.bincount((low + 1) % count, masses * share, count)
    law = np.clip(irfft(rfft(one) ** releases, count), 0, None)
    total = fftfreq(count, 1 / (count * step)) + releases * mean

    def excess(epsilon: float) -> float:
        above = total > epsilon
        return float(law[above] @ -np.expm1(epsilon - total[above])) - delta

    return brentq(excess, 0.0, 60.0, xtol=1e-7)


@pytest.mark.parametrize(("asked", "sigma"), SIGMA_OF_ONE_RELEASE.items())
def test_the_analytic_noise_is_the_published_one(asked, sigma):
    assert gaussian_noise_multiplier(*asked) == pytest.approx(sigma, abs=1e-5)


def test_gaussian_dp_costs_the_published_epsilon():
    for mu, epsilon in EPSILON_OF_MU.items():
        assert gaussian_epsilon(1e-5, mu) == pytest.approx(epsilon, abs=5e-5)


@pytest.mark.parametrize(("eps0", "releases", "basic", "zcdp", "optimal"), PURE)
def test_pure_releases_cost_the_published_epsilon(eps0, releases, basic, zcdp, optimal):
    found = pure_epsilon(eps0, releases, 1e-5)
    assert found == pytest.approx(optimal, abs=5e-3 if optimal > 10 else 5e-5)
    rho = releases * eps0**2 / 2
    assert rho + 2 * math.sqrt(rho * math.log(1e5)) == pytest.approx(zcdp, rel=1e-4)
    assert releases * eps0 == pytest.approx(basic)
    assert found < zcdp < basic


@pytest.mark.parametrize(("dimension", "eps0", "releases", "epsilon"), KNORM)
def test_knorm_costs_the_published_epsilon(dimension, eps0, releases, epsilon):
    assert knorm_epsilon(eps0, dimension, releases, 1e-5) == pytest.approx(epsilon, abs=6e-4)


def test_the_radius_of_knorm_has_the_published_mean_and_deviation():
    dimension, eps0 = 650, 2.0
    mechanism = knorm(1, dimension, noise_multiplier=1 / eps0, clip=1.0)
    keys = [digest(0, "noise", number) for number in range(4000)]
    zeros = np.zeros((len(keys), dimension), np.float32)
    drawn = mechanism.release(zeros, keys, [1] * len(keys)).astype(np.float64)
    radius = np.linalg.norm(drawn, axis=1)
    assert radius.mean() == pytest.approx(dimension / eps0, rel=4e-3)
    assert radius.std() == pytest.approx(math.sqrt(dimension) / eps0, rel=0.05)
    assert drawn.std() == pytest.approx(math.sqrt(dimension + 1) / eps0, rel=4e-3)


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


def test_a_noise_that_cannot_be_found_is_refused_in_words():
    with pytest.raises(ValueError, match=r"privacy.epsilon: no noise keeps the total at 2;"):
        least_noise(lambda _: math.inf, 2.0, 1.0, 1e-6)


def test_a_renyi_bound_may_be_loose_where_another_tight_total_confirms_the_first():
    cross_check({"PLD": 1.0, "PRV": 1.01}, {"RDP": 1.698})
    with pytest.raises(FedchainError, match=r"PLD 1, RDP 1\.698"):
        cross_check({"PLD": 1.0}, {"RDP": 1.698})


def test_figures_that_disagree_are_refused_and_both_are_quoted():
    with pytest.raises(FedchainError, match=r"closed form 7\.9, dp-accounting 5\.56"):
        cross_check({"closed form": 7.9, "dp-accounting": 5.56}, {})
    with pytest.raises(FedchainError, match=r"PLD 8, RDP 7"):
        cross_check({"PLD": 8.0}, {"RDP": 7.0})
    with pytest.raises(FedchainError, match="nan"):
        cross_check({"PLD": 8.0, "PRV": math.nan}, {})

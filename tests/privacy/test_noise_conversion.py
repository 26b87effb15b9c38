"""Noise to epsilon and back, without a scenario."""

import json
import math

import pytest
from command_line import call

from fedchain import load
from fedchain.errors import FedchainError
from fedchain.privacy import accounting, conversion
from fedchain.privacy.conversion import totals
from fedchain.simulation.setup import build_setup


def test_epsilon_and_noise_are_each_others_inverse():
    asked = {"releases": 30, "delta": 1e-6, "sampling_rate": 0.1}
    for there in totals(epsilon=2.0, **asked):
        back = totals(noise_multiplier=there.noise_multiplier, **asked)
        (same,) = (total for total in back if total.accountant == there.accountant)
        assert same.epsilon == pytest.approx(2.0, rel=1e-3)
        assert same.epsilon <= 2.0


def test_the_closed_form_is_that_of_balle_and_wang():
    (exact, *_) = totals(releases=4, delta=1e-5, noise_multiplier=2.0)
    assert accounting.gaussian_delta(exact.epsilon, 1.0) == pytest.approx(1e-5)  # mu is sqrt(4) / 2


def test_fewer_sampled_records_spend_less():
    spent = [
        totals(releases=10, delta=1e-5, noise_multiplier=1.0, sampling_rate=rate)[0].epsilon
        for rate in (0.01, 0.1, 1.0)
    ]
    assert spent == sorted(spent)


def test_accountants_that_disagree_are_an_error(monkeypatch):
    wrong = {**conversion.GAUSSIAN_TOTALS, "prv": lambda *_: 9.0}
    monkeypatch.setattr(conversion, "GAUSSIAN_TOTALS", wrong)
    with pytest.raises(FedchainError, match="two accountants disagree"):
        totals(releases=1, delta=1e-5, noise_multiplier=1.0)


def test_the_noise_is_that_of_a_run_with_as_many_releases():
    setup = build_setup(load("breast_cancer", set={"privacy.spare_releases": 4}))
    told = json.loads(
        call("epsilon", "--epsilon", 4, "--delta", "1e-4", "--rounds", 44, "--format", "json").out
    )
    assert told["accountants"][0]["noise_multiplier"] == setup.mechanism.noise_multiplier


def test_the_deviation_is_the_noise_in_the_mean_of_the_records():
    asked = ("--noise-multiplier", 2, "--rounds", 1, "--clip", 0.5, "--records", 20)
    told = json.loads(call("epsilon", *asked, "--sampling-rate", 0.1, "--format", "json").out)
    assert [each["deviation"] for each in told["accountants"]] == [pytest.approx(0.5)] * 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "exactly one of --noise-multiplier and --epsilon"),
        (("--epsilon", 1, "--noise-multiplier", 1), "exactly one of"),
        (("--epsilon", 1, "--clip", 1), "--clip and --records belong together"),
        (("--epsilon", 0), "0.0001"),
    ],
)
def test_wrong_arguments_are_one_error(arguments, words):
    told = call("epsilon", "--rounds", 3, *arguments)
    assert (told.code, told.out) == (2, "")
    assert words in " ".join(told.err.split())


def test_an_accountant_without_a_total_says_why_and_the_others_speak():
    told = totals(releases=1, delta=1e-11, noise_multiplier=1e5)
    assert not math.isnan(told[0].epsilon)
    assert all(total.epsilon is not None or total.problem for total in told)
    assert call("epsilon", "--noise-multiplier", 1e5, "--delta", 1e-11, "--rounds", 1).code == 0

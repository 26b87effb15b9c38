from __future__ import annotations

import math

import numpy as np
import pytest
from group_runs import grouped
from small_runs import small

from fedchain.audits import Choices, audit, inversion
from fedchain.audits.inversion import noise_of, one_round, prior_of, range_of
from fedchain.audits.pictures import matched, mean_psnr, mean_ssim
from fedchain.errors import ScenarioError
from fedchain.learning.task import tasks

DIGITS = {"kind": "digits", "model": {"kind": "mlp", "hidden": [64]}}


def test_similarity_is_that_of_a_plain_loop_over_windows():
    generator = np.random.default_rng(0)
    one, two = generator.random((2, 2, 9, 8))
    values = []
    for a, b in zip(one, two, strict=True):
        for row in range(3):
            for column in range(2):
                x, y = (e[row : row + 7, column : column + 7].ravel() for e in (a, b))
                shared = np.cov(x, y)
                low, high = 0.01**2, 0.03**2
                values.append(
                    (2 * x.mean() * y.mean() + low)
                    * (2 * shared[0, 1] + high)
                    / (x.mean() ** 2 + y.mean() ** 2 + low)
                    / (shared[0, 0] + shared[1, 1] + high)
                )
    assert mean_ssim(one, two, 1.0) == pytest.approx(np.mean(values), rel=1e-9)


def test_noise_of_one_percent_is_forty_decibels_and_equal_pictures_are_bounded():
    truth = np.zeros((3, 64, 64))
    noisy = truth + 0.02 * np.random.default_rng(1).standard_normal(truth.shape)
    assert mean_psnr(truth, noisy, 2.0) == pytest.approx(40, abs=0.2)
    assert mean_psnr(truth, truth, 2.0) == pytest.approx(200)


def test_no_record_of_one_holder_is_looked_for_in_the_sum_of_a_group():
    with pytest.raises(ScenarioError, match=r"nodes.groups: inversion looks for the records of"):
        one_round(grouped(task=DIGITS), 1)


def test_found_pictures_are_matched_one_to_one():
    truth = np.arange(5.0)[:, None, None] * np.ones((5, 4, 4))
    order = [3, 0, 4, 1, 2]
    assert np.array_equal(matched(truth, truth[order] + 0.1), truth + 0.1)


def test_one_round_has_the_noise_of_all_rounds():
    scenario = small(40, task=DIGITS, attacks=[])
    short = one_round(scenario, 2)
    assert (short.rounds, short.task.parameters["records"]) == (1, 2)
    assert noise_of(short).noise_multiplier == noise_of(scenario).noise_multiplier
    assert all(own.count == 2 for own in tasks.build(short.task, 10, 0).holders)
    quiet = one_round(small(40, task=DIGITS, attacks=[], privacy={"kind": "none"}), 1)
    assert noise_of(quiet).noise_multiplier == 0


def test_the_guess_without_a_gradient_comes_from_public_records():
    task = tasks.build(small(task=DIGITS).task, 10, 0)
    held = task.held_out
    expected = held.inputs[held.targets == 3].mean(axis=0)
    np.testing.assert_allclose(prior_of(task, np.array([3, 3]))[1], expected, atol=1e-6)
    assert range_of(task) == (held.inputs.min(), held.inputs.max())


def test_directions_without_noise_show_the_record_and_noisy_ones_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr(inversion, "VICTIMS", 1)
    monkeypatch.setattr(inversion, "STEPS", 400)
    scenario = small(20, task=DIGITS, attacks=[])
    choices = Choices(epsilons=(8.0, math.inf))
    found = audit(scenario, ["inversion"], tmp_path, choices)
    noisy, bare = found.findings["inversion"]
    assert bare["psnr"] > 35 > 25 > bare["psnr_prior"] > noisy["psnr"]
    assert bare["ssim"] > 0.98 > 0.5 > noisy["ssim"]
    assert noisy["claimed"] == pytest.approx(8.0, rel=0.1)
    assert bare["claimed"] is None
    assert [file.name for file in found.files[1:]] == [
        "reconstructed_pictures.pdf",
        "reconstructed_pictures.png",
    ]


def test_rows_of_a_table_are_no_pictures(tmp_path):
    with pytest.raises(ScenarioError, match="its records are no pictures"):
        audit(small(), ["inversion"], tmp_path)

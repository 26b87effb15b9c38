"""Warm starts: whose the public records are, what is made of them, and what is said of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_runs import small
from small_tasks import TASKS, grouped_records

from fedchain.errors import ScenarioError
from fedchain.forecasts.forecast import forecast
from fedchain.learning.evaluation import Evaluation, flat_weights
from fedchain.learning.task import Records, tasks
from fedchain.learning.tasks.warm_start import declared_public, trained
from fedchain.registry import Part
from fedchain.runs.manifest import as_json, initial_manifest
from fedchain.runs.privacy_statement import privacy_statement
from fedchain.scenario import scenario_digest
from fedchain.simulation.setup import build_setup

STEP = {"kind": "gradient_descent", "learning_rate": 0.5}
DIGITS = Part("digits", {})


def made(seed: int = 0, holders: int = 10, of: str = "digits", **settings):
    return tasks.build(
        tasks.check({"kind": "warm_start", "of": {"kind": of}, **settings}), holders, seed
    )


def rows(*parts: Records) -> list[bytes]:
    return sorted(row.tobytes() for part in parts for row in part.inputs)


def test_a_public_record_is_nobodys_and_none_of_the_held_out():
    whole, task = tasks.build(DIGITS, 10, 0), made(records=200)
    public, kept = declared_public(whole.holders, 200, 0)
    assert task.public == public.count == 200
    assert rows(*task.holders) == rows(*kept)
    assert rows(public, *kept) == rows(*whole.holders)
    assert rows(task.held_out) == rows(whole.held_out)
    assert len({len(own.inputs) for own in kept}) > 1, "drawn from all, not so many from each"


def test_a_record_of_several_examples_is_public_as_a_whole():
    task = grouped_records(TASKS["softmax"]((6, 8, 10)), 2)
    public, kept = declared_public(task.holders, 4, 3)
    assert (public.count, public.examples) == (4, 8)
    assert sum(own.count for own in kept) == 8
    assert rows(public, *kept) == rows(*task.holders)
    known = {
        row.tobytes(): (k, n)
        for k, own in enumerate(task.holders)
        for row, n in zip(own.inputs, own.record, strict=True)
    }
    for number in range(4):
        assert len({known[row.tobytes()] for row in public.inputs[public.record == number]}) == 1


def test_one_step_is_against_the_mean_gradient_of_the_public_records_alone():
    whole = tasks.build(DIGITS, 10, 0)
    public, _ = declared_public(whole.holders, 50, 0)
    found = flat_weights(made(records=50, steps=1, update=STEP).model())
    errors = 0.1 - np.eye(10)[public.targets]  # softmax of zeros is even
    mean = errors.T @ public.inputs.reshape(50, 64).astype(np.float64) / 50
    np.testing.assert_allclose(found[:640].reshape(10, 64), -0.5 * mean, atol=1e-7)
    np.testing.assert_allclose(found[640:], -0.5 * errors.mean(0), atol=1e-7)


def test_no_private_record_moves_the_first_weights():
    whole = tasks.build(DIGITS, 3, 0)
    public, kept = declared_public(whole.holders, 50, 0)
    changed = replace(whole, holders=tuple(Records(-o.inputs, o.targets) for o in kept))
    update = Part("adam", {"learning_rate": 0.05})
    one, other = (trained(task, public, 20, update) for task in (whole, changed))
    np.testing.assert_array_equal(one, other)


def test_genesis_commits_to_the_trained_weights_the_same_bits_every_time():
    warm = {"kind": "warm_start", "of": {"kind": "breast_cancer"}, "records": 30}
    threads = torch.get_num_threads()
    first = build_setup(small(task=warm))
    try:
        torch.set_num_threads(3)
        again = build_setup(small(task=warm))
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(first.state.weights, again.state.weights)
    np.testing.assert_array_equal(first.state.weights, flat_weights(first.task.model()))
    assert first.genesis == again.genesis
    assert first.genesis != build_setup(small()).genesis
    assert first.genesis != build_setup(small(task={**warm, "steps": 99})).genesis
    assert first.genesis != build_setup(small(task=warm, seed=1)).genesis


def test_the_baseline_is_the_model_after_public_data_alone():
    task = made(records=100)
    found, _ = Evaluation(task)(flat_weights(task.model()))
    assert task.baselines["public_only"] == found
    assert task.baselines["majority"] == tasks.build(DIGITS, 10, 0).baselines["majority"]
    assert 0.8 < found["accuracy"] < 0.95


def test_what_is_public_is_said_in_every_statement():
    warm = {"kind": "warm_start", "of": {"kind": "breast_cancer"}, "records": 30}
    scenario = small(task=warm, tuning="steps chosen on seeds 0 to 2")
    setup = build_setup(scenario)
    words = "30 rows are declared public and belong to no holder"
    statement = json.loads(as_json(privacy_statement(setup, dict.fromkeys(range(10), 6))))
    assert any(text.startswith(words) for text in statement["warnings"])
    assert statement["public_records"] == 30
    assert statement["tuning"] == "steps chosen on seeds 0 to 2"
    assert initial_manifest(setup)["baselines"]["public_only"].keys() >= {"accuracy", "loss"}
    told = forecast(scenario)
    assert any(name == "warning" and text.startswith(words) for name, text in told.rows)
    assert dict(told.rows)["private tuning"] == told.values["tuning"] == statement["tuning"]
    silent = json.loads(as_json(privacy_statement(build_setup(small()), {})))
    assert (silent["public_records"], silent["tuning"]) == (0, "none was declared")
    assert not any("public" in text for text in silent["warnings"])


def test_words_about_tuning_change_nothing_that_is_computed():
    one, other = small(), small(tuning="rate chosen on seed 0")
    assert scenario_digest(one) == scenario_digest(other)
    assert build_setup(one).genesis == build_setup(other).genesis


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"records": 1348}, r"leave holder 0 with none of its 135; each keeps one at least"),
        ({"of": "none"}, r"none has no records"),
        ({"update": {**STEP, "learning_rate": 1e39}}, r"gradient_descent overflows within 100"),
    ],
)
def test_a_warm_start_that_cannot_be_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        made(**settings)


def test_a_warm_start_needs_a_record():
    with pytest.raises(ScenarioError, match="records: must be"):
        tasks.check({"kind": "warm_start", "of": {"kind": "digits"}, "records": 0})

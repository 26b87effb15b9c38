"""Runs whose holders train locally: one head everywhere, what epsilon counts, what is refused."""

from __future__ import annotations

import json
import math

import pytest
from small_runs import small

import fedchain
from fedchain.agreement import mechanism_of
from fedchain.audits import audit
from fedchain.forecasts.forecast import forecast
from fedchain.privacy.accounting import gaussian_epsilon
from fedchain.scenario import scenario_digest

LOCAL = {"steps": 3, "learning_rate": 0.1}
BATCHES = {**LOCAL, "batch": 16}
WHOLE = {"kind": "gaussian", "epsilon": 30.0, "delta": 1e-3, "clip": 1.0, "unit": "holder"}
SKELLAM = {**WHOLE, "kind": "skellam"}


def training(local=LOCAL, rounds=4, **overrides):
    return small(rounds, local=local, **overrides)


def head_of(run):
    return run.manifest["head"]


OTHERS = {
    "records with noise": {},
    "sampled records": {"privacy.sampling_rate": 0.5},
    "the whole holder": {"local": BATCHES, "privacy": WHOLE},
    "no privacy": {"local": BATCHES, "privacy": {"kind": "none"}},
    "clipped records": {"local": BATCHES, "privacy": {"kind": "clipped", "clip": 0.5}},
    "momentum": {"nodes.momentum": {"kind": "ema", "beta": 0.9}},
    "cohorts": {"nodes.cohort": 7},
    "groups": {
        "local": BATCHES,
        "privacy": SKELLAM,
        "nodes.groups": {"size": 5, "honest": 0.8},
        "aggregation": {"kind": "mean"},
        "attacks": [],
    },
    "an omniscient adversary": {
        "attacks": [{"kind": "adaptive", "count": 2, "knowledge": "omniscient"}]
    },
    "poisoned records": {
        "attacks": [{"kind": "poisoned", "count": 2, "records": {"kind": "label_flip"}}]
    },
    "a public root": {
        "task": {"kind": "public_root", "of": {"kind": "breast_cancer"}, "records": 30},
        "aggregation": {"kind": "fltrust"},
        "local": BATCHES,
        "privacy": WHOLE,
    },
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_trains_locally_and_every_message_is_computed_again(name, tmp_path):
    values = {"local": LOCAL, **OTHERS[name]}
    run = fedchain.run(small(3, **values), tmp_path)
    assert run.manifest["status"] == "finished"
    verdict = fedchain.verify(run.folder, replay=True)
    assert verdict.ok, verdict.reason


@pytest.mark.parametrize("name", ["records with noise", "the whole holder"])
def test_threads_and_processes_end_at_one_head(name, tmp_path):
    scenario = small(3, **{"local": LOCAL, **OTHERS[name]})
    one = fedchain.run(scenario, tmp_path / "threads", workers=1)
    two = fedchain.run(scenario, tmp_path / "processes", engine="processes", workers=2)
    assert head_of(one) == head_of(two)


def test_every_local_step_of_protected_records_is_a_release(tmp_path):
    run = fedchain.run(training(nodes={"holders": 10, "compute": 1}), tmp_path)
    told = json.loads((run.folder / "privacy.json").read_text())
    assert set(told["releases"]) == {4 * 3}
    assert told["releases_in_message"] == 3
    assert told["releases_allowed"] == 3 * (4 + 2)
    total = gaussian_epsilon(1e-3, math.sqrt(12) / told["noise_multiplier"])
    assert run.manifest["epsilon"]["total"] == pytest.approx(total, rel=1e-6)
    assert "Each of the 3 local steps of a message is a release" in told["guarantee"]


def test_a_protected_holder_makes_one_release_in_a_message(tmp_path):
    scenario = training(BATCHES, privacy=WHOLE, nodes={"holders": 10, "compute": 1})
    run = fedchain.run(scenario, tmp_path)
    told = json.loads((run.folder / "privacy.json").read_text())
    assert set(told["releases"]) == {4}
    assert told["releases_in_message"] == 1
    plain = small(4, privacy=WHOLE)
    assert told["noise_multiplier"] == mechanism_of(plain, 31).noise_multiplier
    assert "The sum of the 3 local steps of a message is one release" in told["guarantee"]


def test_more_local_steps_need_more_noise_where_each_is_a_release():
    noises = [
        mechanism_of(training({**LOCAL, "steps": steps}), 31).noise_multiplier
        for steps in (1, 2, 4)
    ]
    assert noises[1] == pytest.approx(noises[0] * math.sqrt(2), rel=1e-4)
    assert noises[2] == pytest.approx(noises[0] * 2, rel=1e-4)


def test_spare_releases_are_those_of_whole_messages():
    made = mechanism_of(training(**{"privacy.spare_releases": 1}), 31)
    assert made.terms.releases == 3 * (4 + 1)


def test_the_forecast_says_how_many_releases_a_message_holds():
    rows = dict(forecast(training()).rows)
    assert rows["releases"] == "18 at most, for 4 rounds, 3 in each message (one a local step)"


def test_a_scenario_without_local_training_keeps_its_name():
    plain = small(4)
    assert scenario_digest(plain) == scenario_digest(small(4, local=None))
    assert scenario_digest(plain) != scenario_digest(training())


REFUSED = {
    "batches under noise of each step": (
        {"local": BATCHES},
        "local.batch: must be null where each local step has noise of its own (unit record): "
        "epsilon counts on records that privacy.sampling_rate draws in secret, got 16",
    ),
    "batches of records that are drawn": (
        {"local": BATCHES, "privacy.epsilon": math.inf, "privacy.sampling_rate": 0.5},
        "local.batch: must be null where privacy.sampling_rate draws the records, got 16",
    ),
    "shares of noise": (
        {
            "privacy": {**SKELLAM, "unit": "record"},
            "nodes.groups": {"size": 5, "honest": 1.0},
            "aggregation": {"kind": "mean"},
            "attacks": [],
        },
        "local.steps: must be 1 with unit record where holders form groups: a member's own share "
        "of the noise hides no step that it takes, got 3; unit holder is allowed",
    ),
    "noise that is chosen": (
        {"privacy": {"kind": "privacy_filter", "epsilon": 8.0, "clip": 1.0}},
        "local.steps: must be 1 with unit record where privacy_filter chooses the noise of a whole "
        "message, got 3; unit holder is allowed",
    ),
    "a clip that follows": (
        {"privacy.clip_quantile": 0.5},
        "local.steps: must be 1 with unit record where the clip follows a quantile, which is "
        "counted once in a message, got 3; unit holder is allowed",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_guarantee_covers_is_refused_with_the_reason(name, tmp_path):
    values, text = REFUSED[name]
    with pytest.raises(fedchain.ScenarioError) as refused:
        fedchain.run(small(4, **{"local": LOCAL, **values}), tmp_path)
    assert str(refused.value) == text
    assert not list(tmp_path.iterdir())


def test_one_local_step_is_allowed_wherever_a_gradient_is(tmp_path):
    one = {"steps": 1, "learning_rate": 0.1}
    run = fedchain.run(training(one, rounds=2, **{"privacy.clip_quantile": 0.5}), tmp_path)
    assert run.manifest["status"] == "finished"


@pytest.mark.parametrize("attack", ["canaries", "one-run"])
def test_an_audit_that_looks_into_one_gradient_refuses_several_steps(attack, tmp_path):
    with pytest.raises(fedchain.ScenarioError, match=r"local\.steps: must be 1, since canaries"):
        audit(training(attacks=[]), [attack], tmp_path)

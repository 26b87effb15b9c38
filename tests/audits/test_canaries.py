from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from group_runs import grouped
from small_runs import small

from fedchain.audits import Choices, audit
from fedchain.audits.canaries import seen_in, with_canaries
from fedchain.audits.evidence import families_of
from fedchain.audits.lower_bounds import tradeoff_of
from fedchain.audits.runs_for_audit import releases_of
from fedchain.errors import RunRefused, ScenarioError
from fedchain.learning.tasks.canary_records import canaries, inside_of
from fedchain.results import Run
from fedchain.runs.running import run
from fedchain.scenario import from_mapping, load

AUDIT = Path(__file__).parents[2] / "scenarios" / "audit.yaml"
FEW = {"kind": "canaries", "each": 40}
SHORT = {"rounds": 4, "nodes.holders": 40}
"""As many canaries as 20,000, and few rounds."""


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """A run with hardly any noise: what one sees is the gradients."""
    folder = tmp_path_factory.mktemp("quiet")
    loud = {"kind": "gaussian", "noise_multiplier": 0.02, "delta": 1e-5, "clip": 0.5}
    alone = {"nodes.compute": 1}  # whose blocks are never stale
    return run(small(task=FEW, privacy=loud, **{"ledger.storage": "int32"}, **alone), folder)


def test_releases_are_those_of_honest_holders_each_once(quiet):
    heard = list(releases_of(quiet))
    told = [row for row in quiet.messages if not row["attack"]]
    assert len(heard) == len(told) == 10 * 2 + 8 * 4  # the flippers turn in round 3 of 6
    assert sorted(r.message.norm for r in heard) == sorted(row["norm"] for row in told)
    for released in heard:
        assert np.linalg.norm(released.vector) == pytest.approx(released.message.norm, rel=1e-5)


def test_a_canary_that_is_in_pulls_each_release_by_one_clip(quiet):
    for seen in seen_in(quiet):
        noise = seen.own.products - seen.inside
        assert np.abs(noise.mean(axis=1)).max() < 0.02
        assert noise.std() == pytest.approx(0.02, rel=0.3)  # 5.8 standard errors or more
        assert np.array_equal(seen.inside, inside_of(0, seen.holder, 40))


def test_in_the_sum_of_a_group_the_first_members_canaries_are_looked_for(tmp_path):
    quiet = {"kind": "skellam", "noise_multiplier": 1.5, "clip": 0.5}
    many = {"kind": "canaries", "each": 150}
    made = run(grouped(4, task=many, privacy=quiet), tmp_path)
    for seen in seen_in(made):
        members = [inside_of(0, 5 * seen.holder + k, 150) for k in range(5)]
        assert np.array_equal(seen.inside, members[0])
        noise = seen.own.products - members[0]  # the others' are taken off
        # 6.9 standard errors
        assert noise.std() == pytest.approx(1.5 * np.sqrt(5 / 3), rel=0.2)


def test_signs_change_from_round_to_round(quiet):
    turned = [seen.changes.squares for seen in seen_in(quiet) if len(seen.rounds) == 6]
    same = np.concatenate(turned, axis=1).sum(axis=0) < 1e-9
    assert same.mean() < 0.1


def test_every_score_tells_in_from_out_where_there_is_no_noise(quiet):
    for name, trials in families_of(seen_in(quiet))["run"].items():
        inside, out = trials.scores[trials.inside], trials.scores[~trials.inside]
        share = np.mean(np.quantile(out, 0.95) < inside)
        assert share > 0.9, name


def test_a_run_of_canaries_is_read_where_it_lies(quiet):
    found = audit(quiet, ["one-run", "canaries"])
    assert found.folder == quiet.folder
    assert not (quiet.folder / "audit").exists()
    assert list(found.findings) == ["canaries", "one-run"]
    assert found.findings["one-run"][0]["correct"] == found.findings["one-run"][0]["guesses"]
    assert found.files[0].name == "audit.json"
    assert audit(quiet, ["one-run"]).findings == found.findings  # what was there stays


def test_rows_of_an_audit_that_is_not_known_here_are_kept_as_they_are(quiet, tmp_path):
    shutil.copytree(quiet.folder, tmp_path / "run")
    file = tmp_path / "run" / "audit.json"
    rows = [{"sure": 0.5, "claimed": None, "places": [[1, "a"], {}]}, {}]
    file.write_text(json.dumps({"format": 1, "attacks": {"my_lab.audits:mine": rows}}))
    found = audit(Run.open(tmp_path / "run"), ["one-run"])
    kept = json.loads(file.read_text())["attacks"]
    assert list(kept) == ["one-run", "my_lab.audits:mine"]
    assert kept["my_lab.audits:mine"] == found.findings["my_lab.audits:mine"] == rows


SURE = Choices(confidence=0.9999)
"""Bounds that chance puts above the truth in one of 10,000 audits. Noise has other bits on another
processor, so that a test with the usual .95 fails there once in twenty."""


def test_twenty_thousand_canaries_prove_three_quarters_of_a_claim_of_four(tmp_path):
    (found,) = audit(load(AUDIT, set=SHORT), ["canaries"], tmp_path, SURE).findings["canaries"]
    assert found["claimed"] == pytest.approx(4.0)
    assert (found["trials"], found["found_in"]) == (20_000, "all rounds")
    assert 3.2 <= found["lower_bound"] <= 4.0


MOMENTUM = [{"kind": "ema", "beta": 0.9}, {"kind": "mean"}]


@pytest.mark.parametrize("momentum", MOMENTUM, ids=["ema", "mean"])
def test_running_means_hide_no_canary(momentum, tmp_path):
    scenario = load(AUDIT, set={**SHORT, "nodes.momentum": momentum})
    (found,) = audit(scenario, ["canaries"], tmp_path, SURE).findings["canaries"]
    assert found["claimed"] == pytest.approx(4.0)
    assert 3.0 <= found["lower_bound"] <= 4.0


def test_the_canary_behind_a_running_mean_pulls_by_one_clip(tmp_path):
    quiet = {"kind": "gaussian", "noise_multiplier": 0.02, "delta": 1e-5, "clip": 0.5}
    values = {"nodes.momentum": {"kind": "mean"}, "ledger.storage": "int32", "attacks": []}
    made = run(small(5, task=FEW, privacy=quiet, **values), tmp_path)
    assert all(released.last for released in releases_of(made) if released.message.round > 1)
    for seen in seen_in(made):
        noise = seen.own.products - seen.inside
        assert np.abs(noise.mean(axis=1)).max() < 0.02
        assert noise.std() == pytest.approx(0.02, rel=0.3)


def test_findings_that_cannot_be_read_are_a_reason_to_refuse(quiet, tmp_path):
    folder = shutil.copytree(quiet.folder, tmp_path / "copy")
    for text in (
        "[]",
        "{",
        '{"format": 2, "attacks": {}}',
        '{"format": 1, "attacks": {"canaries": 3}}',
    ):
        (folder / "audit.json").write_text(text)
        with pytest.raises(RunRefused, match=r"audit.json: "):
            audit(Run.open(folder), ["one-run"])


def test_other_scenarios_are_given_canaries_and_stay_as_they_are_otherwise():
    scenario = small()
    made = with_canaries(scenario, 30)
    assert made.task.kind == "planted"
    assert made.task.parameters["of"] == scenario.task
    assert (made.task.parameters["each"], with_canaries(made, 9).task) == (30, made.task)
    assert (made.privacy, made.nodes, made.attacks) == (
        scenario.privacy,
        scenario.nodes,
        scenario.attacks,
    )
    assert tradeoff_of(made) == "gaussian"
    skellam = {"kind": "skellam", "epsilon": 4.0, "clip": 1.0}
    sampled = {"kind": "gaussian", "epsilon": 4.0, "clip": 1.0, "sampling_rate": 0.5}
    assert tradeoff_of(small(privacy=skellam)) == "gaussian"
    assert tradeoff_of(small(privacy=sampled)) == "any"
    assert tradeoff_of(small(privacy={"kind": "laplace", "epsilon": 4.0, "clip": 1.0})) == "any"


def test_what_promises_nothing_or_hides_holders_cannot_be_audited_with_canaries(tmp_path):
    bare = small(1, task=FEW, privacy={"kind": "none"})
    with pytest.raises(ScenarioError, match="promises no finite epsilon"):
        audit(bare, out=tmp_path)
    whole = {"kind": "gaussian", "epsilon": 4.0, "clip": 1.0, "unit": "holder"}
    with pytest.raises(ScenarioError, match="only unit record"):
        audit(small(1, privacy=whole), out=tmp_path)
    with pytest.raises(ValueError, match="no audit called 'guessing'; allowed: canaries"):
        audit(bare, ["guessing"], tmp_path)


def test_directions_that_were_not_kept_are_a_reason_to_refuse(tmp_path):
    pruned = run(small(3, task=FEW, attacks=[], disk={"keep_messages": 1}), tmp_path)
    with pytest.raises(RunRefused, match="keep_messages must be all"):
        list(releases_of(pruned))


def test_claims_and_seeds_multiply_and_trials_are_pooled(tmp_path):
    scenario = from_mapping(
        {
            "version": 1,
            "name": "tiny",
            "rounds": 1,
            "task": {"kind": "canaries", "each": 50},
            "nodes": {"holders": 4, "compute": 1},
            "privacy": {"kind": "gaussian", "epsilon": 1.0, "clip": 1.0, "spare_releases": 0},
            "aggregation": {"kind": "mean"},
            "update": {"kind": "gradient_descent", "learning_rate": 1.0},
            "ledger": {"work": {"kind": "sampled", "interval_s": 600}},
        }
    )
    found = audit(
        scenario, out=tmp_path, choices=Choices(epsilons=(1.0, 300.0), runs=2, confidence=0.999)
    )
    rows = found.findings["canaries"]
    assert [round(row["claimed"]) for row in rows] == [1, 300]
    assert [len(row["runs"]) for row in rows] == [2, 2]
    assert (rows[1]["trials"], rows[1]["found_in"]) == (400, "round 1")
    assert rows[1]["lower_bound"] > 4
    assert not found.violations


def test_weights_that_were_not_kept_are_a_reason_to_refuse(tmp_path):
    last = run(small(3, task=FEW, attacks=[], disk={"keep_weights": "last"}), tmp_path)
    with pytest.raises(RunRefused, match="keep_weights must be all"):
        seen_in(last)


def test_canaries_that_do_not_fit_into_memory_are_refused_before_they_are_made():
    with pytest.raises(ValueError, match="do not fit into memory; at most 163 do"):
        canaries(10_000, 0, each=500)


MECHANISMS = ["gaussian", "skellam", "knorm", "laplace", "sampled", "adaptive", "automatic"]


@pytest.mark.long
@pytest.mark.parametrize("kind", MECHANISMS)
def test_no_bound_of_any_mechanism_lies_above_its_claim(kind, tmp_path):
    extra = {
        "sampled": {"sampling_rate": 0.5},
        "adaptive": {"clip_quantile": 0.5},
        "automatic": {"clip": "automatic"},
    }.get(kind, {})
    noise = {"kind": "gaussian" if extra else kind, "epsilon": 4.0, "delta": 1e-5, "clip": 1.0}
    private = {"privacy": {**noise, "spare_releases": 0, **extra}}
    scenario = load(AUDIT, set={**SHORT, **private})
    choices = Choices(epsilons=(1.0, 4.0, 8.0), confidence=0.999)
    found = audit(scenario, ["canaries", "one-run"], tmp_path, choices)
    assert not found.violations
    strongest = max(row["lower_bound"] for row in found.findings["canaries"])
    assert strongest > 1.0

import json

import numpy as np
import pytest
from command_line import call

from fedchain.errors import DataError, FedchainError, MissingExtra, PartError, ScenarioError
from fedchain.learning.task import tasks
from fedchain.runs import preparation
from fedchain.runs.preparation import Prepared, prepare_run
from fedchain.runs.running import run
from fedchain.scenario import from_mapping

SCENARIO = {
    "version": 1,
    "name": "small",
    "rounds": 3,
    "task": {"kind": "breast_cancer"},
    "nodes": {"holders": 4, "compute": 2},
    "privacy": {"kind": "gaussian", "epsilon": 4.0, "delta": 1e-4, "clip": 1.0},
    "aggregation": {"kind": "l_nearest", "keep": 3},
}
KRUM = {"kind": "krum", "byzantine": 2, "keep": 1}
REFUSED = [
    ({"nodes.holders": 500}, {}, ScenarioError, "500 holders"),
    ({"aggregation": KRUM}, {}, ScenarioError, "aggregation: fails at the quorum"),
    ({"task": {"kind": "scan_folder", "path": "/nowhere"}}, {}, DataError, "/nowhere"),
    ({"engine": {"kind": "threads", "device": "cuda"}}, {}, ScenarioError, "engine.device: torch"),
    ({"engine": {"kind": "processes", "device": "cuda"}}, {}, ScenarioError, "engine.device"),
    ({}, {"engine": "gpu"}, ScenarioError, "no engine called 'gpu'"),
    ({"ledger.work.most_hashing_s": 1e-9}, {}, ScenarioError, "most_hashing_s"),
    ({"task.loss.kind": "test_preparation:useless"}, {}, PartError, "one number for each"),
    ({"privacy": {"kind": "skellam", "noise_multiplier": 1e-3, "clip": 1.0}}, {},
     ScenarioError, "privacy: skellam with noise multiplier 0.001 keeps no finite epsilon"),
    ({"privacy.accountant": "prv", "privacy.epsilon": 0.005}, {}, ScenarioError,
     "privacy.epsilon: no noise keeps the total at 0.005"),
]  # fmt: skip


def useless():
    return lambda outputs, targets: outputs.sum()  # noqa: ARG005 - it is of no use


@pytest.mark.parametrize(("changes", "options", "kind", "words"), REFUSED)
def test_what_a_run_refuses_before_round_1_its_preparation_refuses_alike(
    changes, options, kind, words, tmp_path
):
    scenario = from_mapping(SCENARIO, set=changes)
    said = []
    for act in (prepare_run, run):
        with pytest.raises(kind) as refused:
            act(scenario, tmp_path / "runs", **options)
        assert words in str(refused.value)
        said.append(str(refused.value))
    if kind is not DataError and "most_hashing_s" not in words:
        assert said[0] == said[1]
    assert list(tmp_path.iterdir()) == []


def test_accountants_that_disagree_end_a_dry_run_and_an_explanation(monkeypatch, tmp_path):
    def disagree(_):
        raise FedchainError("privacy: two accountants disagree")

    monkeypatch.setattr(preparation, "cross_checked", disagree)
    monkeypatch.setattr("fedchain.forecasts.trial.cross_checked", disagree)
    for command in (
        ("run", "breast_cancer", "--dry-run", "--out", tmp_path),
        ("explain", "breast_cancer"),
    ):
        told = call(*command)
        assert (told.code, told.out) == (1, "")
        assert "two accountants disagree" in told.err


def test_a_missing_package_of_an_engine_is_told_before_a_run_begins(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    for act in (prepare_run, run):
        with pytest.raises(MissingExtra, match="ray is not installed"):
            act(from_mapping(SCENARIO), tmp_path / "runs", engine="ray")
    assert list(tmp_path.iterdir()) == []


def test_explain_refuses_a_rule_that_fails_at_the_quorum(tmp_path):
    told = call("explain", "breast_cancer", "--set", "aggregation={kind: krum, byzantine: 5}")
    assert (told.code, told.out) == (2, "")
    assert "aggregation: fails at the quorum of the ledger: krum" in told.err


def test_a_finished_run_is_what_its_preparation_returns(tmp_path):
    scenario = from_mapping({**SCENARIO, "rounds": 1})
    assert isinstance(prepare_run(scenario, tmp_path), Prepared)
    done = run(scenario, tmp_path)
    assert prepare_run(scenario, tmp_path) == done


def test_run_and_dry_run_warn_of_what_explain_warns_of(tmp_path):
    loose = ("--set", "privacy.delta=0.02", "--set", "privacy.epsilon=12")
    loose += ("--set", "rounds=1", "--set", "nodes.holders=4", "--set", "aggregation.keep=3")
    run_it = ("run", "breast_cancer", *loose, "--out", tmp_path, "--format", "plain")
    told = [call(*run_it, "--dry-run"), call(*run_it)]
    told.append(call("explain", "breast_cancer", *loose, "--format", "plain"))
    for each in told:
        assert each.code == 0, each.err
        flat = " ".join(each.out.split())
        assert "warning privacy.delta: 0.02 is not below 1/n_k" in flat
        assert "warning privacy.epsilon: a total of 12" in flat


def test_explain_and_run_compare_delta_with_the_holder_whose_bound_is_the_smallest(tmp_path):
    uneven = ("--set", "task.split={kind: dirichlet, alpha: 0.1}", "--set", "privacy.delta=0.006")
    uneven += ("--set", "rounds=1", "--set", "nodes.holders=4", "--set", "aggregation.keep=3")
    run_it = ("run", "breast_cancer", *uneven, "--out", tmp_path, "--format", "json")
    told = [json.loads(call(*run_it, "--dry-run").out)["warnings"]]
    explained = call("explain", "breast_cancer", *uneven, "--format", "json")
    told.append(json.loads(explained.out)["warnings"])
    task = json.loads(explained.out)["scenario"]["task"]
    counts = [each.count for each in tasks.build(tasks.check(task), 4, 0).holders]
    assert np.mean(counts) < 1 / 0.006 < max(counts)  # only the largest holder says too much
    assert told[0] == told[1]
    assert f"1/n_k = {1 / max(counts):g}" in told[0][0]

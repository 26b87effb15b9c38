"""Hints for keys of other tools, for sweeps that are in the way, and for what never happens."""

import pytest
from command_line import call
from small_runs import small

import fedchain
from fedchain.errors import ScenarioError
from fedchain.registry.hints import OTHER_NAMES
from fedchain.runs.privacy_statement import run_warnings
from fedchain.scenario import shipped_files
from fedchain.scenario.idle import idle_parts
from fedchain.scenario.overriding import parse_path
from fedchain.simulation.setup import build_setup


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("privacy.max_grad_norm", "no such key: this is privacy.clip here; allowed: accountant"),
        ("clients", "no such key: this is nodes.holders here; allowed:"),
        ("nodes.num_clients", "no such key: this is nodes.holders here; allowed:"),
        ("update.lr", "no such key: this is update.learning_rate here; allowed:"),
        ("privacy.epsilonn", "no such key; did you mean epsilon? allowed:"),
    ],
)
def test_a_key_of_another_tool_says_what_it_is_called_here(path, words):
    with pytest.raises(ScenarioError) as refused:
        fedchain.load("breast_cancer", set={path: 1})
    assert words in str(refused.value)


def test_every_name_of_another_tool_leads_to_a_key_that_exists():
    values = fedchain.load("breast_cancer")
    for name, key in OTHER_NAMES.items():
        first = parse_path(key.partition(":")[0])[0]
        assert hasattr(values, first), name
        assert not hasattr(values, name), name


@pytest.mark.parametrize("value", ["inf", "infinity", "∞"])
def test_a_word_for_infinity_is_told_its_spelling(value):
    told = call("explain", "breast_cancer", "--set", f"privacy.epsilon={value}")
    assert told.code == 2
    assert "write .inf for infinity" in told.err


def test_noise_beside_epsilon_is_told_to_take_one_away():
    told = call("explain", "breast_cancer", "--set", "privacy.noise_multiplier=1")
    assert "exactly one of the two is allowed: set the other one to null" in told.err
    both = ("--set", "privacy.noise_multiplier=1", "--set", "privacy.epsilon=null")
    assert call("explain", "breast_cancer", *both).code == 0


def test_a_sweep_in_the_way_of_an_override_is_told_with_the_way_out():
    told = call("run", "convergence_vs_epsilon", "--set", "privacy.kind=none", "--dry-run")
    assert told.code == 2
    assert told.err.splitlines()[-1] == (
        "only points of the sweep are wrong; fedchain run --set sweep=null leaves them out"
    )
    without = fedchain.load("convergence_vs_epsilon", set={"privacy.kind": "none", "sweep": None})
    assert without.sweep is None


def test_a_scenario_that_is_wrong_by_itself_says_nothing_of_its_sweep():
    told = call("run", "convergence_vs_epsilon", "--set", "nodes.holders=0", "--dry-run")
    assert "only points of the sweep" not in told.err


def test_the_paths_of_a_sweep_are_checked_before_anything_runs(tmp_path):
    for path, words in {
        "privacy.epsilonn": "did you mean epsilon?",
        "clients": "this is nodes.holders here",
        "rulez.kind": "rulez: no such key",
    }.items():
        told = call("sweep", "breast_cancer", "--set", f"{path}=1,2", "--out", tmp_path / "s")
        assert told.code == 2
        assert words in told.err
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("name", list(shipped_files()))
def test_every_shipped_scenario_takes_three_rounds(name):
    assert fedchain.load(name, set={"rounds": 3}).rounds == 3


def test_what_begins_after_the_last_round_is_a_warning_of_run_and_explain():
    late = {"attacks": [{"kind": "sign_flip", "holders": [8], "from_round": 9, "to_round": 12}]}
    update = {"kind": "averaged", "of": {"kind": "adam", "learning_rate": 0.1}, "from_round": 7}
    scenario = small(rounds=2, update=update, **late)
    words = [
        "attacks[0] (sign_flip) begins in round 9, after the last of 2 rounds: it never happens",
        "update (averaged) begins in round 7, after the last of 2 rounds: it never happens",
    ]
    assert idle_parts(scenario) == words
    assert run_warnings(build_setup(scenario))[:2] == words
    assert idle_parts(small(rounds=9, update=update, **late)) == []


def test_a_run_without_the_attack_is_the_run_that_nobody_attacks(tmp_path):
    late = fedchain.run(
        small(rounds=2, attacks=[{"kind": "sign_flip", "holders": [8], "from_round": 9}]),
        out=tmp_path,
    )
    assert all(row["byzantine"] == 0 for row in late.metrics)
    assert late.summary()["warnings"][0].startswith("attacks[0] (sign_flip) begins in round 9")

"""Divergence: a loss that is no finite number is told with round, holder and example."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from command_line import call
from small_runs import small

from fedchain.checks import verify
from fedchain.results import Run
from fedchain.runs.divergence import LossWatch
from fedchain.runs.running import run
from fedchain.simulation.setup import build_setup
from fedchain.sweeps.sweep import sweep

LOSS = """\
import torch


def grows():
    \"\"\"Is not finite where a model is sure: its root is of a negative number.\"\"\"
    return lambda outputs, targets: (0.7 + 0.1 * outputs[:, 0] * (1 - 2 * targets)).sqrt()
"""


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    """A folder with a loss that works at the initial weights only."""
    (tmp_path / "loss_lab.py").write_text(LOSS)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("loss_lab", None)


def diverging(rounds=8, **more):
    task = {"kind": "breast_cancer", "loss": {"kind": "loss_lab:grows"}}
    update = {"kind": "gradient_descent", "learning_rate": 5.0}
    return small(rounds, task=task, attacks=[], update=update, **more)


def test_a_run_whose_losses_become_nan_says_round_holder_and_example(lab):
    made = run(diverging(), lab / "runs")
    (first, *_) = faults = made.manifest["faults"]
    assert faults
    words, example = first.split(": the loss of example ")
    round_, holder = words.split(": holder h")
    place, value = example.split(" is ")
    assert int(round_.removeprefix("round ")) in (1, 2, 4, 8)
    assert 0 <= int(holder) < 10
    assert int(place) < len(build_setup(diverging()).task.holders[int(holder)].targets)
    assert value == "nan"
    assert first in (made.folder / "run.log").read_text()
    assert verify(made.folder, trust_user_parts=True).ok


def test_the_last_lines_of_a_run_warn_of_it(lab, monkeypatch):
    made = run(diverging(), lab / "runs")
    told = call("resume", made.folder, "--trust-user-parts")
    assert f"WARNING   {made.manifest['faults'][0]}" in told.err
    assert "teaches nothing" in told.err.splitlines()[-2] + told.err.splitlines()[-1]
    told = call("resume", made.folder, "--trust-user-parts", "--format", "json")
    assert json.loads(told.out)["faults"] == made.manifest["faults"]


def test_a_sweep_tells_it_of_each_point(lab):
    grid = {"grid": {"update.learning_rate": [0.001, 5.0]}, "y": "accuracy"}
    swept = sweep(diverging(2, sweep=grid), lab / "sweeps")
    fine, odd = swept.rows
    assert (fine["status"], fine["error"]) == ("finished", "")
    assert odd["status"] == "finished"
    assert odd["error"].startswith("round ")
    assert not swept.failed


def test_a_run_with_fedchains_own_parts_is_not_looked_at():
    watch = LossWatch(build_setup(small(8, attacks=[])))
    assert not any(watch.due(round_) for round_ in range(1, 9))


def test_rounds_are_looked_at_ever_more_rarely_and_the_last_one_always():
    watch = LossWatch(build_setup(diverging(11)))
    assert [round_ for round_ in range(1, 12) if watch.due(round_)] == [1, 2, 4, 8, 11]


def test_a_model_that_is_not_finite_is_told_once():
    setup = build_setup(diverging())
    watch = LossWatch(setup)
    watch.look(4, np.full(len(setup.state.weights), np.inf))
    assert watch.faults == {-1: "round 4: the weights of the model are not finite"}
    assert not watch.due(8)


def test_a_finite_run_says_nothing(lab):
    made = run(small(2, attacks=[]), lab / "runs")
    assert made.manifest["faults"] == []
    assert (made.summary()["faults"], made.summary()["diverged"]) == ([], None)
    assert Run.open(made.folder).manifest["faults"] == []

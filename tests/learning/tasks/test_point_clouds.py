"""A task of point clouds with its model, as a user adds it: one file and one line of YAML.

The file is the recipe of CONTRIBUTING.md.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from command_line import call
from recipes import forgotten, pasted
from reference_gradients import slow_row
from small_runs import small

from fedchain.errors import PartError
from fedchain.learning.evaluation import flat_weights
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.task import tasks
from fedchain.results import Run
from fedchain.runs.running import run
from fedchain.simulation.setup import build_setup

LINE = 'task: {kind: "my_lab.clouds:shapes"}'
SCENARIO = """
version: 1
name: shapes
rounds: 4
nodes: {holders: 10, compute: 3}
privacy: {kind: gaussian, epsilon: 8.0, delta: 1e-3, clip: 1.0}
aggregation: {kind: mean}
update: {kind: adam, learning_rate: 0.03}
ledger: {work: {kind: hashcash, difficulty_bits: 6}}
"""
SHAPES = {"task": {"kind": "my_lab.clouds:shapes"}, "aggregation": {"kind": "mean"}, "attacks": []}
HELD_OUT = 240
"""Number of held-out clouds: the default of 24 for each holder, for ten more holders."""


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    pasted("A task with its model", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    forgotten()


def test_a_private_run_of_the_command_line_keeps_its_epsilon_and_verifies(lab):
    file = lab / "shapes.yaml"
    file.write_text(SCENARIO + LINE + "\n", encoding="utf-8")
    told = call("run", file, "--out", lab / "runs", "--format", "json")
    assert (told.code, told.err) == (0, "")
    done = Run.open(json.loads(told.out)["run"], trust_user_parts=True)
    assert 4 < done.manifest["epsilon"]["total"] <= 8.0
    assert call("verify", done.folder, "--trust-user-parts").code == 0
    agreed = build_setup(done.scenario).rules.agreed
    for said in ('"kind":"my_lab.clouds:shapes"', '"points":64', '"features":32'):
        assert said in agreed, "genesis holds the task, its model and their parameters"


def test_without_noise_shapes_are_told_from_each_other(lab):
    bare = {"privacy": {"kind": "none"}, "update.learning_rate": 0.03}
    done = run(small(15, **SHAPES, **bare), lab / "runs")
    assert done.verify(trust_user_parts=True).ok
    chance, error = 1 / 3, np.sqrt(2 / 9 / HELD_OUT)
    assert done.metrics[-1]["accuracy"] > chance + 5 * error


@pytest.mark.long
def test_processes_and_threads_end_in_the_same_head(lab):
    runs = [
        run(small(2, **SHAPES), lab / engine, engine=engine, workers=1)
        for engine in ("threads", "processes")
    ]
    assert runs[0].manifest["head"] == runs[1].manifest["head"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (".astype(np.float32)", "", "held_out.inputs must be float32, got float64"),
        (
            "integers(0, 3, count)",
            "integers(0, 3, count, np.int32)",
            "held_out.targets must be int64 or float32, got int32",
        ),
    ],
)
def test_records_of_another_type_are_one_line_and_no_error_of_torch(lab, old, new, words):
    file, scenario = lab / "my_lab" / "clouds.py", lab / "shapes.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    scenario.write_text(SCENARIO + LINE + "\n", encoding="utf-8")
    told = call("run", scenario, "--out", lab / "runs")
    assert told.code != 0
    assert "Traceback" not in told.err
    assert f"task my_lab.clouds:shapes: {words}" in told.err.splitlines()[-1]


def test_a_model_that_mixes_clouds_is_refused(lab):
    file = lab / "my_lab" / "clouds.py"
    text = file.read_text(encoding="utf-8")
    centred = "self.of_points(clouds - clouds.mean(dim=(0, 1)))"
    file.write_text(text.replace("self.of_points(clouds)", centred), encoding="utf-8")
    task = tasks.build(tasks.check(SHAPES["task"]), 3, 0)
    with pytest.raises(PartError, match="depend on the other examples of its batch"):
        CohortGradients(task, 0.3)


@pytest.mark.parametrize("clip", [None, 0.3])
def test_its_gradients_are_those_of_one_cloud_at_a_time(clip):
    task = tasks.build(tasks.check({**SHAPES["task"], "records": 9}), 3, 0)
    start = flat_weights(task.model())
    weights = start + 0.1 * np.random.default_rng(2).standard_normal(start.shape)
    gradients = CohortGradients(task, clip, dtype=torch.float64)
    assert gradients.method == "layers", "the fast method knows layers shared by all points"
    for row, records in zip(gradients(weights, range(3)), task.holders, strict=True):
        expected = slow_row(task, weights, records, clip)
        assert np.linalg.norm(expected) > 0.01
        np.testing.assert_allclose(row, expected, rtol=1e-9, atol=1e-12)

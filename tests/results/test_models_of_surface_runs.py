"""The model of a run that learned to make clouds denser, and upsampling by it."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import call

import fedchain
from fedchain.errors import RunRefused
from fedchain.learning.evaluation import flat_weights
from fedchain.results import Run
from fedchain.results.surface_models import surface_model_of
from fedchain.scans.formats import read_cloud
from fedchain.scenario import from_mapping
from fedchain.surfaces.generated import generate_shape
from fedchain.surfaces.upsampling import upsample

REFINE = {
    "kind": "cloud_refinement", "points": 48, "shapes": 2, "candidates": 8, "held_out": 2,
    "model": {"kind": "refine", "width": 4},
}  # fmt: skip
PU_NET = {
    "kind": "cloud_upsampling", "points": 48, "shapes": 2, "patch": 16, "patches": 1, "held_out": 2,
    "model": {"kind": "pu_net", "width": 0.03, "residual": True},
}  # fmt: skip


def run_of(task, place) -> Run:
    scenario = from_mapping(
        {
            "version": 1,
            "name": "clouds",
            "rounds": 2,
            "task": task,
            "nodes": {"holders": 2, "compute": 1},
            "privacy": {"kind": "none"},
            "aggregation": {"kind": "mean"},
            "update": {"kind": "adam", "learning_rate": 0.02},
            "ledger": {"work": {"kind": "sampled", "interval_s": 10.0}},
        }
    )
    return fedchain.run(scenario, place)


@pytest.fixture(scope="module", params=[REFINE, PU_NET], ids=["refine", "pu_net"])
def run(request, tmp_path_factory):
    return run_of(request.param, tmp_path_factory.mktemp("runs"))


def test_the_model_of_a_block_has_the_weights_on_the_chain(run):
    found = surface_model_of(run.folder)
    assert flat_weights(found.module) == pytest.approx(np.asarray(run.weights()), abs=1e-6)
    first = surface_model_of(run.folder, 0)
    assert flat_weights(first.module) == pytest.approx(np.asarray(run.weights(0)), abs=1e-6)
    assert (flat_weights(first.module) != flat_weights(found.module)).any()
    assert run.folder.name in found.card.trained_on


def test_a_model_inside_other_tasks_is_found(tmp_path):
    run = run_of({"kind": "subset", "of": REFINE, "records": 2}, tmp_path)
    assert surface_model_of(run.folder).card.kind == "refine"


def test_a_folder_is_made_denser_by_the_model_of_a_run(run, tmp_path):
    points = generate_shape(0, ["test"], "pebbles", 40, 0).points
    (tmp_path / "clouds").mkdir()
    np.savetxt(tmp_path / "clouds" / "one.xyz", points)
    told = call("scan", "upsample", tmp_path / "clouds", "-o", tmp_path / "out",
                "--from-run", run.folder)  # fmt: skip
    assert told.code == 0, told.err
    made = np.loadtxt(tmp_path / "out" / "one.xyz")[:, :3]
    model = surface_model_of(run.folder)
    points = read_cloud(tmp_path / "clouds" / "one.xyz").points  # as the file holds them
    wanted = upsample(points, model.card.kind, factor=4, model=model)
    assert made == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "m.npz"], "--from-run: give either a run or a model file"),
        (["--method", "midpoints"], "--method: the run has a model of "),
    ],
)
def test_options_that_contradict_a_run_are_refused(run, options, words, tmp_path):
    told = call("scan", "upsample", tmp_path, "-o", tmp_path / "out", "--from-run", run.folder,
                *options)  # fmt: skip
    assert told.code == 2
    assert words in told.err


def test_a_height_without_a_run_is_refused(tmp_path):
    told = call("scan", "upsample", tmp_path, "-o", tmp_path / "out", "--height", "1")
    assert told.code == 2
    assert "--height: is the height of a run's block" in told.err


def test_a_run_of_another_task_or_model_is_refused(tmp_path):
    chain = run_of({"kind": "breast_cancer"}, tmp_path)
    with pytest.raises(RunRefused, match="has the task breast_cancer; allowed: cloud_ref"):
        surface_model_of(chain.folder)
    dense = run_of({**REFINE, "model": {"kind": "mlp", "hidden": [4]}}, tmp_path)
    with pytest.raises(RunRefused, match="has the model mlp; allowed: refine, pu_net"):
        surface_model_of(dense.folder)

"""Training on generated shapes, model files, the shipped weights, and what they do to clouds."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from shared_data import PHOXI, beside_shared

from fedchain.errors import DataError
from fedchain.randomness import stream
from fedchain.scans.training.model_file import weights_digest
from fedchain.surfaces import learned, model_file
from fedchain.surfaces.examples import (
    CANDIDATE_NEIGHBOURS,
    FARTHEST,
    patch_pairs,
    refinement_pairs,
)
from fedchain.surfaces.generated import generate_shape, unit_sphere
from fedchain.surfaces.learned import expand_points, refine_points
from fedchain.surfaces.metrics import chamfer_distance
from fedchain.surfaces.midpoints import midpoint_candidates
from fedchain.surfaces.model_file import (
    SHIPPED_MODELS,
    SurfaceModel,
    read_surface_model,
    shipped_surface_model,
    write_surface_model,
)
from fedchain.surfaces.training import PU_NET, RECIPES, REFINE, train_on_shapes
from fedchain.surfaces.upsampling import upsample

SMALL = {
    "refine": replace(REFINE, shapes=7, examples=40, steps=30, batch=70),
    "pu_net": replace(PU_NET, shapes=2, examples=2, steps=3, points=32, batch=2),
}


@pytest.fixture(scope="module")
def shape():
    return generate_shape(5, ["test"], "creatures", 400, 1600)


@pytest.fixture(scope="module", params=SMALL)
def trained(request):
    losses: list[float] = []
    made = train_on_shapes(SMALL[request.param], lambda *told: losses.append(told[2]))
    return made, losses


def test_training_lowers_the_loss_and_says_what_was_learned_from(trained):
    made, losses = trained
    recipe = SMALL[made.card.kind]
    assert len(losses) == recipe.steps
    if made.card.kind == "refine":
        assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    told = made.card.training
    assert (told["seed"], told["steps"], told["shapes"]) == (1, recipe.steps, recipe.shapes)
    assert told["weights_digest"] == weights_digest(made.module)
    assert "generated shapes alone" in made.card.trained_on


def test_the_same_recipe_gives_the_same_weights_and_another_seed_others():
    recipe = replace(SMALL["refine"], shapes=2, steps=3)
    digests = [
        train_on_shapes(replace(recipe, seed=seed)).card.training["weights_digest"]
        for seed in (1, 1, 2)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_a_model_file_comes_back_as_it_was(trained, tmp_path):
    made, _ = trained
    write_surface_model(tmp_path / "model.npz", made)
    back = read_surface_model(tmp_path / "model.npz")
    assert back.card == made.card
    for (name, one), (_, other) in zip(
        made.module.named_parameters(), back.module.named_parameters(), strict=True
    ):
        assert torch.equal(one, other), name


def test_a_file_that_is_no_model_of_surfaces_is_refused_in_one_line(trained, tmp_path):
    made, _ = trained
    file = tmp_path / "model.npz"
    other = made.card.model_copy(update={"model": {"kind": "unet"}})
    write_surface_model(file, SurfaceModel(other, made.module))
    with pytest.raises(DataError, match="model: Value error, kind 'unet' makes no clouds denser"):
        read_surface_model(file)
    wrong = made.card.model_copy(update={"model": {**made.card.model, "width": -1}})
    write_surface_model(file, SurfaceModel(wrong, made.module))
    with pytest.raises(DataError, match="has no usable model"):
        read_surface_model(file)
    np.savez(file, points=np.zeros((3, 3)))
    with pytest.raises(DataError, match="is no model file: it has no card"):
        read_surface_model(file)
    with pytest.raises(DataError, match="cannot be read"):
        read_surface_model(tmp_path / "none.npz")


def test_offsets_of_examples_lead_to_the_surface(shape):
    inputs, targets = refinement_pairs(shape, 50, stream(0, "test"))
    assert inputs.shape == (50, 16, 3)
    assert np.linalg.norm(targets, axis=1).max() <= FARTHEST + 1e-6
    assert np.linalg.norm(targets, axis=1).mean() > 0.01


def test_a_patch_of_the_truth_covers_the_piece_of_its_patch(shape):
    inputs, targets = patch_pairs(shape, 64, 3)
    assert inputs.shape == (3, 64, 3)
    assert targets.shape == (3, 256, 3)
    for patch, dense in zip(inputs, targets, strict=True):
        assert np.abs(patch.mean(axis=0) - dense.mean(axis=0)).max() < 0.3
        assert 0.6 < np.linalg.norm(dense, axis=1).max() < 1.7
        assert chamfer_distance(patch, dense) < 0.05


def test_the_shipped_weights_are_small_and_say_what_they_are():
    assert sum(path.stat().st_size for path in SHIPPED_MODELS.iterdir()) < 2_000_000
    assert {path.stem for path in SHIPPED_MODELS.iterdir()} == RECIPES.keys()
    for name, recipe in RECIPES.items():
        card = shipped_surface_model(name).card
        assert card.model == recipe.model.plain()
        assert card.training["steps"] == recipe.steps
        assert card.training["shapes"] == recipe.shapes
        assert card.training["licence"] == "MIT"
        assert card.training["processor_seconds"] < 15 * 60
        assert card.training["weights_digest"] == weights_digest(shipped_surface_model(name).module)
        assert "generated shapes alone" in card.trained_on
        assert card.scores[name]["chamfer"] < card.scores["plain midpoints"]["chamfer"]
        json.dumps(card.model_dump())
    scores = shipped_surface_model("refine").card.scores
    assert scores["refine"]["chamfer"] < 0.95 * scores["unmoved"]["chamfer"]


def test_an_installation_without_weights_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(model_file, "SHIPPED_MODELS", tmp_path)
    with pytest.raises(DataError, match=r"refine\.npz: cannot be read"):
        shipped_surface_model("refine")


def test_refined_candidates_are_nearer_to_the_surface(shape):
    model = shipped_surface_model("refine")
    candidates = midpoint_candidates(shape.points, CANDIDATE_NEIGHBOURS)
    moved = refine_points(shape.points, candidates, model)
    before, after = (np.abs(shape.level(each.T)) for each in (candidates, moved))
    assert after.mean() < 0.75 * before.mean()


def test_blocks_change_nothing(shape, monkeypatch):
    model, candidates = shipped_surface_model("refine"), midpoint_candidates(shape.points)[:100]
    whole = refine_points(shape.points, candidates, model)
    monkeypatch.setattr(learned, "CANDIDATES_AT_ONCE", 7)
    assert refine_points(shape.points, candidates, model) == pytest.approx(whole, abs=1e-6)


def test_a_moved_scaled_cloud_is_refined_alike(shape):
    model = shipped_surface_model("refine")
    candidates = midpoint_candidates(shape.points)[:100] + np.array([1e-3, 2e-3, -3e-3])
    one = refine_points(shape.points, candidates, model)
    two = refine_points(7 * shape.points + 3, 7 * candidates + 3, model)
    assert (two - 3) / 7 == pytest.approx(one, abs=1e-5)


@pytest.mark.parametrize("name", RECIPES)
def test_shipped_models_make_four_times_as_many_points_near_the_surface(name, shape):
    model = shipped_surface_model(name)
    made = upsample(shape.points, name, factor=4, model=model)
    assert made.shape == (1600, 3)
    known = chamfer_distance(shape.points, shape.truth)
    assert chamfer_distance(made, shape.truth) < 0.8 * known


@pytest.mark.parametrize("count", [1, 2, 5])
def test_tiny_and_equal_clouds_give_finite_points(count):
    model = shipped_surface_model("pu_net")
    points = np.arange(3.0 * count).reshape(count, 3)
    assert np.isfinite(expand_points(points, model)).all()
    assert expand_points(np.ones((count, 3)), model).shape == (4 * count, 3)


@beside_shared
def test_refine_beats_midpoints_on_the_clouds_of_pu_net():
    ratios = []
    for path in sorted((PHOXI.parent / "pu_net").glob("*.xyz")):
        cloud = np.loadtxt(path)[:, :3]
        centre, radius = unit_sphere(cloud)
        cloud = (cloud - centre) / radius
        points = cloud[np.random.default_rng(0).choice(len(cloud), 1250, replace=False)]
        ratios.append(
            [
                chamfer_distance(upsample(points, method, factor=4), cloud)
                for method in ("refine", "midpoints")
            ]
        )
    refined, midpoints = np.mean(ratios, axis=0)
    assert 1000 * midpoints == pytest.approx(0.602, abs=0.001)
    assert refined < 0.85 * midpoints

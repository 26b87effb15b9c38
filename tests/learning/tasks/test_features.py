"""Features: along which directions inputs are seen, whose records fix them, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fedchain.learning.evaluation import Evaluation, dimension, flat_weights
from fedchain.learning.task import join_records, tasks
from fedchain.learning.tasks.directions import (
    orthonormal,
    principal_directions,
    random_directions,
)
from fedchain.learning.tasks.features import coordinates, flat
from fedchain.learning.tasks.warm_start import declared_public

DIGITS = {"kind": "digits"}
WARM = {"kind": "warm_start", "of": DIGITS, "steps": 1}
SCANS = {"kind": "scan_segmentation", "size": 16, "records_per_holder": 1, "held_out": 1}


def made(kind: str = "public_pca", seed: int = 0, **settings):
    steps = {"steps": 2} if kind == "public_pca" else {}
    task = {"kind": kind, "of": DIGITS, **steps, **settings}
    return tasks.build(tasks.check(task), 10, seed)


def build(block: dict, seed: int = 0):
    return tasks.build(tasks.check(block), 10, seed)


@pytest.mark.parametrize(
    ("rows", "inputs", "count"), [(2, 2, 1), (12, 5, 5), (5, 12, 3), (30, 20, 6)]
)
def test_principal_directions_are_the_leading_eigenvectors(rows, inputs, count):
    generator, rank = np.random.default_rng(0), min(rows, inputs)
    left, right = (np.linalg.qr(generator.normal(size=(n, rank)))[0] for n in (rows, inputs))
    lengths = 2.0 ** -np.arange(rank)  # each direction has a quarter of the variance before it
    found = principal_directions(left * lengths @ right.T, count)
    np.testing.assert_allclose(found.T @ found, np.eye(count), atol=1e-12)
    np.testing.assert_allclose(np.abs((found * right[:, :count]).sum(axis=0)), 1, atol=1e-9)


@pytest.mark.parametrize(("inputs", "count"), [(1, 1), (9, 1), (9, 9), (4, 7)])
def test_an_orthonormal_basis_is_that_of_a_qr_decomposition_up_to_signs(inputs, count):
    columns = np.random.default_rng(0).normal(size=(inputs, count))
    found = orthonormal(columns)
    kept = min(inputs, count)
    expected, triangle = np.linalg.qr(columns[:, :kept])
    np.testing.assert_allclose(found[:, :kept], expected * np.sign(np.diag(triangle)), atol=1e-6)
    assert not found[:, kept:].any(), "no more directions than inputs"


def test_sixteen_directions_of_digits_keep_as_much_of_the_public_inputs_as_any_can():
    public = flat(declared_public(build(DIGITS).holders, 100, 0)[0].inputs)
    centred = public - public.mean(axis=0)
    found = principal_directions(centred, 16)
    variances = np.linalg.eigvalsh(centred.T @ centred)[::-1]
    np.testing.assert_allclose(((centred @ found) ** 2).sum(), variances[:16].sum(), rtol=1e-4)


def test_inputs_become_their_coordinates_about_the_mean_of_the_public_records_alone():
    whole, task = build(DIGITS), made()
    public, kept = declared_public(whole.holders, 100, 0)
    assert task.public == 100
    assert task.baselines["majority"] == whole.baselines["majority"]
    mean = flat(public.inputs).mean(axis=0)
    basis = principal_directions(flat(public.inputs) - mean, 16)
    held = zip((*task.holders, task.held_out), (*kept, whole.held_out), strict=True)
    for seen, own in held:
        np.testing.assert_allclose(seen.inputs, (flat(own.inputs) - mean) @ basis, atol=1e-6)
        np.testing.assert_array_equal(seen.targets, own.targets)


def test_random_directions_need_no_data_and_keep_lengths_in_their_space():
    one = made("random_projection", directions=64)
    whole = build(DIGITS)
    for seen, own in zip(one.holders, whole.holders, strict=True):
        lengths = np.linalg.norm(flat(own.inputs), axis=1)
        np.testing.assert_allclose(np.linalg.norm(seen.inputs, axis=1), lengths, rtol=1e-5)
    few = made("random_projection")
    np.testing.assert_array_equal(few.held_out.inputs, one.held_out.inputs[:, :16])
    assert few.public == 0
    assert "public_only" not in few.baselines
    assert not np.array_equal(*(random_directions(64, 16, seed) for seed in (0, 1)))


@pytest.mark.parametrize("kind", ["public_pca", "random_projection"])
@pytest.mark.parametrize(
    ("of", "weights"),
    [
        (DIGITS, 170),
        ({"kind": "breast_cancer"}, 17),
        ({**DIGITS, "model": {"kind": "mlp", "hidden": [5]}}, 16 * 5 + 5 + 60),
        ({"kind": "augmented", "of": DIGITS, "views": 2}, 170),
    ],
)
def test_the_model_is_made_for_the_directions(kind, of, weights):
    task = made(kind, of=of)
    assert dimension(task.model()) == weights
    metrics, _ = Evaluation(task)(flat_weights(task.model()))
    assert 0 <= metrics["accuracy"] <= 1


def test_first_weights_and_baseline_are_those_of_a_warm_start_in_the_directions():
    cold, warm = made(), made(warm=True)
    assert not flat_weights(cold.model()).any(), "a softmax begins with zeros"
    found, _ = Evaluation(warm)(flat_weights(warm.model()))
    assert cold.baselines["public_only"] == warm.baselines["public_only"] == found
    assert found["accuracy"] > cold.baselines["majority"]["accuracy"]


@pytest.mark.parametrize("around", ["subset", "planted", "warm_start", "public_subspace"])
def test_tasks_around_it_see_the_coordinates(around):
    more = {"warm_start": {"steps": 1}, "public_subspace": {"steps": 1}}.get(around, {})
    inner = {"kind": "random_projection", "of": DIGITS}
    assert build({"kind": around, "of": inner, **more}).holders[0].inputs.shape[1:] == (16,)


def test_public_inputs_that_span_too_little_are_refused():
    rows = np.outer([1.0, -1.0, 2.0], [3.0, 4.0, 0.0])
    np.testing.assert_allclose(np.abs(principal_directions(rows, 1)), [[0.6], [0.8], [0]])
    with pytest.raises(ValueError, match="2 are asked for, but 3 public inputs span only 1 dim"):
        principal_directions(rows, 2)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("public_pca", {"directions": 100}, r"must be less than records = 100, got 100"),
        ("public_pca", {"directions": 64}, r"span only \d\d dimensions; at most \d\d are allowed"),
        ("public_pca", {"records": 1348}, r"leave holder 0 with none of its 135"),
        ("random_projection", {"directions": 65}, r"at most the 64 inputs of digits, got 65"),
        ("random_projection", {"of": {"kind": "none"}}, "none has no records"),
        ("random_projection", {"of": {"kind": "canaries", "each": 4}}, "canaries has a model that"),
        (
            "public_pca",
            {"of": SCANS},
            "scan_segmentation has a model that fits only its own",
        ),
        ("public_pca", {"of": WARM}, "warm_start declares 100 public records; only one task"),
    ],
)
def test_what_has_no_such_features_is_refused(kind, settings, words):
    with pytest.raises(ValueError, match=words):
        made(kind, **settings)


def test_coordinates_of_a_record_do_not_depend_on_the_others():
    inputs = np.random.default_rng(0).normal(size=(50, 4, 5))
    mean, basis = np.arange(20.0), orthonormal(np.random.default_rng(1).normal(size=(20, 3)))
    together = coordinates(inputs, mean, basis)
    alone = np.concatenate([coordinates(each[None], mean, basis) for each in inputs])
    np.testing.assert_array_equal(together, alone)


def test_joined_records_have_raw_inputs_only_if_all_parts_have_them():
    one, other = made(directions=2).holders[:2]
    joined = join_records([one, other])
    np.testing.assert_array_equal(joined.raw, np.concatenate([one.raw, other.raw]))
    assert join_records([one, replace(other, raw=None)]).raw is None

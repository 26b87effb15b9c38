"""Neighbourhoods: what the model sees depends on neither place, size nor orientation."""

from __future__ import annotations

import numpy as np
import pytest

from fedchain.randomness import stream
from fedchain.surfaces.generated import generate_shape
from fedchain.surfaces.midpoints import midpoint_candidates
from fedchain.surfaces.neighbourhoods import (
    SEEN,
    neighbourhoods,
    principal_axes,
)
from fedchain.surfaces.solids import draw_rotation


@pytest.fixture(scope="module")
def cloud():
    points = generate_shape(0, ["test", 1], "creatures", 200, 0).points
    # The two points of a midpoint are equally near; away from it, one of them is nearer.
    return points, midpoint_candidates(points)[:100] + np.array([1e-3, 2e-3, -3e-3])


def test_the_model_sees_the_nearest_points_first_at_a_mean_squared_distance_of_one(cloud):
    points, candidates = cloud
    around = neighbourhoods(points, candidates)
    assert around.inputs.shape == (100, SEEN, 3)
    assert around.inputs.dtype == np.float32
    away = np.linalg.norm(around.inputs, axis=2)
    assert (np.diff(away, axis=1) >= -1e-5).all()
    assert (away**2).mean(axis=1) == pytest.approx(np.ones(100), abs=1e-5)
    apart = np.linalg.norm(points[None] - candidates[:, None], axis=2)
    wanted = np.sort(apart, axis=1)[:, :SEEN]
    assert away * around.size[:, None] == pytest.approx(wanted, abs=1e-6)


def test_a_moved_scaled_and_turned_cloud_looks_the_same(cloud):
    points, candidates = cloud
    turn = draw_rotation(stream(0, "turn"))
    known = neighbourhoods(points, candidates)
    other = neighbourhoods(*(7 * each @ turn.T + [3, -2, 5] for each in cloud))
    same = np.abs(known.inputs - other.inputs).max(axis=(1, 2)) < 1e-4
    assert same.mean() > 0.95  # an axis may turn where both sides are nearly alike
    assert other.size == pytest.approx(7 * known.size)


def test_offsets_come_back_from_the_axes_of_the_model(cloud):
    around = neighbourhoods(*cloud)
    vectors = np.random.default_rng(0).normal(size=(100, 3))
    assert around.outside(around.inside(vectors)) == pytest.approx(vectors)
    inside = around.inside(vectors)
    lengths = np.linalg.norm(vectors, axis=1) / around.size
    assert np.linalg.norm(inside, axis=1) == pytest.approx(lengths)


def test_the_neighbours_themselves_are_where_the_axes_say(cloud):
    points, candidates = cloud
    around = neighbourhoods(points, candidates)
    first = candidates + around.outside(around.inputs[:, 0])
    apart = np.linalg.norm(points[None] - candidates[:, None], axis=2)
    assert first == pytest.approx(points[apart.argmin(axis=1)], abs=1e-6)


def test_principal_axes_are_the_eigenvectors_of_the_covariance():
    clouds = np.random.default_rng(0).normal(size=(50, 9, 3)) * [3, 1, 0.2]
    axes = principal_axes(np.moveaxis(clouds, 2, 0))
    for found, cloud in zip(axes, clouds, strict=True):
        values, vectors = np.linalg.eigh(np.cov(cloud.T, bias=True))
        assert np.abs(found @ vectors[:, ::-1]) == pytest.approx(np.eye(3), abs=1e-9)
        assert ((cloud @ found.T).var(axis=0) == pytest.approx(values[::-1])) is True


@pytest.mark.parametrize("points", [np.ones((5, 3)), np.array([[1.0, 2.0, 3.0]])], ids=len)
def test_equal_points_and_a_single_point_give_finite_neighbourhoods(points):
    around = neighbourhoods(points, points[:2])
    assert np.isfinite(around.inputs).all()
    assert np.isfinite(around.outside(np.ones((len(points[:2]), 3)))).all()


def test_points_of_a_plane_and_of_a_line_have_finite_axes():
    plane = np.random.default_rng(0).normal(size=(30, 3)) * [1, 1, 0]
    line = plane * [1, 0, 0]
    for cloud in (plane, line):
        around = neighbourhoods(cloud, cloud[:9] + 0.01)
        assert np.isfinite(around.inputs).all()
        product = around.axes @ around.axes.transpose(0, 2, 1)
        assert product == pytest.approx(np.tile(np.eye(3), (9, 1, 1)), abs=1e-9)

"""Patches: cut, seen in the unit sphere, and put together again."""

from __future__ import annotations

import numpy as np
import pytest

from fedchain.surfaces.generated import generate_shape
from fedchain.surfaces.patches import OVERLAP, cut_patches, patches_around


@pytest.fixture(scope="module")
def points():
    return 5 * generate_shape(0, ["test", 2], "machined", 700, 0).points + [1, 2, 3]


def test_every_point_is_in_a_patch_and_patches_overlap(points):
    patches = cut_patches(points, 64)
    count = np.bincount(patches.places.ravel(), minlength=len(points))
    assert count.min() >= 1
    assert OVERLAP - 1 < count.mean() < OVERLAP + 1
    assert all(len(np.unique(own)) == 64 for own in patches.places)


def test_a_patch_is_the_points_around_its_seed_in_the_unit_sphere(points):
    patches = cut_patches(points, 64)
    for own, seen in zip(patches.places, patches.inputs, strict=True):
        away = np.linalg.norm(points - points[own[0]], axis=1)
        assert set(own) == set(np.argsort(away, kind="stable")[:64])
        assert np.linalg.norm(seen, axis=1).max() == pytest.approx(1, abs=1e-5)
        assert seen.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-5)


def test_patches_that_nobody_changed_are_the_cloud_again(points):
    patches = cut_patches(points, 50)
    back = patches.joined(patches.inputs)
    assert back == pytest.approx(points[patches.places.ravel()], abs=1e-5)
    assert {tuple(p) for p in back.round(3)} == {tuple(p) for p in points.round(3)}


def test_cutting_twice_gives_the_same_bytes(points):
    first, again = cut_patches(points, 64), cut_patches(points.copy(), 64)
    assert first.inputs.tobytes() == again.inputs.tobytes()
    assert first.places.tobytes() == again.places.tobytes()


def test_a_point_far_from_all_seeds_gets_a_patch_of_its_own():
    random = np.random.default_rng(0)
    places = np.linspace(0, 1, 40) ** 4
    lumps = np.concatenate([[p, 0, 0] + 1e-4 * random.normal(size=(9, 3)) for p in places])
    patches = cut_patches(lumps, 30)
    assert (np.unique(patches.places) == np.arange(len(lumps))).all()


@pytest.mark.parametrize("count", [1, 2, 9, 16])
def test_a_cloud_smaller_than_a_patch_is_one_patch_with_repeated_points(count):
    points = np.arange(3.0 * count).reshape(count, 3)
    patches = cut_patches(points, 16)
    assert patches.inputs.shape == (1, 16, 3)
    assert np.isfinite(patches.inputs).all()
    assert (np.unique(patches.places) == np.arange(count)).all()


def test_a_point_of_the_cloud_is_moved_into_the_sphere_of_a_patch(points):
    patches = patches_around(points, np.array([5, 17]), 32)
    assert patches.places[:, 0].tolist() == [5, 17]
    for patch, own in enumerate(patches.places):
        assert patches.inside(patch, points[own]) == pytest.approx(patches.inputs[patch], abs=1e-6)

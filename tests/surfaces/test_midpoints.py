import numpy as np
import pytest
from shared_data import PHOXI, beside_shared

from fedchain.scans.formats import read_cloud
from fedchain.surfaces.metrics import chamfer_distance
from fedchain.surfaces.midpoints import densify, midpoint_candidates
from fedchain.surfaces.neighbours import farthest_points, nearest


def disc(count, seed=0):
    """Return points on a flat disc of radius 1."""
    generator = np.random.default_rng(seed)
    angle, radius = 2 * np.pi * generator.random(count), np.sqrt(generator.random(count))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(count)], 1)


def slow_candidates(points, neighbours):
    found = {}
    for i, own in enumerate(points):
        order = np.argsort(np.linalg.norm(points - own, axis=1), kind="stable")
        for j in [j for j in order if j != i][:neighbours]:
            found[min(i, j), max(i, j)] = (own + points[j]) / 2
    return np.array([found[pair] for pair in sorted(found)])


def test_candidates_are_the_middles_of_neighbours_each_pair_once():
    points = disc(60)
    wanted = slow_candidates(points, 8)
    assert len(wanted) < 60 * 8
    assert midpoint_candidates(points) == pytest.approx(wanted, abs=1e-12)


def test_a_cloud_with_fewer_points_than_neighbours_has_the_middles_of_all_pairs():
    assert len(midpoint_candidates(disc(5))) == 10
    assert midpoint_candidates(disc(1)).shape == midpoint_candidates(disc(0)).shape == (0, 3)


def test_densified_points_are_the_farthest_of_points_and_candidates():
    points = disc(200)
    dense = densify(points, 800)
    ordered = np.unique(points, axis=0)
    candidates = np.unique(np.concatenate([ordered, midpoint_candidates(ordered)]), axis=0)
    assert (dense == candidates[farthest_points(candidates, 800)]).all()
    assert (dense[:, 2] == 0).all()
    assert len(np.unique(dense, axis=0)) == 800


def test_the_order_of_the_points_does_not_matter():
    points = disc(150)
    turned = np.random.default_rng(1).permutation(points)
    assert (densify(points, 600) == densify(turned, 600)).all()


@pytest.mark.parametrize("count", [2, 3, 7, 9])
def test_few_points_become_many_by_middles_of_middles(count):
    points = np.linspace(0, 1, count)[:, None] * [1, 1, 1]
    dense = densify(points, 4 * count)
    assert dense.shape == (4 * count, 3)
    assert len(np.unique(dense, axis=0)) == 4 * count
    assert (dense.min(), dense.max()) == (0, 1)


def test_middles_that_coincide_on_a_grid_count_once():
    grid = np.stack([*np.divmod(np.arange(100.0), 10), np.zeros(100)], 1)
    dense = densify(grid, 361)
    steps = 0.5 * np.stack([*np.divmod(np.arange(361.0), 19), np.zeros(361)], 1)
    assert (np.unique(dense, axis=0) == steps).all()


def test_equal_points_count_once_as_candidates():
    points = np.repeat(disc(40), 3, axis=0)
    dense = densify(points, 4 * len(points))
    assert len(np.unique(dense, axis=0)) == 4 * len(points)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (np.empty((0, 3)), "no two of 0 differ"),
        (np.ones((1, 3)), "no two of 1 differ"),
        (np.ones((5, 3)), "no two of 5 differ, so nothing lies between them; allowed"),
        (np.array([[0, 0, 0], [1, np.nan, 0]]), "1 of 2 are not finite"),
    ],
)
def test_points_between_which_nothing_lies_are_refused(points, words):
    with pytest.raises(ValueError, match=words):
        densify(points, 20)


@beside_shared
def test_midpoints_of_six_real_clouds_have_the_published_distances():
    found = []
    for path in sorted((PHOXI.parent / "pu_net").glob("*.xyz")):
        points = read_cloud(path).points.astype(np.float64)
        points -= points.mean(axis=0)
        points /= np.linalg.norm(points, axis=1).max()
        some = points[np.random.default_rng(0).choice(5_000, 1_250, replace=False)]
        beside = some[nearest(some, some, 4)[:, 1:]]
        plain = np.concatenate([some, ((some[:, None] + beside) / 2).reshape(-1, 3)])
        dense = densify(some, 5_000)
        found.append([chamfer_distance(each, points) for each in (some, plain, dense)])
    assert 1e3 * np.mean(found, axis=0) == pytest.approx([0.762, 0.765, 0.602], abs=5e-4)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fedchain.surfaces import neighbours
from fedchain.surfaces.neighbours import farthest_points, nearest, nearest_distances


def chosen_one_by_one(points, count, first=0):
    """Choose the farthest points as their definition says, comparing every point with each."""
    points = np.asarray(points, np.float64)
    away, chosen = np.full(len(points), np.inf), []
    x, y, z = (points - points.mean(axis=0)).T
    new = int((x * x + y * y + z * z).argmax())
    for place in range(count):
        new = place if place < first else new
        chosen.append(new)
        x, y, z = (points - points[new]).T
        away = np.minimum(away, x * x + y * y + z * z)
        away[chosen] = -1
        new = int(away.argmax())
    return chosen


def shell(count, seed=0):
    points = np.random.default_rng(seed).normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1)[:, None]


def two_clusters(count):
    """Return few points far apart and many in one spot, which all lie in one ball at first."""
    generator = np.random.default_rng(3)
    return np.concatenate([shell(100) * 100, 1e-3 * generator.normal(size=(count, 3))])


CLOUDS = {
    "a sphere": lambda: shell(3_000),
    "a full ball": lambda: shell(2_000) * np.random.default_rng(1).random((2_000, 1)) ** (1 / 3),
    "a grid, of which all distances are equal": lambda: np.stack(
        [*np.divmod(np.arange(2_500), 50), np.zeros(2_500)], 1
    ),
    "points that stand twice": lambda: np.repeat(shell(700), 2, axis=0),
    "equal points": lambda: np.ones((300, 3)),
    "a line": lambda: np.linspace(0, 1, 900)[:, None] * [1, 2, 3],
    "two clusters": lambda: two_clusters(2_000),
    "points far from the origin": lambda: shell(1_000) + 1e6,
}


@pytest.mark.parametrize("share", [0.01, 0.5, 1])
@pytest.mark.parametrize("make", CLOUDS.values(), ids=list(CLOUDS))
def test_farthest_points_are_those_of_the_plain_algorithm_in_its_order(make, share):
    points = make()
    count = round(share * len(points))
    assert farthest_points(points, count).tolist() == chosen_one_by_one(points, count)


@pytest.mark.parametrize("first", [1, 30, 200, 600])
@pytest.mark.parametrize("make", CLOUDS.values(), ids=list(CLOUDS))
def test_points_that_come_first_are_chosen_before_all_others(make, first):
    points = make()
    first = min(first, len(points) // 2)
    count = (first + len(points)) // 2
    found = farthest_points(points, count, first)
    assert found.tolist() == chosen_one_by_one(points, count, first)
    assert (farthest_points(points, first, first) == np.arange(first)).all()


@pytest.mark.parametrize("most", [40, 200])
def test_farthest_points_do_not_depend_on_how_many_pairs_are_compared_at_once(monkeypatch, most):
    points, wanted = two_clusters(900), farthest_points(two_clusters(900), 800)
    monkeypatch.setattr(neighbours, "MOST_PAIRS", most)
    assert (farthest_points(points, 800) == wanted).all()


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    arrays.arrays(np.int8, st.tuples(st.integers(1, 120), st.just(3))),
    st.floats(0, 1),
    st.integers(1, 8),
)
def test_farthest_points_of_clouds_with_many_equal_distances(points, share, bits):
    coarse = points >> (8 - bits)
    count = round(share * len(coarse))
    assert farthest_points(coarse, count).tolist() == chosen_one_by_one(coarse, count)


def test_nearest_points_and_distances_are_those_of_all_pairs():
    points, to = shell(200, 1), shell(300, 2)
    apart = np.linalg.norm(points[:, None] - to, axis=-1)
    assert nearest_distances(points, to) == pytest.approx(apart.min(axis=1), abs=1e-12)
    found = nearest(points, to, 7)
    assert found.shape == (200, 7)
    assert (found == np.argsort(apart, axis=1)[:, :7]).all()
    assert nearest(points[:0], to, 7).shape == (0, 7)
    assert nearest_distances(points[:0], to).shape == (0,)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: nearest_distances(p, p[:0]), "to: holds no point"),
        (lambda p: nearest(p, p, 5), "count: is 5; allowed: 1 to the number of points, 4"),
        (lambda p: farthest_points(p, 5), "count: is 5; allowed: 0 to the number of points, 4"),
        (lambda p: farthest_points(p, 1, 2), "count: is 1; allowed: 2, the number of first"),
        (lambda p: farthest_points(p[:, :2], 1), r"points: have the shape \(4, 2\)"),
        (lambda p: farthest_points(p * [[np.nan], [1], [1], [np.inf]], 1), "2 of 4 are not finite"),
        (lambda p: nearest(p, p * np.nan, 1), "to: 4 of 4 are not finite"),
    ],
)
def test_what_has_no_answer_is_refused_with_its_reason(call, words):
    with pytest.raises(ValueError, match=words):
        call(shell(4))

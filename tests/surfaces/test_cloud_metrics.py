import numpy as np
import pytest

from fedchain.surfaces.metrics import (
    chamfer_distance,
    deviation,
    hausdorff_distance,
    nuc,
    spacing,
)


def ball(count, seed):
    return np.random.default_rng(seed).normal(size=(count, 3))


def slow_distances(a, b):
    return [min(sum((x - y) ** 2 for x, y in zip(p, q, strict=True)) ** 0.5 for q in b) for p in a]


def slow_nuc(points, dense, share):
    """Count the points in the ball around each dense point that holds the share of the others."""
    held, found = round(share * len(dense)), []
    for centre in dense:
        radius = sorted(float(np.linalg.norm(q - centre)) for q in dense)[held - 1]
        inside = sum(float(np.linalg.norm(p - centre)) <= radius + 1e-9 for p in points)
        found.append(inside / (len(points) * held / len(dense)))
    mean = sum(found) / len(found)
    return (sum((each - mean) ** 2 for each in found) / len(found)) ** 0.5


@pytest.mark.parametrize(("n", "m"), [(40, 70), (1, 5), (5, 1)])
def test_distances_of_clouds_are_those_of_slow_loops(n, m):
    a, b = ball(n, 0), ball(m, 1)
    there, back = slow_distances(a, b), slow_distances(b, a)
    chamfer = sum(d * d for d in there) / n + sum(d * d for d in back) / m
    assert chamfer_distance(a, b) == pytest.approx(chamfer, abs=1e-6)
    assert chamfer_distance(b, a) == pytest.approx(chamfer, abs=1e-6)
    assert hausdorff_distance(a, b) == pytest.approx(max(*there, *back), abs=1e-6)
    mean = sum(there) / n
    spread = (sum((d - mean) ** 2 for d in there) / n) ** 0.5
    assert deviation(a, b) == pytest.approx((mean, spread), abs=1e-6)


def test_the_hausdorff_distance_looks_in_both_directions():
    a, b = np.zeros((1, 3)), np.array([[0, 0, 0], [3, 0, 0]])
    assert hausdorff_distance(a, b) == hausdorff_distance(b, a) == 3


def test_the_nuc_is_that_of_slow_loops():
    dense, shares = ball(130, 2), (0.01, 0.05, 0.2)
    points = np.concatenate([ball(40, 3), dense[:9]])
    wanted = [slow_nuc(points, dense, share) for share in shares]
    assert nuc(points, dense, shares) == pytest.approx(wanted, abs=1e-6)


def test_the_nuc_of_the_dense_cloud_is_0_and_that_of_a_clustered_one_is_large():
    dense = ball(2_000, 4)
    assert nuc(dense, dense) == pytest.approx(np.zeros(6), abs=1e-12)
    even, clustered = dense[::4], dense[np.argsort(dense[:, 0])[:500]]
    assert (nuc(even, dense) < nuc(clustered, dense) / 1.5).all()


def test_the_nuc_of_a_large_cloud_has_fewer_disks(monkeypatch):
    dense, points = ball(900, 5), ball(300, 6)
    whole = nuc(points, dense, (0.1,))
    monkeypatch.setattr("fedchain.surfaces.metrics.MOST_DISKS", 300)
    assert nuc(points, dense, (0.1,)) == pytest.approx(whole, rel=0.2)
    assert nuc(points, dense, (0.1,)) != pytest.approx(whole, rel=1e-9)


def test_the_spacing_of_a_grid_is_its_step_and_even():
    grid = 2.0 * np.stack([*np.divmod(np.arange(30), 6), np.zeros(30)], 1)
    found = spacing(grid)
    assert (found.mean, found.unevenness) == (2, 0)
    away = np.array([[0, 0, 0], [0, 0, 1], [0, 0, 4]])
    assert spacing(away).mean == pytest.approx(5 / 3)
    assert spacing(away).unevenness == pytest.approx(np.std([1, 1, 3]) / (5 / 3))


def test_equal_points_have_the_spacing_0():
    assert spacing(np.ones((5, 3))).mean == spacing(np.ones((5, 3))).unevenness == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: chamfer_distance(p[:0], p), "a: holds no point"),
        (lambda p: hausdorff_distance(p, p[:0]), "b: holds no point"),
        (lambda p: deviation(p[:0], p), "points: holds no point"),
        (lambda p: chamfer_distance(p * np.nan, p), "9 of 9 are not finite"),
        (lambda p: nuc(p[:0], p, (0.5,)), "points: holds no point"),
        (lambda p: nuc(p, p), "of 9 dense points, of which no ball holds such a share"),
        (lambda p: spacing(p[:1]), "points: are 1; allowed: at least 2"),
    ],
)
def test_what_has_no_answer_is_refused_with_its_reason(call, words):
    with pytest.raises(ValueError, match=words):
        call(ball(9, 0))

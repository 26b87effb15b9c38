from dataclasses import replace

import numpy as np
import pytest
from small_clouds import dome, untrained

from fedchain.errors import DataError
from fedchain.surfaces import upsampling
from fedchain.surfaces.examples import CANDIDATE_NEIGHBOURS
from fedchain.surfaces.midpoints import densify, midpoint_candidates
from fedchain.surfaces.model_file import write_surface_model
from fedchain.surfaces.neighbours import farthest_points, nearest
from fedchain.surfaces.upsampling import learned_model, upsample, upsample_cloud
from fedchain.system import peak_memory

METHODS = ("midpoints", "refine", "pu_net")


def model_of(method, still=False):
    return None if method == "midpoints" else untrained(method, still)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [4, 16])
def test_there_are_as_many_different_points_as_the_factor_says(method, factor):
    points = dome(80).points
    dense = upsample(points, method, factor=factor, model=model_of(method))
    assert dense.shape == (factor * 80, 3)
    assert len(np.unique(dense, axis=0)) == factor * 80
    again = upsample(points, method, factor=factor, model=model_of(method))
    assert (dense == again).all()


def test_16_times_as_many_points_are_twice_4_times_as_many():
    points = dome(50).points
    assert (upsample(points, "midpoints", factor=4) == densify(points, 200)).all()
    twice = densify(densify(points, 200), 800)
    assert (upsample(points, "midpoints", factor=16) == twice).all()


def test_refine_keeps_the_points_and_adds_the_farthest_of_the_moved_midpoints():
    points = np.unique(dome(90).points.astype(np.float64), axis=0)
    dense = upsample(points, "refine", factor=4, model=untrained("refine", still=True))
    assert (dense[:90] == points).all()
    between = np.unique(midpoint_candidates(points, CANDIDATE_NEIGHBOURS), axis=0)
    every = np.concatenate([points, between])
    assert (dense == every[farthest_points(every, 360, 90)]).all()
    moved = upsample(points, "refine", factor=4, model=untrained("refine"))
    assert (moved[:90] == points).all()
    assert not (moved == dense).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [2, 3, 9])
def test_few_points_become_four_times_as_many(method, count):
    dense = upsample(dome(count).points, method, factor=4, model=model_of(method))
    assert dense.shape == (4 * count, 3)
    assert np.isfinite(dense).all()


@pytest.mark.parametrize("method", METHODS)
def test_points_that_stand_several_times_become_four_times_as_many(method):
    points = np.repeat(dome(30).points, 3, axis=0)
    assert len(upsample(points, method, factor=4, model=model_of(method))) == 360


WRONG = {
    "no points": (np.empty((0, 3)), "cloud: points: no two of 0 differ"),
    "one point": (np.ones((1, 3)), "cloud: points: no two of 1 differ"),
    "equal points": (np.ones((9, 3)), "cloud: points: no two of 9 differ"),
    "nan": (np.array([[0, 0, 0], [1, np.nan, 1], [1, 1, 1]]), "1 of 3 are not finite"),
    "two coordinates": (np.zeros((9, 2)), r"have the shape \(9, 2\); allowed: \(n, 3\)"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("points", "words"), WRONG.values(), ids=list(WRONG))
def test_a_cloud_without_a_surface_is_refused_in_one_line(points, words, method):
    with pytest.raises(DataError, match=words) as error:
        upsample(points, method, factor=4, model=model_of(method))
    assert "\n" not in str(error.value)


def test_more_points_than_memory_holds_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr(upsampling, "MOST_MADE", 1_000)
    with pytest.raises(DataError, match=r"cloud: 80 points x 16; allowed: at most 1,000"):
        upsample(dome(80).points, "midpoints", factor=16)
    assert len(upsample(dome(80).points, "midpoints", factor=4)) == 320


def test_new_points_have_normal_and_intensity_of_the_nearest_point():
    cloud = dome()
    dense = upsample_cloud(cloud, "midpoints", factor=4)
    assert dense.points.dtype == np.float32
    origin = nearest(dense.points, cloud.points, 1)[:, 0]
    assert (dense.normals == cloud.normals[origin]).all()
    assert (dense.intensity == cloud.intensity[origin]).all()
    assert np.abs(np.linalg.norm(dense.normals, axis=1) - 1).max() < 1e-6


def test_a_cloud_without_normals_and_intensity_gets_none():
    bare = replace(dome(), normals=None, intensity=None)
    dense = upsample_cloud(bare, "midpoints", factor=4)
    assert dense.normals is dense.intensity is None


def test_the_model_of_a_file_must_be_of_the_method(tmp_path):
    write_surface_model(tmp_path / "m.npz", untrained("pu_net"))
    assert learned_model("pu_net", tmp_path / "m.npz").card.kind == "pu_net"
    with pytest.raises(DataError, match=r"m\.npz: is a model of pu_net; allowed: .* of refine"):
        learned_model("refine", tmp_path / "m.npz")
    with pytest.raises(DataError, match=r"m\.npz: is a model, and midpoints need none"):
        learned_model("midpoints", tmp_path / "m.npz")
    assert learned_model("midpoints") is None


@pytest.mark.long
@pytest.mark.parametrize(("method", "count"), [("refine", 20_000), ("midpoints", 1_000_000)])
def test_large_clouds_become_denser_within_a_gigabyte_and_a_half(method, count):
    points, before = dome(count).points, peak_memory()
    dense = upsample(points, method, factor=4, model=model_of(method, still=True))
    assert len(dense) == 4 * count
    assert peak_memory() - before < 1.5e9

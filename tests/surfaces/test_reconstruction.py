"""Meshes of known shapes, by both methods."""

import sys

import numpy as np
import pytest
from shared_data import PHOXI, beside_shared
from surface_shapes import borders_of, cloud, plane, sphere, volume_of, with_hole
from turntable_scans import camera_at, scan_of

from fedchain.errors import DataError, MissingExtra
from fedchain.scans.formats import read_cloud
from fedchain.scans.scan import Cloud
from fedchain.surfaces import marching, reconstruction
from fedchain.surfaces.merging import cloud_of_scan
from fedchain.surfaces.reconstruction import method_of, reconstruct
from fedchain.surfaces.trimming import mean_distance, spacing_of


@pytest.fixture(params=["marching", "poisson"])
def method(request):
    pytest.importorskip("skimage" if request.param == "marching" else "open3d")
    return request.param


def off_sphere(mesh):
    return np.abs(np.linalg.norm(mesh.vertices, axis=1) - 1)


def test_the_mesh_of_a_sphere_is_the_sphere_closed_and_outward(method):
    mesh = reconstruct(cloud(sphere(3000)), method=method, depth=6)
    assert off_sphere(mesh).mean() < 0.005
    assert off_sphere(mesh).max() < 0.03
    assert len(borders_of(mesh)) == 0
    assert volume_of(mesh) == pytest.approx(4 / 3 * np.pi, rel=0.02)


def test_the_sphere_is_found_without_normals_and_camera_anywhere_in_space(method):
    far = reconstruct(cloud(sphere(1000, centre=(50, -20, 30))), method=method, depth=5)
    away = np.linalg.norm(far.vertices - [50, -20, 30], axis=1)
    assert np.abs(away - 1).mean() < 0.02


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_another_unit_gives_the_same_mesh_in_that_unit(method, unit):
    points = with_hole(sphere(1000))
    one = reconstruct(cloud(points), method=method, depth=5)
    other = reconstruct(cloud(unit * points), method=method, depth=5)
    assert len(other.faces) == pytest.approx(len(one.faces), rel=0.05)
    assert off_sphere(type(other)(other.vertices / unit, other.faces)).mean() < 0.02


def test_a_hole_stays_a_hole_whose_border_is_near_the_points(method):
    points = with_hole(sphere(3000))
    mesh = reconstruct(cloud(points), method=method, depth=6)
    assert len(borders_of(mesh)) > 10
    limit = 6 * spacing_of(points)
    assert mesh.vertices[:, 2].max() < 0.7 + limit
    assert not (np.linalg.norm(mesh.vertices - [0, 0, 1], axis=1) < 0.4).any()
    closer = reconstruct(cloud(points), method=method, depth=6, farthest=0.05)
    assert closer.vertices[:, 2].max() < 0.75


def test_a_plane_is_flat_and_ends_where_its_points_end(method):
    points = plane(30)
    normals = np.tile([0, 0, 1.0], (len(points), 1))
    mesh = reconstruct(cloud(points, normals), method=method, depth=6)
    inner = ((mesh.vertices[:, :2] > 0.02) & (mesh.vertices[:, :2] < 0.27)).all(axis=1)
    assert np.abs(mesh.vertices[inner, 2]).max() < 2e-3
    assert mesh.vertices[:, :2].min() > -0.07
    assert mesh.vertices[:, :2].max() < 0.36


def test_one_view_of_a_ball_faces_its_camera(method):
    scan = scan_of(camera_at(30))
    mesh = reconstruct(cloud_of_scan(scan), method=method, depth=6, farthest=0.003)
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    facing = (np.cross(b - a, c - a) * (scan.camera - (a + b + c) / 3)).sum(axis=1)
    assert (facing > 0).mean() > 0.9
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.05).mean() < 1e-3


def test_equal_points_count_once(method):
    points = sphere(600)
    once = reconstruct(cloud(points), method=method, depth=5)
    twice = reconstruct(cloud(np.concatenate([points, points])), method=method, depth=5)
    assert np.array_equal(once.vertices, twice.vertices)


def test_points_that_are_not_finite_are_left_out(method):
    points = sphere(600)
    holes = np.concatenate([points, np.full((5, 3), np.nan), [[np.inf, 0, 0]]])
    once = reconstruct(cloud(points), method=method, depth=5)
    assert np.array_equal(once.vertices, reconstruct(cloud(holes), method=method, depth=5).vertices)


def test_the_same_points_give_the_same_mesh(method):
    one, other = (reconstruct(cloud(sphere(900)), method=method, depth=6) for _ in range(2))
    assert np.array_equal(one.vertices, other.vertices)
    assert np.array_equal(one.faces, other.faces)


FEW = {
    "no point": np.zeros((0, 3)),
    "one point": np.ones((1, 3)),
    "equal points": np.ones((50, 3)),
    "points of a line": np.arange(50)[:, None] * np.ones(3),
    "nothing finite": np.full((50, 3), np.nan),
    "three points": np.eye(3),
}


@pytest.mark.parametrize("points", FEW.values(), ids=list(FEW))
def test_points_that_span_no_surface_are_refused_in_one_line(points):
    with pytest.raises(DataError, match=r"^surface: .* allowed: at least 10$"):
        reconstruct(cloud(points), method="marching")


def test_ten_points_of_a_plane_are_a_surface(method):
    points = np.array([[x, y, 0] for x in range(5) for y in range(2)])
    assert len(reconstruct(cloud(points), method=method, depth=5).faces)


def test_a_point_without_a_stored_normal_is_left_out():
    pytest.importorskip("skimage")
    points = sphere(600)
    normals = points.copy()
    normals[:100] = 0
    mesh = reconstruct(cloud(points, normals), method="marching")
    other = reconstruct(cloud(points[100:], points[100:]), method="marching")
    assert np.array_equal(mesh.vertices, other.vertices)


def test_a_cut_that_leaves_nothing_is_told_in_one_line(method):
    with pytest.raises(DataError, match="no triangle is near the 600 points; allowed: a larger"):
        reconstruct(cloud(sphere(600)), method=method, depth=5, farthest=0.0)


@pytest.mark.parametrize("depth", [4, 12])
def test_a_depth_that_is_not_allowed_is_refused(depth):
    with pytest.raises(ValueError, match=f"depth: is {depth}; allowed: 5 to 11"):
        reconstruct(cloud(sphere(100)), depth=depth)


def test_without_open3d_auto_means_marching_cubes_and_poisson_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)
    monkeypatch.setattr(reconstruction, "find_spec", lambda _: None)
    assert method_of("auto") == "marching"
    with pytest.raises(MissingExtra, match=r"open3d is not installed; .*'fedchain\[surfaces\]'"):
        reconstruct(cloud(sphere(100)), method="poisson")


def test_with_open3d_auto_means_poisson(monkeypatch):
    monkeypatch.setattr(reconstruction, "find_spec", lambda name: str(name))
    assert method_of("auto") == "poisson"
    assert method_of("marching") == "marching"


def test_without_scikit_image_marching_cubes_say_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    with pytest.raises(MissingExtra, match=r"skimage is not installed; .*'fedchain\[surfaces\]'"):
        reconstruct(cloud(sphere(100)), method="marching")


def test_a_grid_with_too_many_cells_is_refused_in_one_line(monkeypatch):
    pytest.importorskip("skimage")
    monkeypatch.setattr(marching, "MOST_CELLS", 100)
    words = r"^marching cubes: [\d,]+ cells of .* allowed: at most 100; a smaller depth"
    with pytest.raises(DataError, match=words):
        reconstruct(cloud(sphere(600)), method="marching")


def test_a_smaller_depth_makes_larger_cells(method):
    fine, coarse = (reconstruct(cloud(sphere(20_000)), method=method, depth=d) for d in (7, 5))
    assert len(coarse.faces) < len(fine.faces) / 3


@pytest.mark.long
def test_a_million_points_make_a_mesh():
    pytest.importorskip("skimage")
    points = sphere(1_000_000)
    mesh = reconstruct(Cloud(points=points, normals=points), method="marching", depth=6)
    assert off_sphere(mesh).max() < 0.01


def test_the_surface_is_one_across_the_blocks_of_the_grid(monkeypatch):
    pytest.importorskip("skimage")
    points = sphere(3000)
    whole = reconstruct(cloud(points), method="marching")
    monkeypatch.setattr(marching, "BLOCK_CELLS", 7)
    blocks = reconstruct(cloud(points), method="marching")
    assert len(borders_of(blocks)) == 0
    assert len(blocks.vertices) == len(whole.vertices)
    order = [np.lexsort(mesh.vertices.T) for mesh in (whole, blocks)]
    assert whole.vertices[order[0]] == pytest.approx(blocks.vertices[order[1]], abs=1e-4)


def test_the_other_side_of_a_plate_thinner_than_a_cell_does_not_move_a_side():
    pytest.importorskip("skimage")
    up = np.tile([0, 0, 1.0], (900, 1))
    both = np.concatenate([plane(30) + np.array([0, 0, 0.012]), plane(30)])
    mesh = marching.marching_mesh(both, np.concatenate([up, -up]), 0.015)
    inner = ((mesh.vertices[:, :2] > 0.05) & (mesh.vertices[:, :2] < 0.24)).all(axis=1)
    upper = mesh.vertices[inner & (mesh.vertices[:, 2] > 0.008), 2]
    assert len(upper) > 100
    assert np.abs(upper - 0.012).max() < 1e-4


@beside_shared
def test_the_outliers_of_a_real_scan_move_its_surface():
    pytest.importorskip("skimage")
    dirty, clean = (read_cloud(PHOXI / f"{name}_006.cogs") for name in ("gpu", "clean"))
    off = [mean_distance(reconstruct(c, method="marching"), clean.points) for c in (dirty, clean)]
    assert off[0] > 1.5e-3
    assert off[1] < 0.5e-3

import numpy as np
import pytest
from surface_shapes import cloud, plane, sphere
from turntable_scans import camera_at

from fedchain.surfaces.normals import (
    cloud_normals,
    orient_outward,
    orient_to_cameras,
    plane_normals,
)


def test_the_normals_of_a_sphere_are_its_radii():
    points = sphere(2000)
    cosines = np.abs((plane_normals(points) * points).sum(axis=1))
    assert cosines.min() > 0.999


def test_the_plane_of_a_point_is_the_least_direction_of_its_neighbours_covariance():
    points = np.random.default_rng(0).normal(size=(40, 3))
    found = plane_normals(points, 7)
    for point, normal in zip(points, found, strict=True):
        own = points[np.argsort(((points - point) ** 2).sum(axis=1))[:7]]
        least = np.linalg.svd(own - own.mean(axis=0))[2][2]
        assert abs(least @ normal) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_planes_do_not_depend_on_the_unit(scale):
    found = plane_normals(scale * plane(8))
    assert np.abs(found) == pytest.approx(np.tile([0, 0, 1], (64, 1)), abs=1e-6)


def test_points_of_a_line_and_equal_points_have_no_plane():
    line = np.arange(30)[:, None] * np.array([1.0, 2.0, 3.0])
    assert not plane_normals(line).any()
    assert not plane_normals(np.ones((30, 3))).any()
    assert not plane_normals(np.ones((1, 3))).any()
    assert plane_normals(np.zeros((0, 3))).shape == (0, 3)


def test_normals_turn_towards_the_camera_of_their_own_point():
    points, normals = np.zeros((2, 3)), np.array([[0, 0, 1.0], [0, 0, 1.0]])
    cameras = np.array([[0, 0, 5.0], [0, 0, -5.0]])
    assert orient_to_cameras(normals, points, cameras).tolist() == [[0, 0, 1], [0, 0, -1]]


def test_without_a_camera_the_normals_of_a_sphere_point_outward():
    points = sphere(1500, centre=(3, 0, 0))
    signs = np.random.default_rng(1).choice([-1.0, 1.0], size=(1500, 1))
    found = orient_outward(signs * plane_normals(points), points)
    assert ((found * (points - [3, 0, 0])).sum(axis=1) > 0).all()


def test_each_of_two_bodies_is_turned_outward_by_itself():
    points = np.concatenate([sphere(800), sphere(800, centre=(10, 0, 0))])
    middles = np.repeat([[0.0, 0, 0], [10, 0, 0]], 800, axis=0)
    found = cloud_normals(cloud(points))
    assert ((found * (points - middles)).sum(axis=1) > 0).all()


def test_the_orientation_spreads_around_a_bend_where_the_middle_would_mislead():
    # A ring of a horseshoe's cross-section: from the middle, its inner side looks inward.
    angle = np.repeat(np.linspace(0.3, 2 * np.pi - 0.3, 160), 24)
    turn = np.tile(np.linspace(0, 2 * np.pi, 24, endpoint=False), 160)
    radial = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    true = np.cos(turn)[:, None] * radial + np.sin(turn)[:, None] * [0, 0, 1]
    points = 3 * radial + true
    found = cloud_normals(cloud(points))
    assert ((found * true).sum(axis=1) > 0.5).mean() > 0.99
    naive = ((points - points.mean(axis=0)) * true).sum(axis=1) > 0
    assert naive.mean() < 0.9


def test_stored_normals_are_kept_and_turned_to_a_known_camera():
    points, stored = plane(5), np.tile([0.6, 0.0, -0.8], (25, 1))
    assert cloud_normals(cloud(points, stored)) == pytest.approx(stored, abs=1e-6)
    camera = camera_at(0, height=0.3)
    points = points[:, [0, 2, 1]]  # a table below the camera
    found = cloud_normals(cloud(points, np.tile([0.0, -1.0, 0.0], (25, 1)), camera))
    assert (found == [0, 1, 0]).all()


def test_a_single_point_and_an_empty_cloud_have_no_normals():
    assert cloud_normals(cloud(np.zeros((1, 3)))).tolist() == [[0, 0, 0]]
    assert cloud_normals(cloud(np.zeros((0, 3)))).shape == (0, 3)

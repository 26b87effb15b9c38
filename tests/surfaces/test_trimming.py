import numpy as np
import pytest
from surface_shapes import plane, sphere

from fedchain.scans.formats.meshes import Mesh
from fedchain.surfaces.trimming import mean_distance, part_of_mesh, spacing_of, trim_mesh

SQUARE = Mesh(
    np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [9, 9, 9]]),
    np.array([[0, 1, 2], [0, 2, 3], [2, 3, 4]]),
)


def test_the_spacing_is_the_root_of_the_area_of_a_point():
    assert spacing_of(plane(40, 0.5)) == pytest.approx(0.5, rel=0.15)
    points = sphere(5000)
    assert spacing_of(points) == pytest.approx(np.sqrt(4 * np.pi / 5000), rel=0.1)
    assert spacing_of(1000 * points) == pytest.approx(1000 * spacing_of(points))


def test_few_and_equal_points_have_the_spacing_0():
    assert spacing_of(np.zeros((0, 3))) == 0
    assert spacing_of(np.ones((1, 3))) == 0
    assert spacing_of(np.ones((20, 3))) == 0
    assert spacing_of(np.array([[0.0, 0, 0], [2, 0, 0]])) == pytest.approx(2 * np.sqrt(np.pi))


def test_a_vertex_far_from_all_points_goes_with_its_triangles():
    points = SQUARE.vertices[:4] + np.array([0, 0, 0.5])
    assert len(trim_mesh(SQUARE, points, 0.6).faces) == 2
    assert len(trim_mesh(SQUARE, points, 0.4).faces) == 0
    assert len(trim_mesh(SQUARE, points, 20).faces) == 3
    kept = trim_mesh(SQUARE, points[:3], 0.6)
    assert kept.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert kept.faces.tolist() == [[0, 1, 2]]


def test_vertices_without_a_triangle_are_left_out():
    kept = part_of_mesh(SQUARE, np.array([True, False, True, True, False]))
    assert kept.faces.tolist() == [[0, 1, 2]]
    assert kept.vertices.tolist() == [[0, 0, 0], [1, 1, 0], [0, 1, 0]]


def test_the_mean_distance_is_that_of_the_vertices():
    points = np.array([[0.0, 0, 0], [9, 9, 10]])
    assert mean_distance(SQUARE, points) == pytest.approx((0 + 1 + np.sqrt(2) + 1 + 1) / 5)

import numpy as np
import pytest

from fedchain.scans.camera import Camera
from fedchain.scans.formats.meshes import Mesh
from fedchain.surfaces.mesh_pictures import (
    BACK,
    DARKEST,
    FRONT,
    GAP_PIXELS,
    draw_mesh,
    draw_side_by_side,
    shade_from,
    viewpoint,
)

FORWARD, UP = np.array([0.0, 0, 1]), np.array([0.0, 1, 0])


def square(z=0.0, low=-1.0, high=1.0, turned=False):
    corners = np.array([[low, low, z], [high, low, z], [high, high, z], [low, high, z]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    return Mesh(corners, faces[:, ::-1].copy() if turned else faces)


def both(one, other):
    faces = np.concatenate([one.faces, other.faces + len(one.vertices)])
    return Mesh(np.concatenate([one.vertices, other.vertices]), faces)


def test_a_plane_that_faces_the_viewer_has_the_front_colour_on_white():
    mesh = square()
    picture = draw_mesh(mesh, viewpoint([mesh], FORWARD, UP, (100, 100)))
    assert tuple(picture[50, 50]) == FRONT
    assert tuple(picture[0, 0]) == (255, 255, 255)
    filled = (picture != 255).any(axis=2)
    assert filled.mean() == pytest.approx(0.88**2, abs=0.01)


def test_a_plane_seen_from_behind_has_the_other_colour():
    mesh = square(turned=True)
    picture = draw_mesh(mesh, viewpoint([mesh], FORWARD, UP, (40, 40)))
    assert tuple(picture[20, 20]) == BACK


def test_a_tilted_plane_is_darker():
    mesh = square()
    view = viewpoint([mesh], np.array([0, np.sqrt(3), 1.0]), UP, (60, 60))
    expected = np.round(np.array(FRONT) * (DARKEST + (1 - DARKEST) * 0.5))
    assert draw_mesh(mesh, view)[30, 30] == pytest.approx(expected, abs=1)


def test_the_nearer_of_two_planes_hides_the_other_whatever_their_order():
    near, far = square(1.0, turned=True), square(-1.0)
    for mesh in (both(near, far), both(far, near)):
        picture = draw_mesh(mesh, viewpoint([mesh], FORWARD, UP, (40, 40)))
        assert tuple(picture[20, 20]) == BACK
        picture = draw_mesh(mesh, viewpoint([mesh], -FORWARD, UP, (40, 40)))
        assert tuple(picture[20, 20]) == BACK  # the far one is seen from behind, and is nearer


def test_up_is_up_and_right_is_right():
    mesh = square()
    corner = square(0.5, 0.5, 1.0, turned=True)
    view = viewpoint([mesh], FORWARD, UP, (100, 100))
    picture = draw_mesh(both(mesh, corner), view)
    orange = (picture == BACK).all(axis=2)
    rows, columns = np.nonzero(orange)
    assert rows.max() < 50 < columns.min()


def test_one_view_shows_all_meshes_at_one_scale():
    small, large = square(0, -0.5, 0.5), square()
    picture = draw_side_by_side([small, large], FORWARD, UP, (100, 100))
    assert picture.shape == (100, 200 + GAP_PIXELS, 3)
    sides = picture[:, :100], picture[:, -100:]
    left, right = ((part != 255).any(axis=2).mean() for part in sides)
    assert left == pytest.approx(right / 4, rel=0.05)
    closer = draw_side_by_side([small, large], FORWARD, UP, (100, 100), around=small)
    assert (closer[:, -100:] != 255).any(axis=2).all()
    assert (closer[:, :100] != 255).any(axis=2).mean() > 0.7


def test_triangles_of_every_size_cover_what_they_cover():
    generator = np.random.default_rng(0)
    corners = generator.uniform(-1, 1, (40, 3, 2)) * 2.0 ** generator.integers(-6, 1, (40, 1, 1))
    points = np.concatenate([corners, np.zeros((40, 3, 1))], axis=2).reshape(-1, 3)
    mesh = Mesh(points, np.arange(120).reshape(-1, 3))
    view = viewpoint([square()], FORWARD, UP, (64, 64))
    covered = (draw_mesh(mesh, view) != 255).any(axis=2)
    side = np.arange(128) + 0.5
    x, y = np.meshgrid((side / 64 - 1) / 0.88, (1 - side / 64) / 0.88)
    expected = np.zeros((128, 128), bool)
    for (ax, ay), (bx, by), (cx, cy) in corners:
        signs = [
            (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0,
            (cx - bx) * (y - by) - (cy - by) * (x - bx) > 0,
            (ax - cx) * (y - cy) - (ay - cy) * (x - cx) > 0,
        ]
        expected |= np.logical_and.reduce(signs) | ~np.logical_or.reduce(signs)
    assert (covered == expected.reshape(64, 2, 64, 2).any(axis=(1, 3))).mean() > 0.999


def test_a_camera_sees_a_mesh_on_the_pixels_of_its_points():
    camera = Camera(
        basis=np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]]), position=np.array([0, 0, 1.0]),
        focal=[200, 200], centre=[40, 30], distortion=np.zeros(5),
    )  # fmt: skip
    mesh = square(0.0, 0.0, 0.05)
    picture = shade_from(mesh, camera, (60, 80))
    rows, columns = np.nonzero((picture != 255).any(axis=2))
    pixels, _ = camera.project(mesh.vertices)
    assert columns.min() == pytest.approx(pixels[:, 0].min(), abs=1)
    assert columns.max() == pytest.approx(pixels[:, 0].max(), abs=1)
    assert rows.min() == pytest.approx(pixels[:, 1].min(), abs=1)
    behind = Mesh(mesh.vertices + np.array([0, 0, 5]), mesh.faces)
    assert (shade_from(behind, camera, (60, 80)) == 255).all()


def test_a_mesh_without_triangles_is_white_and_no_vertex_is_refused():
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    view = viewpoint([square()], FORWARD, UP, (20, 20))
    assert (draw_mesh(empty, view) == 255).all()
    with pytest.raises(ValueError, match="view: needs a vertex"):
        viewpoint([empty], FORWARD, UP)
    with pytest.raises(ValueError, match="view: needs a vertex"):
        viewpoint([square()], UP, UP)

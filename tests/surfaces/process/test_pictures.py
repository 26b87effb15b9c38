import io

import numpy as np
import pytest
from PIL import Image
from surface_shapes import cloud, plane, sphere
from turntable_scans import camera_at, scan_of

from fedchain.errors import DataError
from fedchain.scans.formats.meshes import Mesh
from fedchain.scans.pictures import KEPT, MISSED
from fedchain.surfaces.process import pictures
from fedchain.surfaces.process.pictures import (
    DARKEST_POINT,
    camera_towards,
    draw_dots,
    draw_kept,
    draw_original,
    draw_surface,
    panel_view,
    png_bytes,
    point_brightness,
)

AXES = np.eye(3)
RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture(autouse=True)
def _size(monkeypatch):
    monkeypatch.setattr(pictures, "SIZE", (60, 80))


def front_view(points, distance=1.0):
    """Look at the middle of points from above."""
    middle = np.asarray(points).mean(axis=0)
    return panel_view(points, camera_towards(points, middle + distance * AXES[2]))


def test_the_points_fill_the_picture_and_keep_its_shape():
    scan = scan_of(camera_at(30))
    points = scan.positions[scan.valid]
    view = panel_view(points, scan.view)
    pixels, _ = view.camera.project(points)
    assert view.size == (60, 80)
    (left, top), (right, bottom) = pixels.min(axis=0), pixels.max(axis=0)
    assert 0 <= top < bottom <= 59
    assert 0 <= left < right <= 79
    assert bottom - top > 0.85 * 60  # the ball is as high as the picture is
    assert abs((left + right) / 2 - 39.5) < 1.5
    focal = scan.view.focal / view.camera.focal
    assert focal[0] == pytest.approx(focal[1])


def test_a_few_far_points_do_not_make_the_others_small():
    points = plane(40)
    far = np.concatenate([points, [[5.0, 0, 0]]])
    camera = camera_towards(points, points.mean(axis=0) + AXES[2])
    near, with_far = panel_view(points, camera), panel_view(far, camera)
    assert with_far.camera.focal[0] == pytest.approx(near.camera.focal[0], rel=0.1)


def test_a_camera_that_sees_nothing_is_refused():
    points = plane()
    camera = camera_towards(points, points.mean(axis=0) + AXES[2])
    with pytest.raises(DataError, match="no point in front"):
        panel_view(points + 5 * AXES[2], camera)


def test_near_points_hide_far_ones_in_any_order():
    points = np.concatenate([plane(), plane() + 0.1 * AXES[2]])
    view = front_view(points)
    colours = np.repeat([RED, BLUE], 900, axis=0)
    for order in (slice(None), slice(None, None, -1)):
        drawn = draw_dots(points[order], colours[order], view)
        shown = drawn[drawn[..., 3] > 0]
        assert (shown[:, :3] == BLUE).all(axis=1).mean() > 0.7
        assert (drawn[30, 40, :3] == BLUE).all()


def test_a_dense_plane_has_no_holes_and_its_surroundings_are_transparent():
    points = plane()
    drawn = draw_dots(points, np.full((900, 3), RED), front_view(points))
    rows, columns = np.nonzero(drawn[..., 3])
    inside = drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert (inside[..., 3] == 255).all()
    assert (drawn[:, 0, 3] == 0).all()


def test_points_behind_the_camera_are_not_drawn():
    points = plane()
    view = front_view(points)
    behind = points + 3 * AXES[2]
    assert not draw_dots(behind, np.full((900, 3), RED), view).any()


def test_kept_points_are_blue_and_erased_ones_vermilion():
    points = plane()
    keep = points[:, 0] > 0.1
    drawn = draw_kept(cloud(points), keep, front_view(points))
    shown = drawn[drawn[..., 3] > 0][:, :3].astype(float)
    hues = np.unique(np.round(shown / shown.max(axis=1, keepdims=True), 1), axis=0)
    wanted = {tuple(np.round(np.array(c) / max(c), 1)) for c in (KEPT, MISSED)}
    assert {tuple(each) for each in hues} == wanted


def test_brightness_is_that_of_the_light_or_else_of_the_nearness():
    points = sphere(500)
    view = front_view(points, 3)
    near = point_brightness(cloud(points), view)
    assert near[points[:, 2].argmax()] == 1
    assert near[points[:, 2].argmin()] == pytest.approx(DARKEST_POINT)
    lit = cloud(points)
    lit = type(lit)(points=lit.points, intensity=points[:, 0].astype(np.float32) + 2)
    light = point_brightness(lit, view)
    assert light[points[:, 0].argmax()] == 1
    assert (light >= DARKEST_POINT).all()


@pytest.mark.parametrize(
    "position", [None, np.zeros(3), np.array([0, 5.0, 0]), np.array([3.0, 1, 2])]
)
def test_a_camera_without_a_place_of_its_own_sees_the_broad_side(position):
    points = np.concatenate([plane() - plane().mean(axis=0)] * 2)
    camera = camera_towards(points, position)
    assert np.allclose(camera.basis @ camera.basis.T, np.eye(3))
    assert np.linalg.det(camera.basis) == pytest.approx(1)
    assert (camera.project(points)[1] > 0).all()
    if position is None or not position.any():
        assert abs(camera.basis[2] @ AXES[2]) == pytest.approx(1)


def test_a_surface_stands_where_its_points_stand():
    points = plane(12)
    corners = [i for i in range(12 * 11) if i % 12 < 11]
    faces = [[i, i + 12, i + 1] for i in corners] + [[i + 1, i + 12, i + 13] for i in corners]
    view = front_view(points)
    mesh = Mesh(points, np.array(faces))
    surface, dots = draw_surface(mesh, view), draw_original(cloud(points), view)
    assert surface.shape == dots.shape == (60, 80, 4)
    both = (surface[..., 3] > 0) & (dots[..., 3] > 0)
    assert both.sum() > 0.7 * (surface[..., 3] > 0).sum() > 0


def test_a_picture_becomes_the_same_png_with_its_transparency():
    picture = np.zeros((8, 9, 4), np.uint8)
    picture[2:5, 3:6] = (86, 180, 233, 255)
    data = png_bytes(picture)
    assert data == png_bytes(picture)
    back = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    assert (back[..., 3] == picture[..., 3]).all()
    assert np.abs(back[3, 4].astype(int) - picture[3, 4]).max() <= 4


def test_a_sight_is_one_of_points_of_every_size():
    for scale in (1e-6, 1.0, 1e3):
        points = scale * sphere(300)
        view = front_view(points, 4 * scale)
        assert draw_original(cloud(points), view)[..., 3].any()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_scan_of_few_points_has_a_picture(count):
    points = plane()[:count]
    view = panel_view(points, camera_towards(points, None))
    assert draw_original(cloud(points), view)[..., 3].any()

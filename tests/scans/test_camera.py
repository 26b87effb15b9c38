import numpy as np
import pytest
from shared_data import PHOXI, beside_shared

from fedchain.scans.camera import Camera
from fedchain.scans.formats import read_scan

LENS = {"focal": [2240.0, 2239.0], "centre": [31.5, 20.25]}
DISTORTION = [-0.127, 0.148, 0.009, 1e-3, -2e-3]


def a_camera(**given):
    turned, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    place = {"basis": turned, "position": [0.1, -0.2, 0.3]}
    return Camera(**{**place, **LENS, "distortion": DISTORTION, **given})


def slow_pixel(camera, point):
    """Project one point as the documentation of OpenCV writes it, with a matrix product."""
    x, y, z = camera.basis @ (point - camera.position)
    x, y = x / z, y / z
    k1, k2, k3, p1, p2 = camera.distortion
    r2 = x**2 + y**2
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    v = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    return [camera.focal[0] * u + camera.centre[0], camera.focal[1] * v + camera.centre[1]], z


def test_projecting_is_what_opencv_documents():
    camera = a_camera()
    points = camera.position + np.random.default_rng(0).normal(size=(50, 3)) @ camera.basis
    points = points[camera.project(points)[1] > 0.1]
    pixels, depth = camera.project(points)
    for k, point in enumerate(points):
        wanted, z = slow_pixel(camera, point)
        assert pixels[k] == pytest.approx(wanted)
        assert depth[k] == pytest.approx(z)


def test_a_point_on_a_ray_falls_on_the_ray_s_pixel():
    camera = a_camera(focal=[80.0, 70.0])
    rays = camera.rays(40, 60)
    pixels, depth = camera.project(camera.position + 0.7 * rays)
    rows, columns = np.mgrid[:40, :60]
    assert pixels[..., 0] == pytest.approx(columns, abs=1e-6)
    assert pixels[..., 1] == pytest.approx(rows, abs=1e-6)
    assert depth == pytest.approx(np.full((40, 60), 0.7))


def test_a_camera_that_moves_with_the_points_sees_them_at_the_same_pixels():
    camera = a_camera()
    points = camera.position + 0.5 * camera.rays(5, 5).reshape(-1, 3)
    turn, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    shift = np.array([0.3, -0.1, 0.2])
    before, after = (
        camera.project(points),
        camera.moved(turn, shift).project(points @ turn.T + shift),
    )
    assert after[0] == pytest.approx(before[0], abs=1e-6)
    assert after[1] == pytest.approx(before[1])


def test_a_cropped_picture_has_its_pixels_shifted():
    camera = a_camera()
    points = camera.position + camera.rays(5, 5)[3:, 2:]
    pixels, _ = camera.cropped(3, 2).project(points)
    assert pixels[0, 0] == pytest.approx([0, 0], abs=1e-6)


def test_numbers_that_are_no_camera_are_refused():
    with pytest.raises(ValueError, match="camera: focal is"):
        a_camera(focal=[1.0])
    with pytest.raises(ValueError, match="camera: position is"):
        a_camera(position=[0.0, np.nan, 0.0])


@beside_shared
@pytest.mark.parametrize("name", ["gpu_006", "gpu_009", "gpu_014", "turntable/clean_002"])
def test_real_points_are_projected_onto_their_pixels(name):
    scan = read_scan(PHOXI / f"{name}.cogs")
    pixels, depth = scan.view.project(scan.positions[scan.valid])
    errors = np.abs(pixels - np.argwhere(scan.valid)[:, ::-1])
    assert errors.mean() < 0.001
    assert errors.max() < 0.0025
    assert depth.min() > 0
    assert scan.part((slice(100, 1500), slice(10, 2000))).view.project(
        scan.positions[scan.valid][:1]
    )[0] == pytest.approx(pixels[:1] - [10, 100])

import numpy as np
import pytest

from fedchain.scans.features import normals_of
from fedchain.scans.scan import Scan, bounding_box

CAMERA = np.zeros(3, np.float32)


def small_scan(height=4, width=5):
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    positions = np.stack([columns, rows, np.full_like(rows, 50)], axis=-1)
    positions[0] = np.nan
    normals = normals_of(positions, CAMERA)
    intensity = np.where(np.isnan(positions[..., 0]), np.nan, columns).astype(np.float32)
    return Scan(
        positions=positions, normals=normals, intensity=intensity, camera=CAMERA, keep=columns > 1
    )


def test_arrays_of_a_scan_are_closed_to_writing():
    with pytest.raises(ValueError, match="read-only"):
        small_scan().positions[0, 0, 0] = 1


def test_arrays_that_do_not_share_a_grid_are_refused():
    scan = small_scan()
    with pytest.raises(ValueError, match="intensity has shape"):
        Scan(
            positions=scan.positions,
            normals=scan.normals,
            intensity=np.zeros((2, 2), np.float32),
            camera=CAMERA,
        )


def test_a_pixel_without_a_point_is_not_valid():
    assert small_scan().valid.sum() == 15


def test_cropping_to_the_bounding_box_loses_no_point():
    scan = small_scan()
    box = bounding_box(scan.valid)
    assert scan.valid[box].shape == (3, 5)
    assert scan.valid[box].all()
    assert scan.keep[box].sum() == 9


def test_an_empty_scan_has_an_empty_box():
    assert bounding_box(np.zeros((3, 3), bool)) == (slice(0, 0), slice(0, 0))


def test_normals_of_a_tilted_plane_are_exact_everywhere_even_at_borders():
    columns, rows = np.meshgrid(np.arange(6.0), np.arange(5.0))
    positions = np.stack([columns, rows, 60 + 0.5 * columns - 0.25 * rows], axis=-1)
    wanted = np.array([0.5, -0.25, -1]) / np.linalg.norm([0.5, -0.25, -1])
    assert np.allclose(normals_of(positions.astype(np.float32), CAMERA), wanted, atol=1e-6)


def test_normals_face_the_camera_and_empty_pixels_have_none():
    scan = small_scan()
    assert np.isnan(scan.normals[~scan.valid]).all()
    facing = (scan.normals * (CAMERA - scan.positions)).sum(axis=-1)
    assert (facing[scan.valid] > 0).all()


def test_a_lonely_point_looks_at_the_camera():
    positions = np.full((3, 3, 3), np.nan, np.float32)
    positions[1, 1] = (0, 0, 2)
    assert normals_of(positions, CAMERA)[1, 1].tolist() == [0, 0, -1]


def test_normals_do_not_lean_on_points_across_a_depth_edge():
    columns, rows = np.meshgrid(np.arange(8.0), np.arange(4.0))
    depth = np.where(columns < 4, 50.0, 56.0)
    positions = np.stack([columns, rows, depth], axis=-1).astype(np.float32)
    assert np.allclose(normals_of(positions, CAMERA), [0, 0, -1])


def test_normals_do_not_wrap_around_the_border():
    columns, rows = np.meshgrid(np.arange(4.0), np.arange(4.0))
    positions = np.stack([columns, rows, 60 + columns**2 / 8], axis=-1).astype(np.float32)
    padded = np.pad(positions, ((2, 2), (2, 2), (0, 0)), constant_values=np.nan)
    assert np.array_equal(normals_of(padded, CAMERA)[2:-2, 2:-2], normals_of(positions, CAMERA))

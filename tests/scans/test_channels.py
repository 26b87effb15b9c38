import numpy as np
import pytest
from turntable_scans import camera_at, scan_of

from fedchain.elementary import log2
from fedchain.scans.channels import LOCAL, box_sums, local_channels
from fedchain.scans.scan import Scan
from fedchain.scans.turntable import CHANNEL_NAMES, ScanView, Views, channel_image
from fedchain.scans.turntable.images import grid_channels

PLACE = {name: place for place, name in enumerate(LOCAL)}


def channels(scan: Scan):
    return local_channels(scan.positions[None], scan.intensity[None], scan.camera)[0]


@pytest.fixture(scope="module")
def scan():
    return scan_of(camera_at(0))


def test_logarithms_are_those_of_the_c_library():
    values = np.concatenate([2.0 ** np.arange(-30, 5), np.random.default_rng(0).random(500) + 1e-9])
    assert log2(values) == pytest.approx(np.log2(values), abs=1e-13)


def test_sums_over_squares_are_what_adding_pixel_by_pixel_gives():
    values = np.random.default_rng(0).random((2, 7, 9))
    found = box_sums(values, 5)
    for y in range(7):
        for x in range(9):
            square = values[:, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
            assert found[:, y, x] == pytest.approx(square.sum(axis=(1, 2)))


def test_relief_is_the_depth_less_its_mean_over_the_points_of_the_square(scan):
    relief = channels(scan)[PLACE["relief_9"]]
    distance = np.linalg.norm(scan.positions - scan.camera, axis=-1)
    for y, x in np.argwhere(scan.valid)[::25]:
        square = distance[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5]
        r = distance[y, x] - np.nanmean(square.astype(float))
        assert relief[y, x] == pytest.approx(r / (1e-3 + abs(r)), abs=1e-4)


def test_channels_are_bounded_and_zero_without_a_point(scan):
    image = channels(scan)
    assert image.dtype == np.float32
    assert np.abs(image).max() <= 1.0001
    assert not image[:, ~scan.valid].any()
    assert (image[PLACE["point"], scan.valid] == 1).all()


def test_brighter_points_stand_out_in_the_channels_of_brightness_alone(scan):
    light = scan.intensity.copy()
    y, x = np.argwhere(scan.valid)[100]
    light[y, x] *= 4
    before, after = (
        channels(scan),
        local_channels(scan.positions[None], light[None], scan.camera)[0],
    )
    assert after[PLACE["log_intensity"], y, x] - before[PLACE["log_intensity"], y, x] == (
        pytest.approx(2 / 8, abs=1e-6)
    )
    others = [place for name, place in PLACE.items() if name not in ("log_intensity", "contrast")]
    assert np.array_equal(before[others], after[others])


def test_a_scan_without_brightness_has_none(scan):
    light = np.where(scan.valid, np.float32(1), np.float32(np.nan))
    image = local_channels(scan.positions[None], light[None], scan.camera)[0]
    assert not image[[PLACE["log_intensity"], PLACE["contrast"]]].any()


def test_the_view_angle_is_one_where_the_surface_faces_the_camera():
    image = channels(scan_of(camera_at(0)))
    angle = image[PLACE["view_angle"]]
    assert angle.max() == pytest.approx(1, abs=0.01)
    assert 0 < angle[image[0] > 0].min() < 0.6


@pytest.mark.parametrize("kind", ["local", "views", "all"])
def test_a_grid_s_channels_depend_on_no_other_grid(scan, kind):
    views = Views([ScanView.of(scan_of(camera_at(45)))])
    positions = np.stack([scan.positions[:, :16], scan.positions[:, 16:32]])
    light = np.stack([scan.intensity[:, :16], scan.intensity[:, 16:32]])
    before = grid_channels(positions, light, scan.camera, kind, views)
    y, x = np.argwhere(np.isfinite(positions[0, ..., 0]))[-1]
    far, bright = positions.copy(), light.copy()
    far[0, y, x] *= 5
    bright[0, y, x] = 99.0
    after = grid_channels(far, bright, scan.camera, kind, views)
    assert before[1].tobytes() == after[1].tobytes()
    assert before[0].tobytes() != after[0].tobytes()


def test_each_kind_has_the_channels_that_it_names(scan):
    views = Views([ScanView.of(scan_of(camera_at(45)))])
    made = {kind: channel_image(scan, kind, views) for kind in CHANNEL_NAMES}
    for kind, names in CHANNEL_NAMES.items():
        assert made[kind].shape == (len(names), *scan.valid.shape)
        assert made[kind].dtype == np.float32
    assert np.array_equal(made["all"], np.concatenate([made["local"], made["views"][1:]]))

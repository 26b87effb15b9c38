import numpy as np
import pytest
from shared_data import PHOXI, beside_shared
from turntable_scans import SIZE, camera_at, scan_of

from fedchain.scans.formats import read_any
from fedchain.scans.scan import Cloud
from fedchain.scans.turntable.rings import (
    Sight,
    Turntable,
    camera_of,
    organise,
    turntable_of,
)
from fedchain.scans.turntable.sets import read_set


def sights(*cameras):
    return [Sight(camera, SIZE) for camera in cameras]


def cloud_of(scan, seed=0):
    points = scan.positions[scan.valid]
    return Cloud(points=np.random.default_rng(seed).permutation(points))


def test_the_axis_and_the_step_of_a_turntable_are_those_of_its_cameras():
    table = turntable_of(sights(camera_at(90), camera_at(180), camera_at(45), camera_at(20, 0.2)))
    assert table.steps == 8
    assert table.axis == pytest.approx([0, 1, 0], abs=1e-6)
    assert table.centre[[0, 2]] == pytest.approx([0, 0], abs=1e-6)


def test_cameras_that_share_no_ring_have_no_turntable():
    assert turntable_of(sights(camera_at(0), camera_at(45, height=0.2))) is None
    assert turntable_of(sights(camera_at(0), camera_at(50))) is None
    assert turntable_of(sights(camera_at(0))) is None


@pytest.mark.parametrize("degrees", [45.0, 225.0])
@pytest.mark.parametrize("height", [0.12, 0.2])
def test_a_cloud_is_organised_by_the_camera_of_its_ring_and_angle(degrees, height):
    known = sights(camera_at(0), camera_at(45), camera_at(90, height=0.2))
    truth = scan_of(camera_at(degrees, height))
    cloud, table = cloud_of(truth), turntable_of(known)
    fit = camera_of(cloud, known, table)
    assert fit.camera.position == pytest.approx(camera_at(degrees, height).position, abs=1e-6)
    known_at = {0: 0.0, 1: 45.0, 2: 90.0}[fit.sight]
    assert (known_at + fit.degrees) % 360 == pytest.approx(degrees)
    made = organise(cloud, known, table)
    assert np.array_equal(made.scan.positions, truth.positions, equal_nan=True)
    filled = made.scan.positions.reshape(-1, 3)[made.pixels]
    assert np.array_equal(filled, cloud.points)


def test_a_cloud_of_no_known_camera_is_not_organised():
    known = sights(camera_at(0), camera_at(45))
    assert camera_of(cloud_of(scan_of(camera_at(10))), known, turntable_of(known)) is None
    assert organise(cloud_of(scan_of(camera_at(90))), known, None) is None


def test_points_on_one_pixel_are_not_both_put_there():
    known = sights(camera_at(0))
    cloud = cloud_of(scan_of(camera_at(0)))
    twice = Cloud(points=np.concatenate([cloud.points, cloud.points[:5]]))
    made = organise(twice, known, None)
    assert (made.pixels >= 0).sum() == len(cloud.points)
    assert (made.pixels[-5:] == -1).all()


def test_turning_by_all_steps_changes_nothing():
    table = Turntable(np.array([0.0, 1.0, 0.0]), np.array([0.1, 0.0, 0.2]), 8)
    turn, shift = table.motion(8)
    assert turn == pytest.approx(np.eye(3), abs=1e-12)
    assert shift == pytest.approx(np.zeros(3), abs=1e-12)


@beside_shared
def test_real_clouds_are_organised_with_these_cameras():
    clouds = ["000", "003", "010", "015"]
    paths = [PHOXI / f"gpu_{n}.cogs" for n in ("004", "006", "014")]
    paths += [PHOXI / "turntable" / f"gpu_{n}.xyz.npy" for n in clouds]
    read = read_set(paths)
    assert [read.notes[path].split("camera of ")[1] for path in paths[3:]] == [
        "gpu_014.cogs, turned by 315 degrees",
        "gpu_014.cogs, turned by 135 degrees",
        "gpu_004.cogs, turned by 315 degrees",
        "gpu_004.cogs, turned by 135 degrees",
    ]
    member = read.member(paths[3])
    assert (member.pixels >= 0).all()
    assert member.scan.valid.sum() == len(read_any(paths[3]).points)

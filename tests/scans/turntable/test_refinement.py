from dataclasses import replace

import numpy as np
import pytest
import turntable_scans
from turntable_scans import camera_at, scan_of

from fedchain.scans.turntable import refinement
from fedchain.scans.turntable.refinement import Refined, refined_poses, refined_scan

pytest.importorskip("small_gicp")


def test_a_scan_with_too_few_points_in_common_keeps_its_pose():
    poses = refined_poses({"one": scan_of(camera_at(0)), "other": scan_of(camera_at(45))})
    assert set(poses) == {"one", "other"}
    for pose in poses.values():
        assert "inliers; allowed: at least 1500" in pose.refused
        assert np.array_equal(pose.rotation, np.eye(3))
        assert not pose.shift.any()


def test_a_scan_that_is_off_moves_back_onto_the_others(monkeypatch):
    monkeypatch.setattr(turntable_scans, "SIZE", (60, 80))
    lens = {"focal": [180.0, 181.0], "centre": [39.0, 29.0]}
    monkeypatch.setattr(turntable_scans, "LENS", lens)
    monkeypatch.setattr(refinement, "REACH_M", 6e-3)  # the pixels are 1.4 mm wide
    scans = {str(angle): scan_of(camera_at(angle)) for angle in (0, 30, 60)}
    shift = np.array([8e-4, 0, 5e-4])
    off = (scans["30"].positions + shift).astype(np.float32)
    pose = refined_poses({**scans, "30": replace(scans["30"], positions=off)})["30"]
    assert pose.refused == ""
    assert pose.shift == pytest.approx(-shift, abs=5e-5)
    assert pose.moved_m == pytest.approx(np.linalg.norm(shift), abs=5e-4)


def test_a_scan_without_others_or_without_points_keeps_its_pose():
    one = scan_of(camera_at(0))
    empty = replace(one, positions=np.full_like(one.positions, np.nan))
    for scans in ({"one": one}, {"one": one, "empty": empty}):
        poses = refined_poses(scans)
        assert [pose.refused[:9] for pose in poses.values()] == ["at most 0"] * len(scans)


def test_a_scan_that_would_move_too_far_keeps_its_pose(monkeypatch):
    monkeypatch.setattr(refinement, "LEAST_INLIERS", 1)
    cloud = np.random.default_rng(0).random((50, 3))
    far = np.eye(4)
    far[0, 3] = 2e-3
    assert "a shift of 2.00 mm" in refinement._judged(far, 50, cloud).refused
    near = np.eye(4)
    near[0, 3] = 1e-3
    kept = refinement._judged(near, 50, cloud)
    assert kept.refused == ""
    assert kept.shift[0] == 1e-3
    angle = np.radians(1.5)
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    middle = cloud - cloud.mean(axis=0)
    assert "a turn of 1.50 degrees" in refinement._judged(turned, 50, middle).refused


def test_a_refined_scan_keeps_its_pixels():
    scan = scan_of(camera_at(0))
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    moved = refined_scan(scan, Refined(turn, np.array([0.1, 0.2, 0.3]), 0, 0.0, 0.0, ""))
    rows, columns = np.nonzero(moved.valid)
    pixels, _ = moved.view.project(moved.positions[moved.valid])
    assert pixels == pytest.approx(np.stack([columns, rows], axis=1), abs=1e-3)
    assert moved.positions[moved.valid][0] == pytest.approx(
        turn @ scan.positions[scan.valid][0] + [0.1, 0.2, 0.3], abs=1e-6
    )

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from turntable_scans import RADIUS_M, camera_at, scan_of

from fedchain.errors import MissingExtra
from fedchain.surfaces import merging
from fedchain.surfaces.merging import cloud_of_scan, merged_scans, thin_points


def ring(*angles):
    return {f"at_{angle}": scan_of(camera_at(angle)) for angle in angles}


def test_merged_points_are_measured_ones_with_the_scan_that_each_is_of():
    scans = ring(0, 90, 180)
    merged = merged_scans(scans, refine=False)
    assert merged.names == ("at_0", "at_90", "at_180")
    for number, name in enumerate(merged.names):
        measured = {tuple(point) for point in scans[name].positions[scans[name].valid].tolist()}
        own = merged.cloud.points[merged.scan == number].tolist()
        assert own
        assert {tuple(point) for point in own} <= measured
    assert merged.cloud.intensity.shape == merged.scan.shape


def test_merged_normals_point_to_the_camera_that_saw_the_point():
    scans = ring(0, 120, 240)
    flipped = {name: replace(scan, normals=-scan.normals) for name, scan in scans.items()}
    merged = merged_scans(flipped, refine=False)
    cameras = np.stack([scan.camera for scan in scans.values()])[merged.scan]
    assert ((cameras - merged.cloud.points) * merged.cloud.normals).sum(axis=1).min() >= 0


def test_the_same_scan_twice_weighs_once():
    one = scan_of(camera_at(0))
    once = merged_scans({"a": one}, refine=False)
    twice = merged_scans({"a": one, "b": one}, refine=False)
    assert np.array_equal(once.cloud.points, twice.cloud.points)
    assert not twice.scan.any()


def test_a_scan_alone_keeps_most_of_its_points():
    one = scan_of(camera_at(0))
    assert len(merged_scans({"a": one}).cloud.points) > 0.6 * one.valid.sum()


def test_scans_that_refinement_refuses_are_told_and_merged_in_their_stored_pose():
    pytest.importorskip("small_gicp")
    scans = ring(0, 45)
    merged = merged_scans(scans)
    assert set(merged.refused) == {"at_0", "at_45"}
    assert "inliers; allowed: at least 1500" in merged.refused["at_0"]
    stored = merged_scans(scans, refine=False)
    assert stored.refused == {}
    assert np.array_equal(merged.cloud.points, stored.cloud.points)


def test_refined_poses_move_the_points(monkeypatch):
    from fedchain.scans.turntable.refinement import Refined

    shift = np.array([0.5, 0.0, 0.0])
    moved = Refined(np.eye(3), shift, 9, 0.5, 0.0, "")
    kept = Refined(np.eye(3), np.zeros(3), 0, 0.0, 0.0, "too few")
    monkeypatch.setattr(merging, "refined_poses", lambda _: {"at_0": moved, "at_90": kept})
    merged = merged_scans(ring(0, 90))
    assert merged.refused == {"at_90": "too few"}
    assert merged.cloud.points[merged.scan == 0][:, 0].min() > 0.5 - RADIUS_M - 1e-6
    assert merged.cloud.points[merged.scan == 1][:, 0].max() < 0.5 - RADIUS_M


def test_refinement_without_its_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "small_gicp", None)
    with pytest.raises(MissingExtra, match=r"pip install 'fedchain\[scans\]'"):
        merged_scans(ring(0, 45))
    assert len(merged_scans(ring(0, 45), refine=False).cloud.points)


def test_scans_without_points_merge_to_an_empty_cloud():
    one = scan_of(camera_at(0))
    empty = replace(one, positions=np.full_like(one.positions, np.nan))
    merged = merged_scans({"a": empty, "b": empty}, refine=False)
    assert merged.cloud.points.shape == (0, 3)
    assert merged_scans({}, refine=False).cloud.points.shape == (0, 3)
    assert np.array_equal(
        merged_scans({"a": empty, "b": one}, refine=False).cloud.points,
        merged_scans({"b": one}, refine=False).cloud.points,
    )


def test_a_scan_without_a_lens_keeps_the_side_of_its_normals():
    scan = scan_of(camera_at(0))
    turned = cloud_of_scan(replace(scan, normals=-scan.normals, view=None))
    assert np.array_equal(turned.normals, -scan.normals[scan.valid])
    assert turned.camera is None


@given(
    st.lists(st.tuples(*[st.integers(-6, 6)] * 3), min_size=1, max_size=40),
    st.sampled_from([0.5, 1.0, 2.5]),
)
def test_each_cube_keeps_the_point_nearest_to_the_mean_of_its_points(corners, side):
    points = np.array(corners, float) / 2
    cubes = np.floor((points - points.min(axis=0)) / side)
    kept = thin_points(points, side)
    assert (np.diff(kept) > 0).all()
    assert sorted(map(tuple, cubes[kept])) == sorted(set(map(tuple, cubes)))
    for index in kept:
        own = points[(cubes == cubes[index]).all(axis=1)]
        apart = np.linalg.norm(own - own.mean(axis=0), axis=1)
        assert np.linalg.norm(points[index] - own.mean(axis=0)) <= apart.min() + 1e-9


def test_points_far_beyond_all_others_do_not_overflow():
    points = np.array([[0, 0, 0], [1e30, 0, 0], [2e30, 0, 0]])
    assert len(thin_points(points, 1e-3)) == 2

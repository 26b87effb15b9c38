import numpy as np
import pytest
from turntable_scans import camera_at, scan_of

from fedchain.scans.turntable.views import SAME_SURFACE_M, VIEWS, ScanView, Views, metres_of

NAMES = {name: place for place, name in enumerate(VIEWS)}


@pytest.fixture(scope="module")
def views():
    return Views([ScanView.of(scan_of(camera_at(angle))) for angle in (0, 45, 90)])


def some_points(count=200):
    random = np.random.default_rng(0)
    outward = random.normal(size=(count, 3))
    outward /= np.linalg.norm(outward, axis=1)[:, None]
    return (outward * random.uniform(0.03, 0.07, (count, 1))).astype(np.float32)


def slow_opinion(view, point):
    pixels, depth = view.camera.project(point)
    column, row = np.rint(pixels).astype(int)
    height, width = view.depth.shape
    if depth <= 0 or not (0 <= row < height and 0 <= column < width):
        return "unseen"
    ahead = view.depth[row, column] - depth
    if np.isnan(ahead):
        return "unseen"
    return (
        "supporting" if abs(ahead) <= SAME_SURFACE_M else "conflicting" if ahead > 0 else "hiding"
    )


def test_channels_are_what_comparing_point_by_point_gives(views):
    points = some_points()
    found = views.channels(points)
    everything = np.concatenate([view.points for view in views.views]).astype(float)
    for point, channel in zip(points, found.T, strict=True):
        distances = np.sort(np.linalg.norm(everything - point, axis=1))
        ends = np.clip(distances[[0, 7]], 2.0**-13, 2.0**-5)
        assert metres_of(channel[:2]) == pytest.approx(ends, rel=1e-4)
        said = [slow_opinion(view, point) for view in views.views]
        for name in ("supporting", "conflicting", "hiding", "unseen"):
            assert channel[NAMES[name]] == pytest.approx(said.count(name) / 3)
    assert all((found[NAMES[name]] > 0).any() for name in VIEWS[2:])


def test_a_point_s_channels_do_not_depend_on_the_other_points(views):
    points = some_points()
    whole = views.channels(points)
    other = points.copy()
    other[7] = 5.0
    again = views.channels(other)
    assert np.delete(again, 7, axis=1).tobytes() == np.delete(whole, 7, axis=1).tobytes()
    assert views.channels(points[50:60]).tobytes() == whole[:, 50:60].tobytes()


def test_blocks_of_points_give_the_same_channels(views, monkeypatch):
    points = some_points()
    whole = views.channels(points)
    monkeypatch.setattr("fedchain.scans.turntable.views.POINTS_AT_ONCE", 37)
    assert views.channels(points).tobytes() == whole.tobytes()


def test_without_views_all_channels_are_zero():
    assert not Views([]).channels(some_points(5)).any()


def test_fewer_than_eight_points_leave_the_eighth_at_the_largest_distance():
    view = ScanView.of(scan_of(camera_at(0)))
    few = Views([ScanView(view.camera, view.points[:3], view.depth)])
    assert (few.channels(some_points(9))[NAMES["eighth"]] == 1).all()


def test_a_scan_without_camera_is_no_view():
    from dataclasses import replace

    with pytest.raises(ValueError, match="has no camera"):
        ScanView.of(replace(scan_of(camera_at(0)), view=None))

from dataclasses import replace

import numpy as np
import pytest
from turntable_scans import camera_at, scan_of

from fedchain.scans.baselines import classical, learned
from fedchain.scans.baselines.classical import component_sizes
from fedchain.scans.turntable import ScanView, Views


def moved(scan, at, by):
    """Move a pixel's point along its ray."""
    positions = scan.positions.copy()
    positions[at] += np.float32(by) * (positions[at] - scan.camera)
    return replace(scan, positions=positions)


@pytest.fixture(scope="module")
def scan():
    return scan_of(camera_at(0))


@pytest.fixture(scope="module")
def views():
    return Views([ScanView.of(scan_of(camera_at(angle))) for angle in (5, 355)])


def test_only_scans_with_views_are_compared_with_them(scan, views):
    alone, beside = classical(scan, Views([])), classical(scan, views)
    names = {"keep_everything", "erase_everything", "morphology", "statistical", "component_size"}
    assert alone.keys() == names
    assert beside.keys() == names | {"view_distance"}
    for made in beside.values():
        assert made.kept.shape == scan.valid.shape
        assert not made.kept[~scan.valid].any()
        assert made.rank is None or np.isfinite(made.rank).all()


def test_a_point_off_its_surface_is_erased_by_the_distances(scan, views):
    at = tuple(np.argwhere(scan.valid)[len(np.argwhere(scan.valid)) // 2])
    found = classical(moved(scan, at, -0.3), views)
    for name in ("statistical", "view_distance"):
        assert not found[name].kept[at], name
        assert found[name].rank[at] == found[name].rank[scan.valid].min()
    assert found["view_distance"].kept.sum() > 0.5 * scan.valid.sum()


def test_a_component_is_what_is_connected_within_three_millimetres():
    rows, columns = np.mgrid[:6, :9]
    positions = np.stack([0.001 * columns, 0.001 * rows, np.ones(rows.shape)], -1)
    positions[:, 4] = np.nan
    positions[2, 7, 2] = 1.01
    scan = scan_of(camera_at(0))
    small = replace(
        scan, positions=positions.astype(np.float32), normals=np.zeros((6, 9, 3), np.float32),
        intensity=np.ones((6, 9), np.float32), view=None,
    )  # fmt: skip
    sizes = component_sizes(small)
    assert sizes[0, 0] == 24
    assert sizes[0, 8] == 23
    assert sizes[2, 7] == 1
    assert sizes[0, 4] == 0


def test_learned_baselines_separate_what_a_channel_separates():
    random = np.random.default_rng(0)
    keep = random.random((40, 40)) < 0.7
    image = np.stack([random.normal(size=(40, 40)), keep + 0.1 * random.normal(size=(40, 40))])
    valid = np.ones((40, 40), bool)
    found = learned([image], [valid], [keep])
    assert found.keys() == {"logistic_regression", "gradient_boosting"}
    for chances in found.values():
        assert ((chances(image) >= 0.5) == keep).mean() > 0.99


def test_points_of_one_class_teach_nothing():
    valid = np.ones((4, 4), bool)
    assert learned([np.zeros((2, 4, 4))], [valid], [valid]) == {}

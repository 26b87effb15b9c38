import numpy as np
import pytest

from fedchain.scans.scan import Scan
from fedchain.scans.simulator.statistics import distance_between, median_statistics, scan_statistics


def plane(offset=0.0, brightness=1.0, gap=True):
    """Return a plane of 1 mm pixels, half a metre away, with a square that is off and brighter."""
    rows, columns = np.indices((40, 50)) * 1e-3
    points = np.stack([columns, rows, np.full_like(rows, 0.5)], axis=-1).astype(np.float32)
    light = np.full((40, 50), 0.02, np.float32)
    keep = np.ones((40, 50), bool)
    keep[10:14, 20:24] = False
    points[~keep, 2] += offset
    light[~keep] *= brightness
    if gap:
        points[30:35, 5:25] = np.nan
        light[30:35, 5:25] = np.nan
        keep[30:35, 5:25] = False
    camera = np.array([0.02, 0.02, 0], np.float32)
    return Scan(positions=points, normals=points, intensity=light, camera=camera, keep=keep)


def test_statistics_of_a_plane_with_one_patch():
    found = scan_statistics(plane(offset=0.002, brightness=1.2))
    assert found["outlier share"] == pytest.approx(16 / 1900)
    assert found["offset mm"] == pytest.approx(2, abs=0.1)
    assert found["intensity ratio"] == pytest.approx(1.2)
    assert found["fill"] == pytest.approx(1900 / 2000)
    assert found["intensity p95/p5"] == pytest.approx(1)
    # The border of the picture and 50 pixels around the gap, less its corners.
    assert found["border"] == pytest.approx((2 * 50 + 2 * 38 + 2 * 20 + 2 * 5) / 1900)
    # The pixels of the patch's edge tilt towards the plane: a step of 1 mm in a rise of 1 mm.
    assert found["cosine to view"] == pytest.approx(0.71, abs=0.01)


def test_noise_of_a_patch_lowers_its_coherence():
    scan = plane(offset=0.002)
    points = scan.positions.copy()
    points[~scan.keep, 2] += np.random.default_rng(0).normal(0, 2e-3, (~scan.keep).sum())
    rough = Scan(
        positions=points,
        normals=points,
        intensity=scan.intensity,
        camera=scan.camera,
        keep=scan.keep,
    )
    assert scan_statistics(rough)["coherence"] < 0.8 < scan_statistics(scan)["coherence"]


def test_a_scan_without_outliers_has_no_statistics_and_counts_for_nothing():
    clean = plane()
    clean = Scan(
        positions=clean.positions, normals=clean.normals, intensity=clean.intensity,
        camera=clean.camera, keep=clean.valid,
    )  # fmt: skip
    assert all(np.isnan(value) for value in scan_statistics(clean).values())
    other = plane(offset=0.002)
    assert median_statistics([clean, other]) == scan_statistics(other)


def test_half_as_much_is_as_far_away_as_twice_as_much():
    one = {"outlier share": 0.2, "offset mm": 2.0, "intensity ratio": 1.0, "fill": 0.1}
    assert distance_between(one, {n: 2 * v for n, v in one.items()}) == pytest.approx(
        distance_between(one, {n: v / 2 for n, v in one.items()})
    )

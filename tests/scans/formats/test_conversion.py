import sys
from pathlib import Path

import numpy as np
import pytest
from scan_bytes import ORGANISED, example_scan, ply_bytes, same, seen_scan

from fedchain.errors import DataError, MissingExtra
from fedchain.scans.formats import (
    READERS,
    WRITERS,
    convert,
    read_any,
    read_cloud,
    read_scan,
    write_scan,
)
from fedchain.scans.formats.motorcycle import (
    MIDDLEBURY_BASELINE_M,
    MIDDLEBURY_FOCAL_PX,
    MIDDLEBURY_OFFSET_PX,
)
from fedchain.scans.scan import Cloud

WHOLE = (".npz", ".pcd", ".ply")


@pytest.mark.parametrize("source", ORGANISED)
@pytest.mark.parametrize("target", WHOLE)
def test_the_grid_and_all_else_is_kept_where_both_formats_can_say_it(source, target, tmp_path):
    (tmp_path / source).write_bytes(ORGANISED[source](example_scan()))
    made = convert(tmp_path / source, tmp_path / f"made{target}")
    assert made.lost == ()
    assert made.grid == (6, 9)
    assert made.points == example_scan().valid.sum()
    assert same(read_scan(tmp_path / f"made{target}"), read_scan(tmp_path / source))


@pytest.mark.parametrize(
    ("target", "grid", "lost"),
    [
        (".npy", (6, 9), ["normals", "intensity", "keep", "place", "lens"]),
        (".xyz", None, ["grid of 6 x 9 pixels", "keep"]),
        (".png", (6, 9), ["normals", "intensity", "keep", "finer than 2e-05 m"]),
        (".intensity.png", (6, 9), ["place", "lens", "positions"]),
    ],
)
def test_what_the_target_cannot_hold_is_named(target, grid, lost, tmp_path):
    write_scan(tmp_path / "a.npz", seen_scan())
    made = convert(tmp_path / "a.npz", tmp_path / f"b{target}")
    assert len(made.lost) == len(lost)
    assert all(any(word in said for said in made.lost) for word in lost)
    assert made.grid == grid
    assert made.points == seen_scan().valid.sum()


def test_nothing_is_added_that_the_source_does_not_hold(tmp_path):
    np.save(tmp_path / "a.npy", example_scan().positions)
    assert convert(tmp_path / "a.npy", tmp_path / "b.ply").lost == ()
    cloud = read_cloud(tmp_path / "b.ply")
    assert cloud.normals is None
    assert cloud.intensity is None
    assert b"camera" not in (tmp_path / "b.ply").read_bytes().partition(b"end_header")[0]


def test_a_cloud_becomes_a_cloud(tmp_path):
    (tmp_path / "a.ply").write_bytes(ply_bytes(example_scan(), "ascii", "comment none"))
    for target in (*WHOLE, ".npy", ".xyz"):
        made = convert(tmp_path / "a.ply", tmp_path / f"b{target}")
        assert made.grid is None
        assert made.points == example_scan().valid.sum()
        found = read_any(tmp_path / f"b{target}")
        assert isinstance(found, Cloud)
        assert (found.points == example_scan().positions[example_scan().valid]).all()


def test_millimetres_become_metres_and_the_target_says_so(tmp_path):
    (tmp_path / "a.xyz").write_text("1000 2000 3000\n")
    for target in (".ply", ".pcd", ".xyz"):
        convert(tmp_path / "a.xyz", tmp_path / f"b{target}", "mm")
        # The target says metres, so that nobody can take them for millimetres.
        assert read_cloud(tmp_path / f"b{target}", "mm").points.tolist() == [[1, 2, 3]]


def test_a_target_that_nobody_can_write_is_refused_before_the_source_is_read(tmp_path):
    with pytest.raises(DataError, match=r"b\.cogs: no format that is written ends so; allowed"):
        convert(tmp_path / "none.ply", tmp_path / "b.cogs")


def test_a_refused_source_leaves_no_target(tmp_path):
    (tmp_path / "a.ply").write_bytes(ply_bytes(example_scan())[:-4])
    with pytest.raises(DataError, match="is truncated"):
        convert(tmp_path / "a.ply", tmp_path / "b.npz")
    nothing = np.full((2, 2, 3), np.nan, np.float32)
    np.save(tmp_path / "c.npy", nothing)
    with pytest.raises(DataError, match="holds no point"):
        convert(tmp_path / "c.npy", tmp_path / "b.npz")
    assert not (tmp_path / "b.npz").exists()


def test_whatever_is_written_is_read_too():
    assert set(WRITERS) - {".intensity.png"} == set(READERS) - {".cogs"}


def test_the_motorcycle_has_the_published_numbers(tmp_path):
    pytest.importorskip("skimage")
    from skimage.data import stereo_motorcycle

    left, _, disparities = stereo_motorcycle()
    finite = np.isfinite(disparities)
    scan = read_scan(Path("motorcycle"))
    assert scan.intensity.shape == (500, 741)
    assert f"{scan.valid.mean():.4f}" == "0.9265"
    assert (scan.valid == finite).all()
    depth = (
        MIDDLEBURY_FOCAL_PX
        * MIDDLEBURY_BASELINE_M
        / (disparities[finite].astype(float) + MIDDLEBURY_OFFSET_PX)
    )
    assert np.abs(scan.positions[scan.valid][:, 2] - depth).max() < 1e-6
    pixels, _ = scan.view.project(scan.positions[scan.valid])
    rows, columns = np.nonzero(scan.valid)
    assert np.abs(pixels - np.stack([columns, rows], axis=-1)).max() < 1e-3
    assert scan.intensity[250, 370] == pytest.approx(left[250, 370] @ [0.299, 0.587, 0.114])
    made = convert(Path("motorcycle"), tmp_path / "a.ply")
    assert (made.grid, made.lost) == ((500, 741), ())


def test_without_scikit_image_the_motorcycle_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingExtra, match=r"pip install 'fedchain\[scans\]'"):
        read_scan(Path("motorcycle"))

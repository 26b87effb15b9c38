from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scan_bytes import ORGANISED, example_scan, example_view, near, same, seen_scan

from fedchain.errors import DataError
from fedchain.scans.features import normals_of
from fedchain.scans.formats import (
    holds_keep,
    read_any,
    read_cloud,
    read_scan,
    write_cloud,
    write_scan,
)
from fedchain.scans.scan import Cloud, Scan

PROPERTY = settings(
    max_examples=12, derandomize=True, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
WHOLE = [".npz", ".pcd", ".ply"]
"""Endings of the formats that hold all of a scan."""
NUMBERS = st.floats(-1e6, 1e6, width=32).filter(bool)


@pytest.mark.parametrize("name", ORGANISED)
def test_a_scan_comes_back_from_every_format(name, tmp_path):
    (tmp_path / name).write_bytes(ORGANISED[name](example_scan()))
    alike = near if name == "phoxi.ply" else same  # PhoXi Control writes millimetres
    assert alike(read_scan(tmp_path / name), example_scan())


@st.composite
def scans(draw):
    """Draw a scan of at least two rows: any numbers, any holes, with and without extras."""
    grid = draw(st.tuples(st.integers(2, 5), st.integers(1, 5)))
    valid = draw(arrays.arrays(bool, grid))
    valid[draw(st.integers(0, grid[0] - 1)), draw(st.integers(0, grid[1] - 1))] = True
    hole = np.where(valid, np.float32(0), np.float32(np.nan))
    positions = draw(arrays.arrays(np.float32, (*grid, 3), elements=NUMBERS)) + hole[..., None]
    normals = draw(arrays.arrays(np.float32, (*grid, 3), elements=st.floats(-1, 1, width=32)))
    light = draw(arrays.arrays(np.float32, grid, elements=st.floats(0, 1e6, width=32)))
    return Scan(
        positions=positions,
        normals=normals + hole[..., None],
        intensity=light + hole,
        camera=draw(arrays.arrays(np.float32, 3, elements=NUMBERS)),
        keep=draw(st.none() | arrays.arrays(bool, grid)),
        view=draw(st.none() | st.just(example_view())),
    )


@pytest.mark.parametrize("ending", WHOLE)
@PROPERTY
@given(scan=scans())
def test_a_written_scan_is_read_back_bit_for_bit(ending, tmp_path, scan):
    path = tmp_path / f"a{ending}"
    assert write_scan(path, scan) == ()
    found = read_any(path)
    assert isinstance(found, Scan)
    assert same(found, scan)
    assert holds_keep(path) == (scan.keep is not None)
    assert (found.keep is None) == (scan.keep is None)
    assert found.keep is None or (found.keep == scan.keep).all()
    assert (found.view is None) == (scan.view is None)
    if scan.view is not None:
        assert all(np.array_equal(vars(found.view)[n], v) for n, v in vars(scan.view).items())


@st.composite
def clouds(draw):
    count = draw(st.integers(1, 6))
    vectors = arrays.arrays(np.float32, (count, 3), elements=st.floats(-1e6, 1e6, width=32))
    light = arrays.arrays(np.float32, count, elements=st.floats(0, 1e6, width=32))
    return Cloud(
        points=draw(vectors),
        normals=draw(st.none() | vectors),
        intensity=draw(st.none() | light),
        camera=draw(st.none() | st.just(example_view())),
    )


@pytest.mark.parametrize("ending", [*WHOLE, ".npy", ".xyz"])
@PROPERTY
@given(cloud=clouds())
def test_a_written_cloud_is_read_back_bit_for_bit(ending, tmp_path, cloud):
    path = tmp_path / f"a{ending}"
    lost = write_cloud(path, cloud)
    found = read_any(path)
    assert isinstance(found, Cloud)
    assert (found.points == cloud.points).all()
    if ending == ".npy":  # points alone, which the writer says
        named = {"normals": cloud.normals, "intensity": cloud.intensity, "camera": cloud.camera}
        said = " ".join(lost)
        assert all((name in said) == (value is not None) for name, value in named.items())
        return
    assert not lost
    for name in ("normals", "intensity"):
        before, after = getattr(cloud, name), getattr(found, name)
        assert (before is None) == (after is None)
        assert before is None or (before == after).all()
    assert (found.camera is None) == (cloud.camera is None)


@pytest.mark.parametrize("ending", [*WHOLE, ".npy", ".png"])
def test_a_cloud_of_an_organised_file_has_its_points_row_by_row(ending, tmp_path):
    scan, path = seen_scan(), tmp_path / f"a{ending}"
    write_scan(path, scan)
    cloud = read_cloud(path)
    within = 1.1e-5 if ending == ".png" else 0  # half a step of .02 mm
    assert np.abs(cloud.points - scan.positions[scan.valid]).max() <= within
    if ending in WHOLE:
        assert (cloud.normals == scan.normals[scan.valid]).all()
        assert (cloud.intensity == scan.intensity[scan.valid]).all()


@pytest.mark.parametrize("ending", [".npz", ".npy"])
def test_a_grid_of_one_row_is_a_scan_where_the_format_can_say_so(ending, tmp_path):
    scan = example_scan(height=1)
    write_scan(tmp_path / f"a{ending}", scan)
    assert read_scan(tmp_path / f"a{ending}").intensity.shape == (1, 9)


@pytest.mark.parametrize("ending", [".pcd", ".ply", ".xyz"])
def test_a_grid_of_one_row_is_lost_in_words_where_one_row_means_none(ending, tmp_path):
    lost = write_scan(tmp_path / f"a{ending}", example_scan(height=1))
    assert lost == ("the grid of 1 x 9 pixels",)
    with pytest.raises(DataError, match="is not organised"):
        read_scan(tmp_path / f"a{ending}")


@pytest.mark.parametrize("name", ORGANISED)
@pytest.mark.parametrize("missing", [0.0, -0.0, np.inf])
def test_points_that_are_missing_are_empty_in_every_format_however_they_are_written(
    name, missing, tmp_path
):
    scan = example_scan()
    rows, columns = np.nonzero(scan.valid)
    positions = scan.positions.copy()
    positions[rows[:3], columns[:3]] = missing
    path = tmp_path / name
    path.write_bytes(ORGANISED[name](replace(scan, positions=positions)))
    found = read_scan(path)
    assert found.valid.sum() == scan.valid.sum() - 3
    assert np.isnan(found.positions[rows[:3], columns[:3]]).all()
    assert np.isnan(found.intensity[rows[:3], columns[:3]]).all()
    assert len(read_cloud(path).points) == scan.valid.sum() - 3


def test_the_origin_is_a_point_of_a_cloud_that_has_no_grid(tmp_path):
    write_cloud(tmp_path / "a.ply", Cloud(points=np.zeros((1, 3), np.float32)))
    assert read_cloud(tmp_path / "a.ply").points.tolist() == [[0, 0, 0]]


def test_a_point_with_one_coordinate_of_zero_is_no_missing_point(tmp_path):
    scan = example_scan()
    assert (scan.positions[:, 0, 0][scan.valid[:, 0]] == 0).any()
    np.savez(tmp_path / "a.npz", positions=scan.positions)
    assert np.array_equal(read_scan(tmp_path / "a.npz").valid, scan.valid)


def test_normals_and_intensity_that_a_scan_lacks_are_made_and_those_of_a_cloud_are_not(tmp_path):
    scan = example_scan()
    np.savez(tmp_path / "a.npz", positions=scan.positions, camera=scan.camera)
    found, cloud = read_scan(tmp_path / "a.npz"), read_cloud(tmp_path / "a.npz")
    wanted = normals_of(scan.positions, scan.camera)
    assert np.array_equal(found.normals, wanted, equal_nan=True)
    assert (found.intensity[found.valid] == 1).all()
    assert cloud.normals is None
    assert cloud.intensity is None


@pytest.mark.parametrize("ending", [".npy", ".npz", ".pcd", ".ply", ".xyz"])
def test_a_file_without_a_single_point_is_refused(ending, tmp_path):
    path = tmp_path / f"a{ending}"
    write_cloud(path, Cloud(points=np.full((4, 3), np.nan, np.float32)))
    for read in (read_scan, read_cloud):
        with pytest.raises(DataError, match=rf"a\{ending}"):
            read(path)
    if ending != ".xyz":
        nothing = replace(example_scan(), positions=np.full((6, 9, 3), np.nan, np.float32))
        write_scan(path, nothing)
        with pytest.raises(DataError, match="holds no point"):
            read_scan(path)

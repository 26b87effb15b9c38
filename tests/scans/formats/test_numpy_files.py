import io
import struct
import zipfile

import numpy as np
import pytest
from scan_bytes import example_scan, npz_bytes, seen_scan
from shared_data import PHOXI, beside_shared

from fedchain.errors import DataError
from fedchain.scans.formats import holds_keep, read_cloud, read_scan, write_scan


def refused(path, arrays, match):
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=match):
        read_scan(path)


POINTS = np.ones((2, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"positions": np.array([{"code": 1}], dtype=object)}, "object in .* allowed: numbers"),
        ({"positions": POINTS[0]}, r"is not organised: its points are an array \(3, 3\)"),
        ({"points": POINTS[0]}, "is not organised"),
        ({"positions": POINTS[..., :2]}, r"has points \(2, 3, 2\)"),
        ({"positions": POINTS[:0]}, r"has points \(0, 3, 3\)"),
        ({"normals": POINTS}, "has 0 arrays of points; allowed: positions or points"),
        ({"positions": POINTS, "points": POINTS}, "has 2 arrays of points"),
        ({"positions": POINTS, "normals": POINTS[:1]}, "normals has shape"),
        ({"positions": POINTS, "intensity": POINTS}, r"intensity has shape \(2, 3, 3\)"),
        ({"positions": POINTS, "keep": POINTS[0, 0]}, "keep has shape"),
        ({"positions": POINTS, "camera": np.zeros(2)}, "camera has shape"),
        ({"positions": POINTS, "camera": np.array([0, 0, np.inf])}, "camera at"),
        ({"positions": POINTS, "camera": np.array([0, 0, 1e9])}, "camera at"),
        ({"positions": POINTS, "view": np.ones(20)}, "view has shape"),
        ({"positions": POINTS, "view": np.ones(21)}, "allowed: a camera"),
        ({"positions": POINTS.astype(complex)}, "allowed: numbers"),
    ],
)
def test_arrays_that_are_no_scan_are_refused_by_name(arrays, match, tmp_path):
    refused(tmp_path / "a.npz", arrays, match)


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<f2", "<i2", "u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_of_every_type_and_order_are_read(kind, order, tmp_path):
    points = np.arange(1, 19).reshape(2, 3, 3).astype(kind, order=order)
    np.save(tmp_path / "a.npy", points)
    np.savez(tmp_path / "a.npz", positions=points, keep=points[..., 0] > 4)
    for name in ("a.npy", "a.npz"):
        assert read_scan(tmp_path / name).positions.tolist() == points.tolist()
    assert read_scan(tmp_path / "a.npz").keep.tolist() == [[False, False, True], [True] * 3]


@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 4), (1, 2, 2, 3), ()])
def test_an_array_of_another_shape_is_no_cloud(shape, tmp_path):
    np.save(tmp_path / "a.npy", np.ones(shape))
    with pytest.raises(DataError, match="has points"):
        read_cloud(tmp_path / "a.npy")


def test_a_text_or_a_pickle_in_a_npy_file_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array(["x", "y", "z"]))
    np.save(tmp_path / "b.npy", np.array([{}], object), allow_pickle=True)
    for name in ("a.npy", "b.npy"):
        with pytest.raises(DataError, match=name):
            read_cloud(tmp_path / name)


def test_two_arrays_of_one_name_are_refused(tmp_path):
    data = io.BytesIO(npz_bytes(example_scan()))
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr("positions", archive.read("positions.npy"))
    (tmp_path / "a.npz").write_bytes(data.getvalue())
    with pytest.raises(DataError, match="two arrays of one name"):
        read_scan(tmp_path / "a.npz")


def test_a_mask_is_found_in_the_list_of_arrays(tmp_path):
    write_scan(tmp_path / "a.npz", seen_scan())
    write_scan(tmp_path / "b.npz", example_scan())
    assert holds_keep(tmp_path / "a.npz")
    assert not holds_keep(tmp_path / "b.npz")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': (), 'fortran_order': False, 'shape': (1, 1, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 3",
        "{'descr': ',f4', 'fortran_order': False, 'shape': (1, 1, 3), }",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (1, 1, 3), }",
        "{[]: 1}",
        "(" * 5000,
        "-" * 9000 + "1",
        "[" * 150 + "]" * 150,
    ],
)
@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_an_array_whose_header_is_no_header_is_refused_in_one_line(header, ending, tmp_path):
    path = tmp_path / f"scan{ending}"
    text = header.encode()
    body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(12)
    path.write_bytes(body)
    if ending == ".npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("positions.npy", body)
    with pytest.raises(DataError, match=rf"scan\{ending}: has an array whose header is damaged"):
        read_scan(path)


@beside_shared
def test_the_clouds_of_the_turntable_have_no_grid():
    cloud = read_cloud(PHOXI / "turntable" / "gpu_003.xyz.npy")
    assert cloud.points.shape == (171_861, 3)
    assert np.ptp(cloud.points, axis=0).max() < 1  # a card and a table, in metres


@beside_shared
def test_the_scenes_of_a_kinect_are_organised():
    scan = read_scan(PHOXI.parent / "mosd" / "test0.npz")
    assert scan.intensity.shape == scan.keep.shape == (120, 160)
    assert 0.1 < scan.keep[scan.valid].mean() < 0.9

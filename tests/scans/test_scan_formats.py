import io
import re
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scan_files import erase, ply_bytes, write_scan
from shared_data import PHOXI, beside_shared

from fedchain.errors import DataError
from fedchain.scans.features import normals_of
from fedchain.scans.formats import read_scan
from fedchain.scans.scan import Scan

CAMERA = np.array([0.01, 0.02, -0.5], np.float32)
FUZZ = settings(
    max_examples=150, derandomize=True, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


def sample(height=6, width=9):
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    depth = 0.5 + 0.01 * random.random((height, width))
    positions = np.stack([0.005 * columns, 0.005 * rows, depth], axis=-1).astype(np.float32)
    empty = random.random((height, width)) < 0.3
    positions[empty] = np.nan
    intensity = np.where(empty, np.nan, random.random((height, width))).astype(np.float32)
    return Scan(
        positions=positions,
        normals=normals_of(positions, CAMERA),
        intensity=intensity,
        camera=CAMERA,
    )


def cogs_bytes(scan, camera_bytes=84, width=None):
    rows, columns = np.nonzero(scan.valid)
    points = len(rows)
    head = b""
    for name, stride in (("positions", 12), ("normals", 12), ("intensities", 4)):
        head += struct.pack("<I", len(name)) + name.encode() + struct.pack("<III", 2, stride, 0)
    body = b"".join(a[scan.valid].tobytes() for a in (scan.positions, scan.normals, scan.intensity))
    camera = np.zeros(camera_bytes // 4, "<f4")
    camera[9:12] = scan.camera
    grid = (points, width or scan.intensity.shape[1], scan.intensity.shape[0])
    block = bytes(8) + struct.pack("<III", *grid) + camera.tobytes()
    block += np.stack([columns, rows], axis=-1).astype("<u4").tobytes()
    directory = 33 + len(head) + len(body) + len(block)
    start = b"COGS FILE" + b"\x00\x08\x00\x01" + struct.pack("<QIII", directory, points, 3, 0)
    names = struct.pack("<H", 1) + struct.pack("<I", 13) + b"ScanDataBlock" + bytes(9)
    return start + head + body + block + names


def npz_bytes(scan):
    file = io.BytesIO()
    np.savez(file, positions=scan.positions, normals=scan.normals, intensity=scan.intensity,
             camera=scan.camera)  # fmt: skip
    return file.getvalue()


def same(a, b):
    pairs = ((a.positions, b.positions), (a.normals, b.normals), (a.intensity, b.intensity))
    return (
        all(np.array_equal(x, y, equal_nan=True) for x, y in pairs) and (a.camera == b.camera).all()
    )


def near(a, b):
    """Return whether two scans are the same up to the rounding of another unit of length."""
    places = zip((a.positions, a.camera), (b.positions, b.camera), strict=True)
    alike = all(np.allclose(x, y, rtol=1e-6, atol=0, equal_nan=True) for x, y in places)
    return alike and same(replace(a, positions=b.positions, camera=b.camera), b)


def in_millimetres(scan):
    return replace(scan, positions=1000 * scan.positions, camera=1000 * scan.camera)


PHOXI_GRID = "obj_info Photoneo PLY PointCloud (Width = {w}; Height = {h}; Ordered)"
"""Size of the grid as PhoXi Control writes it."""
WRITERS = {
    "a.cogs": cogs_bytes,
    "long-camera.cogs": lambda scan: cogs_bytes(scan, 100),
    "a.ply": lambda s: ply_bytes(s, "ascii"),
    "comment.ply": lambda s: ply_bytes(s, "ascii", "comment width {w}\ncomment height: {h}"),
    "phoxi.ply": lambda s: ply_bytes(in_millimetres(s), "binary_little_endian", PHOXI_GRID),
    "little.ply": lambda s: ply_bytes(s, "binary_little_endian"),
    "big.ply": lambda s: ply_bytes(s, "binary_big_endian"),
    "a.npz": npz_bytes,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_scan_comes_back_from_every_format(name, tmp_path):
    (tmp_path / name).write_bytes(WRITERS[name](sample()))
    alike = near if name == "phoxi.ply" else same  # PhoXi Control writes millimetres
    assert alike(read_scan(tmp_path / name), sample())


@pytest.mark.parametrize("name", ["a.ply", "a.npz"])
def test_what_is_written_is_read_back(name, tmp_path):
    write_scan(tmp_path / name, sample())
    assert same(read_scan(tmp_path / name), sample())


def test_a_file_of_another_format_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no scan format ends in '.e57'; allowed: .cogs, .npy"):
        read_scan(tmp_path / "a.e57")


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_a_truncated_file_is_refused_by_name(name, share, tmp_path):
    data = WRITERS[name](sample())
    (tmp_path / name).write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataError, match=name):
        read_scan(tmp_path / name)


@pytest.mark.parametrize("name", WRITERS)
@FUZZ
@given(data=st.data())
def test_damaged_bytes_raise_data_errors_and_nothing_else(name, tmp_path, data):
    whole = bytearray(WRITERS[name](sample()))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, min(len(whole), 700) - 1) | st.integers(0, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.just(len(whole)) | st.integers(0, len(whole)))
    (tmp_path / name).write_bytes(bytes(whole[:cut]))
    named = ""
    try:
        assert read_scan(tmp_path / name).valid.any()
    except DataError as error:
        named = str(error)
    assert not named or name in named


@pytest.mark.parametrize("ending", [".cogs", ".ply", ".npz"])
@FUZZ
@given(garbage=st.binary(max_size=300), start=st.sampled_from([b"", b"ply\n", b"COGS FILE", b"PK"]))
def test_garbage_is_refused(ending, tmp_path, garbage, start):
    path = tmp_path / f"x{ending}"
    path.write_bytes(start + garbage)
    with pytest.raises(DataError, match="x"):
        read_scan(path)


def refused(path, data, match):
    path.write_bytes(data)
    with pytest.raises(DataError, match=match):
        read_scan(path)


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
    for path in (tmp_path / "none.ply", tmp_path / "folder.ply"):
        if "folder" in path.name:
            path.mkdir()
        with pytest.raises(DataError, match=path.name):
            read_scan(path)


def test_files_that_claim_more_than_they_hold_are_refused_before_allocation(tmp_path):
    data = cogs_bytes(sample())
    many = data[:21] + struct.pack("<I", 2**32 - 1) + data[25:]
    refused(tmp_path / "a.cogs", many, "is truncated")
    refused(tmp_path / "b.cogs", cogs_bytes(sample(), width=2**30), "claims")
    head = b"ply\nformat ascii 1.0\nobj_info num_cols 99999\nobj_info num_rows 99999\n"
    refused(tmp_path / "a.ply", head + b"element vertex 1\nend_header\n", "claims 99999 x 99999")
    head = b"ply\nformat binary_little_endian 1.0\nobj_info num_cols 2000\nobj_info num_rows 2000\n"
    vertex = b"element vertex 4000000\nproperty float x\nproperty float y\nproperty float z\n"
    refused(tmp_path / "b.ply", head + vertex + b"end_header\n", "is truncated")


def test_a_packed_bomb_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("positions.npy", bytes(2**22))
    data = bytearray((tmp_path / "bomb.npz").read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", 2**32 - 2)
    refused(tmp_path / "bomb.npz", bytes(data), r"claims 4294967294 bytes of positions.npy")


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", positions=np.array([{"code": 1}], dtype=object))
    with pytest.raises(DataError, match=r"a\.npz"):
        read_scan(tmp_path / "a.npz")


def test_clouds_without_a_grid_are_refused(tmp_path):
    refused(tmp_path / "a.ply", ply_bytes(sample(), "ascii", "comment none"), "is not organised")
    grid = "obj_info num_cols 5\nobj_info num_rows {h}"
    refused(tmp_path / "b.ply", ply_bytes(sample(), "ascii", grid), "is not organised: 54 vertices")
    np.savez(tmp_path / "c.npz", positions=np.zeros((10, 3)))
    with pytest.raises(DataError, match="is not organised"):
        read_scan(tmp_path / "c.npz")


def test_a_grid_may_be_said_twice_but_not_in_two_ways(tmp_path):
    plain = "obj_info num_cols {w}\nobj_info num_rows {h}\n"
    twice = ply_bytes(in_millimetres(sample()), "ascii", plain + PHOXI_GRID)
    (tmp_path / "a.ply").write_bytes(twice)
    assert near(read_scan(tmp_path / "a.ply"), sample())
    other = plain + PHOXI_GRID.format(w=9, h=7)
    words = r"says 6 and 7 as num_rows \(the height\); allowed: one number"
    refused(tmp_path / "b.ply", ply_bytes(sample(), "ascii", other), words)


@pytest.mark.parametrize("word", ["1.#QNAN", "1,5"])
def test_a_word_that_is_no_number_is_shown_as_the_file_has_it(word, tmp_path):
    data = ply_bytes(sample(), "ascii").replace(b"nan", word.encode(), 1)
    refused(tmp_path / "a.ply", data, re.escape(f"has a vertex with {word}; allowed: numbers"))


def test_scans_without_a_point_are_refused(tmp_path):
    scan = sample()
    nothing = erase(scan, np.zeros_like(scan.valid))
    for name in ("a.ply", "a.npz"):
        write_scan(tmp_path / name, nothing)
        with pytest.raises(DataError, match="holds no point"):
            read_scan(tmp_path / name)


def test_two_points_in_one_pixel_are_refused(tmp_path):
    data = cogs_bytes(sample())
    (directory,) = struct.unpack_from("<Q", data, 13)
    twice = data[: directory - 8] + data[directory - 16 : directory - 8] + data[directory:]
    refused(tmp_path / "a.cogs", twice, "two points in one pixel")


def test_a_cloud_without_normals_and_intensity_gets_them(tmp_path):
    text = "ply\nformat ascii 1.0\nobj_info num_cols 2\nobj_info num_rows 2\nelement vertex 4\n"
    text += "property double x\nproperty double y\nproperty double z\nend_header\n"
    text += "0 0 40\n1 0 40\n0 1 40\nnan nan nan\n"
    (tmp_path / "a.ply").write_text(text)
    scan = read_scan(tmp_path / "a.ply")
    assert scan.valid.tolist() == [[True, True], [True, False]]
    assert scan.normals[0, 0].tolist() == [0, 0, -1]
    assert scan.intensity[0].tolist() == [1, 1]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("missing", [0.0, -0.0, np.inf])
def test_points_that_are_missing_are_empty_in_every_format_however_they_are_written(
    name, missing, tmp_path
):
    scan = sample()
    rows, columns = np.nonzero(scan.valid)
    positions = scan.positions.copy()
    positions[rows[:3], columns[:3]] = missing
    (tmp_path / name).write_bytes(WRITERS[name](replace(scan, positions=positions)))
    found = read_scan(tmp_path / name)
    assert found.valid.sum() == scan.valid.sum() - 3
    assert np.isnan(found.positions[rows[:3], columns[:3]]).all()
    assert np.isnan(found.intensity[rows[:3], columns[:3]]).all()


def test_a_point_with_one_coordinate_of_zero_is_no_missing_point(tmp_path):
    scan = sample()
    assert (scan.positions[:, 0, 0][scan.valid[:, 0]] == 0).any()
    np.savez(tmp_path / "a.npz", positions=scan.positions)
    assert np.array_equal(read_scan(tmp_path / "a.npz").valid, scan.valid)


@pytest.mark.parametrize(
    ("properties", "values", "brightness"),
    [
        ("float Texture32", "7.5", 7.5),
        ("float scalar_Intensity", "7.5", 7.5),
        ("uchar red;uchar green;uchar blue", "10 20 30", 2.99 + 11.74 + 3.42),
        ("uchar red;uchar green;uchar blue;float Texture32", "10 20 30 7.5", 7.5),
        ("uchar red;uchar green", "10 20", 1.0),
    ],
)
def test_the_brightness_comes_from_what_scanners_call_it_or_from_the_colours(
    properties, values, brightness, tmp_path
):
    text = "ply\nformat ascii 1.0\nobj_info num_cols 1\nobj_info num_rows 1\nelement vertex 1\n"
    names = ["double x", "double y", "double z", *properties.split(";")]
    text += "".join(f"property {name}\n" for name in names) + f"end_header\n1 2 3 {values}\n"
    (tmp_path / "a.ply").write_text(text)
    assert read_scan(tmp_path / "a.ply").intensity[0, 0] == pytest.approx(brightness)


@beside_shared
@pytest.mark.parametrize(("name", "points"), [("gpu_006", 26_039), ("clean_006", 21_109)])
def test_real_scans_hold_the_published_number_of_points(name, points):
    scan = read_scan(PHOXI / f"{name}.cogs")
    assert scan.intensity.shape == (1544, 2064)
    assert scan.valid.sum() == points
    heights = scan.positions[scan.valid][:, 1]
    assert heights.min() > 0.0025  # the table was cropped away there
    lengths = np.linalg.norm(scan.normals[scan.valid], axis=1)
    assert np.abs(lengths - 1).max() < 1e-3


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
def test_an_npz_whose_header_is_no_header_is_refused_in_one_line(header, tmp_path):
    file = tmp_path / "scan.npz"
    text = header.encode()
    body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(12)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("positions.npy", body)
    with pytest.raises(DataError, match=r"scan\.npz: has an array whose header is damaged"):
        read_scan(file)

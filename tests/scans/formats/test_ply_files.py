import re
import struct
from dataclasses import replace

import numpy as np
import pytest
from scan_bytes import (
    COLUMNS_AND_ROWS,
    PHOXI_GRID,
    example_scan,
    in_millimetres,
    near,
    ply_bytes,
    range_grid_bytes,
    same,
    seen_scan,
)

from fedchain.errors import DataError
from fedchain.scans.formats import holds_keep, read_cloud, read_scan, write_scan

ORDERS = ("ascii", "binary_little_endian", "binary_big_endian")


def refused(path, data, match):
    path.write_bytes(data)
    with pytest.raises(DataError, match=match):
        read_scan(path)


def ply(properties, rows, elements=("", ""), order="ascii", grid=(2, 2), kinds="d"):
    """Return a PLY file of rows of numbers, with what stands before and after the vertices."""
    sign = ">" if "big" in order else "<"
    head = f"ply\nformat {order} 1.0\n"
    if grid:
        head += f"obj_info num_cols {grid[0]}\nobj_info num_rows {grid[1]}\n"
    before, after = elements
    head += before + f"element vertex {len(rows)}\n"
    head += "".join(f"property {name}\n" for name in properties) + after + "end_header\n"
    if order == "ascii":
        return head.encode() + "".join(" ".join(map(str, row)) + "\n" for row in rows).encode()
    kind = sign + (kinds * len(rows[0]) if len(kinds) == 1 else kinds)
    return head.encode() + b"".join(struct.pack(kind, *row) for row in rows)


DOUBLES = ("double x", "double y", "double z")
SQUARE = [(0, 0, 40), (1, 0, 40), (0, 1, 40), ("nan", "nan", "nan")]


def test_points_of_doubles_lie_in_the_grid_row_by_row(tmp_path):
    (tmp_path / "a.ply").write_bytes(ply(DOUBLES, SQUARE))
    scan = read_scan(tmp_path / "a.ply")
    assert scan.valid.tolist() == [[True, True], [True, False]]
    assert scan.positions[0, 1].tolist() == [1, 0, 40]
    assert scan.normals[0, 0].tolist() == [0, 0, -1]
    assert scan.intensity[0].tolist() == [1, 1]


@pytest.mark.parametrize("order", ORDERS)
def test_headers_may_end_their_lines_as_windows_does(order, tmp_path):
    data = ply_bytes(example_scan(), order)
    head, end, body = data.partition(b"end_header\n")
    body = body.replace(b"\n", b"\r\n") if order == "ascii" else body
    (tmp_path / "a.ply").write_bytes((head + end).replace(b"\n", b"\r\n") + body)
    assert same(read_scan(tmp_path / "a.ply"), example_scan())


EXTRAS = ("float confidence", "double x", "uchar label", "double y", "double z", "short class")


@pytest.mark.parametrize("order", ORDERS)
def test_other_properties_and_elements_are_passed_over(order, tmp_path):
    rows = [(0.5, x, 7, y, 40, -3) for x, y in ((0, 0), (1, 0), (0, 1), (1, 1))]
    before = "element material 2\nproperty int shine\nproperty uchar gloss\n"
    before += "element face 3\nproperty list uchar int vertex_indices\nproperty uchar flag\n"
    after = "element tail 1\nproperty list uchar float values\n"
    data = ply(EXTRAS, rows, (before, after), order, kinds="fdBddh")
    head, end, body = data.partition(b"end_header\n")
    sign = ">" if "big" in order else "<"
    if order == "ascii":
        first = b"5 1\n\n5 1\n3 0 1 2 9\n0 9\n2 0 1 9\n"
    else:
        first = struct.pack(f"{sign}iBiB", 5, 1, 5, 1)
        first += struct.pack(f"{sign}BiiiB", 3, 0, 1, 2, 9) + b"\0\x09"
        first += struct.pack(f"{sign}BiiB", 2, 0, 1, 9)
    (tmp_path / "a.ply").write_bytes(head + end + first + body + b"\0" * 3)
    scan = read_scan(tmp_path / "a.ply")
    assert scan.positions.tolist() == [[[0, 0, 40], [1, 0, 40]], [[0, 1, 40], [1, 1, 40]]]


@pytest.mark.parametrize("order", ORDERS)
def test_a_camera_of_pcl_gives_grid_and_place(order, tmp_path):
    views = ("view_px", "view_py", "view_pz")
    after = "element camera 1\n" + "".join(f"property float {name}\n" for name in views)
    after += "property int viewportx\nproperty int viewporty\n"
    points = [(x, y, 40) for y in range(2) for x in range(3)]
    data = ply(DOUBLES, points, ("", after), order, grid=None)
    sign = ">" if "big" in order else "<"
    camera = b"1 2 3 3 2\n" if order == "ascii" else struct.pack(f"{sign}fffii", 1, 2, 3, 3, 2)
    (tmp_path / "a.ply").write_bytes(data + camera)
    scan = read_scan(tmp_path / "a.ply")
    assert scan.positions[1, 2].tolist() == [2, 1, 40]
    assert scan.camera.tolist() == [1, 2, 3]
    whole = b"1 2 3 6 1\n" if order == "ascii" else struct.pack(f"{sign}fffii", 1, 2, 3, 6, 1)
    (tmp_path / "b.ply").write_bytes(data + whole)  # PCL's camera of a cloud
    with pytest.raises(DataError, match="is not organised"):
        read_scan(tmp_path / "b.ply")
    assert len(read_cloud(tmp_path / "b.ply").points) == 6


def test_clouds_without_a_grid_are_no_scans_but_clouds(tmp_path):
    path = tmp_path / "a.ply"
    refused(path, ply_bytes(example_scan(), "ascii", "comment none"), "is not organised: names no")
    assert len(read_cloud(path).points) == example_scan().valid.sum()
    grid = "obj_info num_cols 5\nobj_info num_rows {h}"
    other = ply_bytes(example_scan(), "ascii", grid)
    refused(tmp_path / "b.ply", other, "is not organised: 54 vertices on 5 x 6 pixels")


def test_a_grid_of_one_row_is_how_pcl_writes_a_cloud(tmp_path):
    data = ply(DOUBLES, SQUARE[:3], grid=(3, 1))
    refused(tmp_path / "a.ply", data, "is not organised: its grid has one row")
    assert len(read_cloud(tmp_path / "a.ply").points) == 3


def test_a_grid_may_be_said_twice_but_not_in_two_ways(tmp_path):
    twice = ply_bytes(in_millimetres(example_scan()), "ascii", f"{COLUMNS_AND_ROWS}\n{PHOXI_GRID}")
    (tmp_path / "a.ply").write_bytes(twice)
    assert near(read_scan(tmp_path / "a.ply"), example_scan())
    other = f"{COLUMNS_AND_ROWS}\n{PHOXI_GRID.format(w=9, h=7)}"
    words = r"says 6 and 7 as num_rows \(the height\); allowed: one number"
    refused(tmp_path / "b.ply", ply_bytes(example_scan(), "ascii", other), words)


RANGE = ("", "element range_grid 4\nproperty list uchar int vertex_indices\n")


def test_lists_of_a_range_grid_put_vertices_on_pixels_in_any_order(tmp_path):
    data = ply(DOUBLES, SQUARE[:3], RANGE) + b"1 2\n0\n1 0\n1 1\n"
    (tmp_path / "a.ply").write_bytes(data)
    scan = read_scan(tmp_path / "a.ply")
    assert scan.valid.tolist() == [[True, False], [True, True]]
    assert scan.positions[0, 0].tolist() == [0, 1, 40]
    assert scan.positions[1, 1].tolist() == [1, 0, 40]


def sparse_scan(height=70, width=60):
    """Return a scan with one row of points and three pixels below it; the others are empty."""
    scan = example_scan(height, width)
    empty = np.ones((height, width), bool)
    empty[20], empty[65, 3:6] = False, False
    hole = np.where(empty, np.float32(np.nan), np.float32(0))
    return replace(
        scan,
        positions=scan.positions + hole[..., None],
        normals=scan.normals + hole[..., None],
        intensity=scan.intensity + hole,
    )


def test_a_scan_whose_pixels_are_mostly_empty_is_written_with_its_points_alone(tmp_path):
    scan = sparse_scan()
    write_scan(tmp_path / "a.ply", scan)
    points = int(scan.valid.sum())
    assert f"element vertex {points}\n".encode() in (tmp_path / "a.ply").read_bytes()
    assert (tmp_path / "a.ply").stat().st_size < 70 * 60 + 32 * points + 600
    assert same(read_scan(tmp_path / "a.ply"), scan)
    write_scan(tmp_path / "b.ply", example_scan())  # three of ten pixels are empty
    assert b"range_grid" not in (tmp_path / "b.ply").read_bytes()


@pytest.mark.parametrize("order", ORDERS)
def test_range_grids_are_read_in_every_order_of_bytes_over_long_runs(order, tmp_path):
    (tmp_path / "a.ply").write_bytes(range_grid_bytes(sparse_scan(), order))
    assert same(read_scan(tmp_path / "a.ply"), sparse_scan())


def test_lists_of_a_range_grid_may_have_long_counts_and_other_elements_behind_them(tmp_path):
    wide = (
        "",
        "element range_grid 4\nproperty list short ushort at\nelement tail 4\nproperty char c\n",
    )
    data = ply(DOUBLES, SQUARE[:3], wide, ORDERS[2])
    data += struct.pack(">hHhhHhH", 1, 2, 0, 1, 0, 1, 1) + b"\0\1\0\0"
    (tmp_path / "a.ply").write_bytes(data)
    assert read_scan(tmp_path / "a.ply").positions[1, 0].tolist() == [0, 0, 40]
    empty_at_the_end = struct.pack(">hHhHhHh", 1, 2, 1, 0, 1, 1, 0)
    (tmp_path / "a.ply").write_bytes(data[:-18] + empty_at_the_end + bytes(3))
    assert read_scan(tmp_path / "a.ply").valid.tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize(
    ("lists", "match"),
    [
        (b"\0\2\1\0\0\0\0\0\0\0\0", "has 2 points in one pixel; allowed: one or none"),
        (b"\0\0\0\1\3\0\0\0", "a vertex beyond its 3 vertices"),
        (b"\0\0\0\1\xff\xff\xff\xff", "a vertex beyond its 3 vertices"),
        (b"\0\0\0\1\0\0\0", "is truncated: range_grid ends after byte"),
        (b"\1\0\0\0\0\1\0\0\0\0", "is truncated: the rows of range_grid end at byte"),
    ],
)
def test_a_range_grid_of_damaged_bytes_is_refused(lists, match, tmp_path):
    data = ply(DOUBLES, SQUARE[:3], RANGE, ORDERS[1]) + lists
    refused(tmp_path / "a.ply", data, match)


@pytest.mark.parametrize(
    ("lists", "match"),
    [
        (b"2 0 1\n0\n0\n0\n", "has 2 points in one pixel"),
        (b"1 3\n0\n0\n0\n", "a vertex beyond its 3 vertices"),
        (b"1 -1\n0\n0\n0\n", "a vertex beyond its 3 vertices"),
        (b"1 99999999999999999999\n0\n0\n0\n", "a vertex beyond its 3 vertices"),
        (b"1 x\n0\n0\n0\n", "no list"),
        (b"1\n0\n0\n0\n", "claims 1"),
        (b"0\n0\n", "is truncated"),
        (b"0\n0\n0\n0\n", "holds no point"),
    ],
)
def test_a_range_grid_that_is_none_is_refused(lists, match, tmp_path):
    refused(tmp_path / "a.ply", ply(DOUBLES, SQUARE[:3], RANGE) + lists, match)


@pytest.mark.parametrize("word", ["1.#QNAN", "1,5", "1_000", "0x1"])
def test_a_word_that_is_no_number_is_shown_as_the_file_has_it(word, tmp_path):
    data = ply_bytes(example_scan(), "ascii").replace(b"nan", word.encode(), 1)
    refused(tmp_path / "a.ply", data, re.escape(f"has a vertex with {word}; allowed: numbers"))


@pytest.mark.parametrize("rows", [[*SQUARE[:3], (1, 2)], [*SQUARE[:3], (1, 2, 3, 4)]])
def test_a_row_of_too_few_or_too_many_numbers_is_refused_with_its_place(rows, tmp_path):
    refused(tmp_path / "a.ply", ply(DOUBLES, rows), r"has [24] numbers in point 4; allowed: 3")


@pytest.mark.parametrize(
    ("properties", "values", "brightness"),
    [
        ("float Texture32", "7.5", 7.5),
        ("float scalar_Intensity", "7.5", 7.5),
        ("uchar red;uchar green;uchar blue", "10 20 30", 2.99 + 11.74 + 3.42),
        ("uchar diffuse_red;uchar diffuse_green;uchar diffuse_blue", "10 20 30", 18.15),
        ("uchar red;uchar green;uchar blue;float Texture32", "10 20 30 7.5", 7.5),
        ("uchar red;uchar green", "10 20", 1.0),
    ],
)
def test_the_brightness_comes_from_what_scanners_call_it_or_from_the_colours(
    properties, values, brightness, tmp_path
):
    names = ["double x", "double y", "double z", *properties.split(";")]
    rows = [(1, 2, 3, *values.split())] * 2
    (tmp_path / "a.ply").write_bytes(ply(names, rows, grid=(1, 2)))
    assert read_scan(tmp_path / "a.ply").intensity[0, 0] == pytest.approx(brightness)


@pytest.mark.parametrize(
    ("comment", "unit", "metres"),
    [
        ("", None, 1.0),
        ("", "m", 1.0),
        ("", "mm", 0.001),
        ("comment unit mm\n", None, 0.001),
        ("comment Units: millimeters\n", None, 0.001),
        ("comment unit mm\n", "m", 0.001),
        ("comment unit m\n", "mm", 1.0),
    ],
)
def test_the_unit_is_what_the_file_says_then_what_the_user_says_then_metres(
    comment, unit, metres, tmp_path
):
    camera = "comment camera 1 2 3\n"
    (tmp_path / "a.ply").write_bytes(ply(DOUBLES, SQUARE, (comment + camera, "")))
    scan = read_scan(tmp_path / "a.ply", unit)
    assert scan.positions[0, 1].tolist() == pytest.approx([metres, 0, 40 * metres])
    assert scan.camera.tolist() == pytest.approx([metres, 2 * metres, 3 * metres])


def test_points_tens_of_metres_apart_without_a_unit_are_warned_about(tmp_path, caplog):
    rows = [(100 * x, 0, 400) for x in range(4)]
    (tmp_path / "a.ply").write_bytes(ply(DOUBLES, rows))
    read_scan(tmp_path / "a.ply")
    assert "if they are in millimetres, say unit mm" in caplog.text
    caplog.clear()
    read_scan(tmp_path / "a.ply", "mm")
    assert not caplog.text


@pytest.mark.parametrize(
    ("view", "match"),
    [
        ("comment camera 1 x 3\n", "else than numbers"),
        (f"comment view{' 1' * 21}\n", "allowed: a camera"),
    ],
)
def test_a_note_of_the_camera_that_is_none_is_refused(view, match, tmp_path):
    refused(tmp_path / "a.ply", ply(DOUBLES, SQUARE, (view, "")), match)


@pytest.mark.parametrize("note", ["", " ", "unit", "unit km", "camera", "camera 1 2", "view 1"])
def test_a_comment_that_is_no_note_is_skipped(note, tmp_path):
    (tmp_path / "a.ply").write_bytes(ply(DOUBLES, SQUARE, (f"comment {note}\n", "")))
    scan = read_scan(tmp_path / "a.ply")
    assert scan.positions[0, 1].tolist() == [1, 0, 40]
    assert scan.camera.tolist() == [0, 0, 0]
    (tmp_path / "a.xyz").write_text(f"# {note}\n#{note}\n//\n1 2 3\n")
    assert read_cloud(tmp_path / "a.xyz").points.tolist() == [[1, 2, 3]]


def test_a_file_says_in_its_header_whether_it_holds_a_mask(tmp_path):
    write_scan(tmp_path / "a.ply", seen_scan())
    write_scan(tmp_path / "b.ply", example_scan())
    assert holds_keep(tmp_path / "a.ply")
    assert not holds_keep(tmp_path / "b.ply")


def test_trimesh_reads_the_vertices_that_are_written(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    scan = seen_scan()
    write_scan(tmp_path / "a.ply", scan)
    found = trimesh.load(tmp_path / "a.ply", process=False)
    wanted = scan.positions.reshape(-1, 3)
    assert np.array_equal(np.asarray(found.vertices, np.float32), wanted, equal_nan=True)

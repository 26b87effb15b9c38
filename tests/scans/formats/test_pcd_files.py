import random
import struct

import numpy as np
import pytest
from scan_bytes import example_scan, lzf, pcd_bytes, seen_scan

from fedchain.errors import DataError
from fedchain.scans.formats import holds_keep, read_cloud, read_scan, write_scan
from fedchain.scans.formats.lzf import unpack_lzf

HEAD = "VERSION 0.7\nFIELDS {}\nSIZE {}\nTYPE {}\nCOUNT {}\nWIDTH {}\nHEIGHT {}\nDATA {}\n"


def pcd(fields, sizes, kinds, counts, grid, data, body):
    return HEAD.format(fields, sizes, kinds, counts, *grid, data).encode() + body


def refused(path, data, match):
    path.write_bytes(data)
    with pytest.raises(DataError, match=match):
        read_cloud(path)


def test_fields_of_every_type_and_padding_are_read_by_their_names(tmp_path):
    rows = [struct.pack("<4sdh3fdBdI", b"", x, -3, 1, 2, 3, 2.0, 9, 40.0, 0x0A141E) for x in (5, 6)]
    fields, sizes = "_ x tag histogram y _ z rgb", "1 8 2 4 8 1 8 4"
    data = pcd(
        fields, sizes, "U F I F F U F U", "4 1 1 3 1 1 1 1", (2, 1), "binary", b"".join(rows)
    )
    (tmp_path / "a.pcd").write_bytes(data)
    cloud = read_cloud(tmp_path / "a.pcd")
    assert cloud.points.tolist() == [[5, 2, 40], [6, 2, 40]]
    # Red 10, green 20 and blue 30 in one number.
    assert cloud.intensity.tolist() == pytest.approx([18.15, 18.15])


def test_packed_colours_as_the_bits_of_a_float_are_the_same_colours(tmp_path):
    (packed,) = struct.unpack("<f", struct.pack("<I", 0x0A141E))
    body = f"1 2 3 {packed!r}\n".encode()
    (tmp_path / "a.pcd").write_bytes(
        pcd("x y z rgb", "4 4 4 4", "F F F F", "1 1 1 1", (1, 1), "ascii", body)
    )
    assert read_cloud(tmp_path / "a.pcd").intensity.tolist() == pytest.approx([18.15])


def test_packed_colours_as_whole_numbers_in_text_are_the_same_colours(tmp_path):
    for kind, packed in (("U", 0xFF0A141E), ("U", 0x0A141E), ("I", 0x0A141E)):
        body = f"1 2 3 {packed}\n".encode()
        (tmp_path / "a.pcd").write_bytes(
            pcd("x y z rgba", "4 4 4 4", f"F F F {kind}", "1 1 1 1", (1, 1), "ascii", body)
        )
        assert read_cloud(tmp_path / "a.pcd").intensity.tolist() == pytest.approx([18.15])


def test_the_packed_fields_stand_one_after_the_other(tmp_path):
    whole = np.array([[1, 2], [3, 4], [5, 6]], "<f4").tobytes()
    packed = b"".join(bytes([len(whole) - 1]) + whole for _ in range(1))
    body = struct.pack("<II", len(packed), len(whole)) + packed + b"beyond"
    (tmp_path / "a.pcd").write_bytes(
        pcd("x y z", "4 4 4", "F F F", "1 1 1", (2, 1), "binary_compressed", body)
    )
    assert read_cloud(tmp_path / "a.pcd").points.tolist() == [[1, 3, 5], [2, 4, 6]]


def test_a_height_of_one_means_no_grid(tmp_path):
    body = b"1 2 3\n4 5 6\n"
    (tmp_path / "a.pcd").write_bytes(pcd("x y z", "4 4 4", "F F F", "1 1 1", (2, 1), "ascii", body))
    assert len(read_cloud(tmp_path / "a.pcd").points) == 2
    with pytest.raises(DataError, match="is not organised: its HEIGHT is 1"):
        read_scan(tmp_path / "a.pcd")


def test_normals_are_called_as_pcl_calls_them_and_the_mask_is_in_the_header(tmp_path):
    write_scan(tmp_path / "a.pcd", seen_scan())
    head = (tmp_path / "a.pcd").read_bytes().partition(b"DATA")[0]
    assert b"FIELDS x y z normal_x normal_y normal_z intensity keep\n" in head
    assert b"WIDTH 9\nHEIGHT 6\n" in head
    assert holds_keep(tmp_path / "a.pcd")
    write_scan(tmp_path / "b.pcd", example_scan())
    assert not holds_keep(tmp_path / "b.pcd")


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("WIDTH 9", "WIDTH 8", r"54 points on 8 x 6"),
        ("POINTS 54", "POINTS 53", r"53 points on 9 x 6"),
        ("WIDTH 9", "WIDTH x", "WIDTH x; allowed: a whole number"),
        ("HEIGHT 6", "HEIGHT 9999999\nWIDTH 9999999", "points on"),
        ("TYPE F", "TYPE Q", "1 numbers Q4 in x"),
        ("SIZE 4", "SIZE 2", "1 numbers F2 in x"),
        ("COUNT 1", "COUNT 0", "0 numbers F4 in x"),
        ("FIELDS x y", "FIELDS x x", "each name once"),
        ("FIELDS x", "FIELDS q", "allowed: x, y, z"),
        ("FIELDS x ", "FIELDS ", "other numbers of SIZE"),
        ("DATA binary", "DATA zip", "has DATA zip"),
        ("VIEWPOINT", "VIEWPOINT 1", "8 numbers as VIEWPOINT"),
        ("VIEWPOINT", "VIEWPOINT x", "else than numbers"),
        ("WIDTH 9\n", "", "has no WIDTH"),
    ],
)
def test_a_header_that_fits_no_points_is_refused_by_its_line(old, new, match, tmp_path):
    data = pcd_bytes(example_scan())
    assert old.encode() in data
    refused(tmp_path / "a.pcd", data.replace(old.encode(), new.encode(), 1), match)


def test_lzf_unpacks_what_was_packed():
    chance = random.Random(1)
    words = [chance.randbytes(chance.randint(1, 40)) for _ in range(6)]
    for length in (0, 1, 31, 32, 33, 300, 9000):
        data = b"".join(chance.choice(words) for _ in range(length))
        packed = lzf(data)
        assert unpack_lzf(packed, len(data)) == data
        if length > 100:
            assert len(packed) < len(data) / 2
    zeros = bytes(5000)
    assert unpack_lzf(lzf(zeros), 5000) == zeros


@pytest.mark.parametrize(
    ("packed", "size"),
    [
        (b"\0a", 2),  # too short
        (b"\1ab", 1),  # too long
        (b"\5ab", 6),  # literals end early
        (b"\0a\x20", 4),  # a copy without its distance
        (b"\0a\xe0", 10),  # a long copy without its length
        (b"\0a\x20\1", 4),  # a copy from before the beginning
        (b"\0a\0", 1),  # bytes are left
        (b"\0a\xe0\xff\0", 10**6),  # claims more than it can stand for
    ],
)
def test_a_damaged_lzf_stream_is_refused(packed, size):
    with pytest.raises(ValueError, match=r"packed bytes|a copy begins"):
        unpack_lzf(packed, size)

"""Every reader reads bytes or refuses them with a DataError, in bounded memory."""

import math
import random
import re
import struct
import tracemalloc
import zipfile
import zlib

import pytest
from scan_bytes import FILES, cogs_bytes, depth_json, example_scan

from fedchain.errors import DataError
from fedchain.scans.formats import READERS, read_any, read_cloud, read_scan
from fedchain.scans.formats.contents import Contents
from fedchain.scans.formats.file_points import cloud_of, in_metres, scan_of

MUTANTS = 150
MOST_BYTES = 2**25
"""Memory that a reader may take for a file of a few kilobytes."""
WORDS = (
    b"0", b"-1", b"99999999", b"4294967295", b"nan", b"1e400", b"\0", b"\n", b"\r\n", b" ", b"list",
    b"# ", b"\xff\xff\xff\xff", b"element face 9\n", b"property float x\n", b"DATA ascii\n",
)  # fmt: skip
"""Words of the formats, which a fuzzer without a dictionary would not find."""
STARTS = (
    b"", b"ply\n", b"ply\nformat ascii 1.0\nelement vertex 2\n", b"COGS FILE", b"PK\3\4", b"PK\5\6",
    b"\x93NUMPY\1\0", b"\x89PNG\r\n\x1a\n", b"VERSION 0.7\nFIELDS x y z\n", b"# unit mm\n1 2 3\n",
)  # fmt: skip


def outcome(path, data):
    """Return the error with which the bytes are refused; empty if they are a scan or a cloud."""
    file, said = Contents(path, data), []
    try:
        found = in_metres(file, READERS[path.suffix](file), None)
    except DataError as error:
        return str(error)
    for make in (scan_of, cloud_of):
        try:
            make(file, found)
        except DataError as error:
            said.append(str(error))
    return said[0] if len(said) == 2 else ""


def mutant(data, chance):
    """Return the bytes with a few of them changed, left out, doubled or put in, or cut off."""
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 5)):
        kind, place = chance.random(), chance.randrange(min(len(damaged), 900) or 1)
        if chance.random() < 0.3:
            place = chance.randrange(len(damaged) or 1)
        if kind < 0.4 and damaged:
            damaged[place] = chance.randrange(256)
        elif kind < 0.55:
            del damaged[place : place + chance.randint(1, 9)]
        elif kind < 0.7:
            damaged[place:place] = damaged[place : place + chance.randint(1, 40)]
        elif kind < 0.9:
            damaged[place:place] = chance.choice(WORDS)
        else:
            del damaged[chance.randrange(len(damaged) + 1) :]
    return bytes(damaged)


@pytest.mark.parametrize("name", FILES)
def test_damaged_bytes_are_read_or_refused_by_name_in_little_memory(name, tmp_path):
    path, whole = tmp_path / name, FILES[name](example_scan())
    path.with_suffix(".json").write_text(depth_json())
    assert outcome(path, whole) == ""
    chance = random.Random(name)
    tracemalloc.start()
    try:
        said = [outcome(path, mutant(whole, chance)) for _ in range(MUTANTS)]
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
    assert any(said)
    assert all(not each or path.stem in each for each in said)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_off_anywhere_is_read_as_less_or_refused(name, tmp_path):
    path, whole = tmp_path / name, FILES[name](example_scan())
    path.with_suffix(".json").write_text(depth_json())
    # A COGS file ends with names, and a PNG file with a mark, that nobody needs.
    for cut in range(0, int(0.8 * len(whole)), len(whole) // 80 + 1):
        assert outcome(path, whole[:cut]) or name == "a.xyz", cut


@pytest.mark.parametrize("ending", READERS)
def test_garbage_is_refused(ending, tmp_path):
    chance, path = random.Random(ending), tmp_path / f"x{ending}"
    path.with_suffix(".json").write_text(depth_json())
    for start in STARTS:
        for _ in range(8):
            data = start + chance.randbytes(chance.randrange(300))
            assert outcome(path, data) or ending == ".xyz", data


@pytest.mark.parametrize("ending", READERS)
def test_a_missing_an_empty_file_and_a_folder_are_refused(ending, tmp_path):
    (tmp_path / f"folder{ending}").mkdir()
    (tmp_path / f"empty{ending}").touch()
    for name in ("none", "folder", "empty"):
        for read in (read_scan, read_cloud, read_any):
            with pytest.raises(DataError, match=name):
                read(tmp_path / f"{name}{ending}")


PLY_XYZ = "property float x\nproperty float y\nproperty float z\n"
PLY = f"ply\nformat binary_little_endian 1.0\nelement vertex {{}}\n{PLY_XYZ}"
PCD = "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH {}\nHEIGHT {}\nDATA {}\n"


def npy(shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(12)


def png(width, height, depth=16):
    parts = (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)), (b"IDAT", b"x")
    chunks = (
        struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


COGS = cogs_bytes(example_scan())
BOMBS = {
    "points.cogs": (COGS[:21] + struct.pack("<I", 2**32 - 1) + COGS[25:], "is truncated"),
    "grid.cogs": (cogs_bytes(example_scan(), width=2**30), "claims"),
    "vertices.ply": (PLY.format(10**11) + "end_header\n", "is truncated"),
    "grid.ply": (
        PLY.format(1).replace("elem", "obj_info num_cols 99999\nobj_info num_rows 99999\nelem")
        + "end_header\n", "claims 99999 x 99999",
    ),
    "ascii.ply": (
        PLY.format(10**7).replace("binary_little_endian", "ascii") + "end_header\n", "is truncated"
    ),
    "wide-ascii.ply": (
        PLY.format(10**11).replace("binary_little_endian", "ascii") + "end_header\n", "as text"
    ),
    "lists.ply": (
        "ply\nformat binary_little_endian 1.0\nelement face 999999999999\n"
        f"property list uchar int i\nelement vertex 1\n{PLY_XYZ}end_header\n", "claims",
    ),
    "long-list.ply": (
        "ply\nformat binary_little_endian 1.0\nelement face 1\nproperty list uint int i\n"
        f"element vertex 1\n{PLY_XYZ}end_header\n" + "\x7f" * 40, "is truncated",
    ),
    "nothing.ply": (
        "ply\nformat binary_little_endian 1.0\nelement empty 999999999999\n"
        f"element vertex 9\n{PLY_XYZ}end_header\n", "is truncated",
    ),
    "range.ply": (
        PLY.format(1).replace("elem", "obj_info num_cols 3000\nobj_info num_rows 2000\nelem")
        + "element range_grid 6000000\nproperty list uchar int vertex_indices\nend_header\n"
        + "\0" * 12, "claims 6000000 lists",
    ),
    "properties.ply": (
        PLY.format(1) + "".join(f"property char p{n}\n" for n in range(999)) + "end_header\n",
        "properties; allowed",
    ),
    "header.ply": ("ply\n" + "comment x\n" * 99999, "has no end_header"),
    "binary.pcd": (PCD.format(10**6, 10**5, "binary"), "is truncated"),
    "packed.pcd": (
        PCD.format(10**4, 1, "binary_compressed") + "\1\0\0\0\xc0\xd4\1\0a", "is damaged"
    ),
    "unpacks.pcd": (
        PCD.format(10**4, 10**5, "binary_compressed") + "\1\0\0\0\0\0\0\x7fa", "unpacks to"
    ),
    "ascii.pcd": (PCD.format(10**6, 10, "ascii"), "is truncated"),
    "counts.pcd": (
        PCD.format(1, 1, "ascii").replace("WIDTH", "COUNT 1 1 99999999\nWIDTH"), "numbers F4 in z"
    ),
    "shape.npy": (npy((10**6, 10**6, 3)), "has an array of"),
    "negative.npy": (npy((-1, -1, 3)), "has an array of"),
    "line.xyz": ("1 " * 10**5, "allowed"),
    "columns.xyz": ("1 2 3\n" + "1 " * 10**5, "has a line of more than"),
    "pixels.png": (png(50_000, 50_000), "claims 50000 x 50000"),
    "grey8.png": (png(5, 5, 8), "has 8 bits a channel"),
}  # fmt: skip
"""Files that claim more than they hold, or make a naive reader take much memory or time."""


@pytest.mark.parametrize("name", BOMBS)
def test_claims_are_checked_against_the_files_size_before_anything_is_allocated(name, tmp_path):
    data, match = BOMBS[name]
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode("latin-1"))
    path.with_suffix(".json").write_text(depth_json())
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=match):
            read_any(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_an_archive_that_claims_gigabytes_is_refused(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("positions.npy", bytes(2**22))
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"claims 4294967294 bytes of positions.npy"):
        read_scan(path)


def test_arrays_of_packed_zeros_are_refused_before_they_are_unpacked(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, shape in (("positions", (2, 2, 3)), ("normals", (9, 10**5, 3))):
            archive.writestr(f"{name}.npy", npy(shape)[:-12] + bytes(4 * math.prod(shape)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="has arrays that do not fit its points"):
            read_scan(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_an_array_that_unpacks_to_more_than_it_claims_takes_no_memory_for_the_rest(tmp_path):
    path, claimed = tmp_path / "bomb.npz", npy((2000, 1, 3))[:-12] + bytes(24_000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("positions.npy", claimed + bytes(2**24))
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 16 : place + 20] = struct.pack("<I", zlib.crc32(claimed))
    data[place + 24 : place + 28] = struct.pack("<I", len(claimed))
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="holds no point"):
            read_scan(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_errors_of_any_reader_are_one_short_line(tmp_path):
    for name in FILES:
        path = tmp_path / name
        path.with_suffix(".json").write_text(depth_json())
        said = outcome(path, FILES[name](example_scan())[:70] + b"\xff" * 5000)
        assert not said or len(said.removeprefix(str(path))) < 400
        assert not re.search(r"[\n\r]", said)

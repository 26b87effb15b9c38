"""Scan files byte by byte, written by hand: what fedchain's readers are compared with."""

from __future__ import annotations

import io
import json
import struct
from dataclasses import replace

import numpy as np

from fedchain.scans.camera import Camera
from fedchain.scans.features import normals_of
from fedchain.scans.formats.png import grey_bytes
from fedchain.scans.scan import Scan

PLACE = np.array([0.01, 0.02, -0.5], np.float32)
PROPERTIES = ("x", "y", "z", "nx", "ny", "nz", "intensity")
COLUMNS_AND_ROWS = "obj_info num_cols {w}\nobj_info num_rows {h}"
PHOXI_GRID = "obj_info Photoneo PLY PointCloud (Width = {w}; Height = {h}; Ordered)"
"""Size of the grid as PhoXi Control writes it."""


def example_scan(height=6, width=9, seed=0) -> Scan:
    """Return a scan in which three of ten pixels are empty."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    depth = 0.5 + 0.01 * random.random((height, width))
    positions = np.stack([0.005 * columns, 0.005 * rows, depth], axis=-1).astype(np.float32)
    empty = random.random((height, width)) < 0.3
    empty[-1, -1] = False
    positions[empty] = np.nan
    intensity = np.where(empty, np.nan, random.random((height, width))).astype(np.float32)
    return Scan(
        positions=positions,
        normals=normals_of(positions, PLACE),
        intensity=intensity,
        camera=PLACE,
    )


def example_view(distortion=(-0.1, 0.05, 0.01, 1e-3, -2e-3)) -> Camera:
    """Return a camera that is neither at the origin nor along the axes."""
    half = np.sqrt(0.5)
    return Camera(
        basis=np.array([[half, half, 0], [-half, half, 0], [0, 0, 1]]),
        position=PLACE,
        focal=np.array([120.0, 110.0]),
        centre=np.array([4.2, 3.1]),
        distortion=np.array(distortion),
    )


def seen_scan(height=6, width=9, seed=0) -> Scan:
    """Return a scan whose points lie where ``example_view`` sees their pixels."""
    scan, view = example_scan(height, width, seed), example_view()
    depth = np.where(scan.valid, scan.positions[..., 2] + 0.5, np.nan)
    positions = (view.position + depth[..., None] * view.rays(height, width)).astype(np.float32)
    normals = normals_of(positions, view.position.astype(np.float32))
    keep = scan.valid & (np.arange(width) > 2)
    return replace(scan, positions=positions, normals=normals, view=view, keep=keep)


def same(a: Scan, b: Scan) -> bool:
    """Return whether two scans have the same bits in points, normals, intensity and camera."""
    pairs = ((a.positions, b.positions), (a.normals, b.normals), (a.intensity, b.intensity))
    alike = all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)
    return alike and (a.camera == b.camera).all()


def near(a: Scan, b: Scan) -> bool:
    """Return whether two scans are the same up to the rounding of another unit of length."""
    places = zip((a.positions, a.camera), (b.positions, b.camera), strict=True)
    alike = all(np.allclose(x, y, rtol=1e-6, atol=0, equal_nan=True) for x, y in places)
    return alike and same(replace(a, positions=b.positions, camera=b.camera), b)


def in_millimetres(scan: Scan) -> Scan:
    return replace(scan, positions=1000 * scan.positions, camera=1000 * scan.camera)


def table_of(scan: Scan) -> np.ndarray:
    grids = (scan.positions, scan.normals, scan.intensity[..., None])
    return np.concatenate(grids, axis=-1).reshape(-1, len(PROPERTIES))


def text_of(table: np.ndarray) -> str:
    return "".join(" ".join(repr(float(v)) for v in row) + "\n" for row in table)


def cogs_bytes(scan: Scan, camera_bytes=84, width=None) -> bytes:
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


def ply_bytes(scan: Scan, order="binary_little_endian", grid=COLUMNS_AND_ROWS) -> bytes:
    """Return an organised PLY file of float32 values; an empty pixel is NaN."""
    h, w = scan.intensity.shape
    table = table_of(scan)
    names = "".join(f"property float {name}\n" for name in PROPERTIES)
    camera = " ".join(repr(float(value)) for value in scan.camera)
    head = f"ply\nformat {order} 1.0\n{grid.format(w=w, h=h)}\ncomment camera {camera}\n"
    head += f"element vertex {w * h}\n{names}end_header\n"
    if order == "ascii":
        return (head + text_of(table)).encode()
    return head.encode() + table.astype("<f4" if "little" in order else ">f4").tobytes()


def range_grid_bytes(scan: Scan, order="binary_big_endian") -> bytes:
    """Return a Stanford range scan: only the valid points, and a list for every pixel."""
    h, w = scan.intensity.shape
    table, valid = table_of(scan)[scan.valid.ravel()], scan.valid.ravel()
    names = "".join(f"property float {name}\n" for name in PROPERTIES)
    camera = " ".join(repr(float(value)) for value in scan.camera)
    head = f"ply\nformat {order} 1.0\nobj_info num_cols {w}\nobj_info num_rows {h}\n"
    head += f"comment camera {camera}\nelement vertex {len(table)}\n{names}"
    head += f"element range_grid {w * h}\nproperty list uchar int vertex_indices\nend_header\n"
    places = iter(range(len(table)))
    if order == "ascii":
        lists = "".join(f"1 {next(places)}\n" if one else "0\n" for one in valid)
        return (head + text_of(table) + lists).encode()
    sign = "<" if "little" in order else ">"
    lists = [struct.pack(f"{sign}Bi", 1, next(places)) if one else b"\0" for one in valid]
    return head.encode() + table.astype(f"{sign}f4").tobytes() + b"".join(lists)


def lzf(data: bytes) -> bytes:
    """Pack bytes as LZF, by a search for the last place of every three bytes."""
    out, at, start, places = bytearray(), 0, 0, {}

    def literals(end: int) -> None:
        for begin in range(start, end, 32):
            part = data[begin : min(begin + 32, end)]
            out.append(len(part) - 1)
            out.extend(part)

    while at < len(data) - 2:
        last = places.get(data[at : at + 3], -1)
        places[data[at : at + 3]] = at
        if last < 0 or at - last > 8192:
            at += 1
            continue
        length = 3
        while length < 264 and at + length < len(data) and data[last + length] == data[at + length]:
            length += 1
        literals(at)
        back = at - last - 1
        if length < 9:
            out.extend([(length - 2) << 5 | back >> 8, back & 255])
        else:
            out.extend([7 << 5 | back >> 8, length - 9, back & 255])
        at += length
        start = at
    literals(len(data))
    return bytes(out)


def pcd_bytes(scan: Scan, data="binary", names=PROPERTIES) -> bytes:
    """Return an organised PCD file of float32 values; an empty pixel is NaN."""
    h, w = scan.intensity.shape
    table, n = table_of(scan), len(names)
    place = " ".join(repr(float(value)) for value in scan.camera)
    head = f"# .PCD v0.7\nVERSION 0.7\nFIELDS {' '.join(names)}\nSIZE{' 4' * n}\nTYPE{' F' * n}\n"
    head += f"COUNT{' 1' * n}\nWIDTH {w}\nHEIGHT {h}\nVIEWPOINT {place} 1 0 0 0\n"
    head += f"POINTS {w * h}\nDATA {data}\n"
    if data == "ascii":
        return (head + text_of(table)).encode()
    if data == "binary":
        return head.encode() + table.astype("<f4").tobytes()
    whole = table.T.astype("<f4").tobytes()
    packed = lzf(whole)
    return head.encode() + struct.pack("<II", len(packed), len(whole)) + packed


def npz_bytes(scan: Scan) -> bytes:
    file = io.BytesIO()
    names = ("positions", "normals", "intensity", "camera")
    np.savez(file, **{name: getattr(scan, name) for name in names})
    return file.getvalue()


def npy_bytes(scan: Scan) -> bytes:
    file = io.BytesIO()
    np.save(file, scan.positions)
    return file.getvalue()


def xyz_bytes(scan: Scan) -> bytes:
    """Return a text of the valid points with normals and intensity, and a heading."""
    head = f"# unit m\n# {' '.join(PROPERTIES)}\n"
    return (head + text_of(table_of(scan)[scan.valid.ravel()])).encode()


def depth_bytes(scan: Scan) -> bytes:
    """Return a depth picture of steps of a millimetre; ``depth_json`` is its camera."""
    return grey_bytes(np.where(scan.valid, np.rint(1000 * scan.positions[..., 2]), 0).astype("u2"))


def depth_json() -> str:
    return json.dumps({"metres_per_step": 0.001, "focal": [100, 100], "centre": [4, 3]})


ORGANISED = {
    "a.cogs": cogs_bytes,
    "long-camera.cogs": lambda scan: cogs_bytes(scan, 100),
    "ascii.ply": lambda s: ply_bytes(s, "ascii"),
    "comment.ply": lambda s: ply_bytes(s, "ascii", "comment width {w}\ncomment height: {h}"),
    "phoxi.ply": lambda s: ply_bytes(in_millimetres(s), "binary_little_endian", PHOXI_GRID),
    "little.ply": lambda s: ply_bytes(s, "binary_little_endian"),
    "big.ply": lambda s: ply_bytes(s, "binary_big_endian"),
    "range.ply": range_grid_bytes,
    "range-ascii.ply": lambda s: range_grid_bytes(s, "ascii"),
    "ascii.pcd": lambda s: pcd_bytes(s, "ascii"),
    "binary.pcd": pcd_bytes,
    "packed.pcd": lambda s: pcd_bytes(s, "binary_compressed"),
    "a.npz": npz_bytes,
}
"""Writers of organised files that hold points, normals, intensity and the camera's place."""
FILES = {**ORGANISED, "a.npy": npy_bytes, "a.xyz": xyz_bytes, "a.png": depth_bytes}
"""Writers of a file of every kind; a depth picture also needs ``depth_json`` beside it."""

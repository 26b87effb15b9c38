"""Targets of fuzzing that read scan files, and their first inputs; used by ``fuzz_targets.py``."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

CAMERA = {"metres_per_step": 0.001, "focal": [100, 100], "centre": [4, 3]}
PLY_XYZ = "property double x\nproperty double y\nproperty double z\n"
TEXTS = {
    "ply": (
        f"ply\nformat ascii 1.0\ncomment unit mm\nelement vertex 2\n{PLY_XYZ}"
        "element camera 1\nproperty float view_px\nproperty int viewportx\nproperty int viewporty\n"
        "end_header\n1 2 3\n4 5 nan\n7 1 2\n",
        f"ply\nformat ascii 1.0\nobj_info num_cols 2\nobj_info num_rows 2\nelement vertex 1\n"
        f"{PLY_XYZ}element range_grid 4\nproperty list uchar int vertex_indices\n"
        "end_header\n1 2 3\n1 0\n0\n0\n0\n",
        f"ply\nformat binary_big_endian 1.0\nelement face 1\nproperty list uchar int i\n"
        f"element vertex 1\n{PLY_XYZ}end_header\n" + "\1\0\0\0\0" + "@\0\0\0\0\0\0\0" * 3,
    ),
    "pcd": (
        "VERSION 0.7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F U\nCOUNT 1 1 1 1\nWIDTH 1\n"
        "HEIGHT 2\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 2\nDATA ascii\n1 2 3 4\n5 6 7 8\n",
        "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 1\nHEIGHT 1\nDATA binary_compressed\n"
        "\5\0\0\0\14\0\0\0\0?\xe0\2\0",
    ),
    "xyz": ("# unit mm\n//X,Y,Z,R,G,B\n1,2,3,4,5,6\n", "1 2 3\n4 5 6\n"),
    "npz": (),
    "npy": (),
    "png": (),
}
"""Inputs by format, beside what fedchain writes."""


def scan_targets() -> dict[str, Callable[[bytes], None]]:
    """Return a function for each scan format that reads bytes as a scan and as a cloud."""
    return {name: _reader(f".{name}") for name in (*TEXTS, "cogs")}


def _reader(ending: str) -> Callable[[bytes], None]:
    from fedchain.errors import DataError
    from fedchain.scans.formats import READERS
    from fedchain.scans.formats.contents import Contents
    from fedchain.scans.formats.file_points import cloud_of, in_metres, scan_of

    logging.disable(logging.WARNING)  # the question for the unit, thousands of times
    path = Path(tempfile.gettempdir()) / f"{os.getpid()}{ending}"
    path.with_suffix(".json").write_text(json.dumps(CAMERA))

    def read(data: bytes) -> None:
        file = Contents(path, data)
        points = in_metres(file, READERS[ending](file), None)
        for make in (scan_of, cloud_of):
            try:
                make(file, points)
            except DataError as error:
                if "\n" in str(error):
                    raise AssertionError("an error of more than one line") from error

    return read


def scan_seeds() -> dict[str, list[bytes]]:
    """Return the first inputs of each format: what fedchain writes, and what others write."""
    seeds = {name: [text.encode("latin-1") for text in texts] for name, texts in TEXTS.items()}
    with tempfile.TemporaryDirectory() as place:
        for path in _written(Path(place)):
            seeds[path.suffix[1:]].append(path.read_bytes())
    return {**seeds, "cogs": [_cogs()]}


def _written(folder: Path) -> Iterator[Path]:
    """Write a small scan and a small cloud in every format, and yield the paths."""
    import numpy as np

    from fedchain.scans.camera import Camera
    from fedchain.scans.features import normals_of
    from fedchain.scans.formats import WRITERS, write_cloud, write_scan
    from fedchain.scans.scan import Cloud, Scan

    lens = {"focal": CAMERA["focal"], "centre": CAMERA["centre"], "distortion": np.zeros(5)}
    view = Camera(basis=np.eye(3), position=np.zeros(3), **lens)
    positions = (0.5 * view.rays(3, 4)).astype(np.float32)
    scan = Scan(
        positions=positions,
        normals=normals_of(positions, np.zeros(3, np.float32)),
        intensity=np.ones((3, 4), np.float32),
        camera=np.zeros(3, np.float32),
        keep=np.eye(3, 4) > 0,
        view=view,
    )
    for ending in (end for end in WRITERS if end.count(".") == 1):
        write_scan(folder / f"scan{ending}", scan)
        yield folder / f"scan{ending}"
        if ending != ".png":
            write_cloud(folder / f"cloud{ending}", Cloud(points=positions[0]))
            yield folder / f"cloud{ending}"


def _cogs() -> bytes:
    """Return a COGS file of two points on 2 x 1 pixels."""
    import struct

    properties = {"positions": 3, "normals": 3, "intensities": 1}
    head = b"".join(
        struct.pack("<I", len(name)) + name.encode() + struct.pack("<III", 2, 4 * count, 0)
        for name, count in properties.items()
    )
    body = struct.pack("<14f", *range(1, 15)) + bytes(8) + struct.pack("<III", 2, 2, 1)
    body += struct.pack("<21f", 1, 0, 0, 0, 1, 0, 0, 0, 1, *[0.5] * 12)
    body += struct.pack("<4I", 0, 0, 1, 0)
    start = b"COGS FILE\0\x08\0\1" + struct.pack("<QIII", 33 + len(head) + len(body), 2, 3, 0)
    return start + head + body + bytes(9)

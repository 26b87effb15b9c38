"""Scan files: the simulator's scans as real ones, erased, and written as PLY or NPZ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from fedchain.scans.scan import Mask, MaskName, Scan
from fedchain.scans.simulator.scanner import Scanned
from fedchain.scans.tasks.simulated import CAMERA, cloud

PROPERTIES = ("x", "y", "z", "nx", "ny", "nz", "intensity")


def as_scan(scanned: Scanned, index: int, mask: MaskName) -> Scan:
    """Return the simulated scan at ``index`` as a ``Scan`` for the cleaning task ``mask``."""
    one = scanned[index : index + 1]
    positions, normals, valid, keep = cloud(one, mask)
    return Scan(
        positions=positions[0],
        normals=normals[0],
        intensity=np.where(valid, one.intensity, np.float32(np.nan))[0],
        camera=CAMERA,
        keep=keep[0],
    )


def erase(scan: Scan, kept: Mask) -> Scan:
    """Return the scan with only the points for which ``kept`` is true."""
    grids = {name: getattr(scan, name).copy() for name in ("positions", "normals", "intensity")}
    for grid in grids.values():
        grid[~kept] = np.nan
    return replace(scan, **grids)


def ply_bytes(
    scan: Scan,
    order: str = "binary_little_endian",
    grid: str = "obj_info num_cols {w}\nobj_info num_rows {h}",
) -> bytes:
    """Return the bytes of an organised PLY file of float32 values; an empty pixel is NaN."""
    h, w = scan.intensity.shape
    table = np.concatenate([scan.positions, scan.normals, scan.intensity[..., None]], axis=-1)
    names = "".join(f"property float {name}\n" for name in PROPERTIES)
    camera = " ".join(repr(float(value)) for value in scan.camera)
    head = f"ply\nformat {order} 1.0\n{grid.format(w=w, h=h)}\ncomment camera {camera}\n"
    head += f"element vertex {w * h}\n{names}end_header\n"
    if order == "ascii":
        rows = table.reshape(-1, len(PROPERTIES))
        return (head + "\n".join(" ".join(repr(float(v)) for v in row) for row in rows)).encode()
    return head.encode() + table.astype("<f4" if "little" in order else ">f4").tobytes()


def write_scan(path: Path, scan: Scan) -> None:
    """Write a scan as a PLY or an NPZ file, chosen by the ending of the file's name."""
    if path.suffix == ".ply":
        path.write_bytes(ply_bytes(scan))
    else:
        np.savez_compressed(path, **{k: v for k, v in vars(scan).items() if v is not None})

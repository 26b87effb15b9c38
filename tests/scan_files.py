"""Scans for tests: the simulator's scans as real ones, and scans with points erased."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fedchain.scans.scan import Mask, MaskName, Scan
from fedchain.scans.simulator.scanner import Scanned
from fedchain.scans.tasks.simulated import CAMERA, cloud


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

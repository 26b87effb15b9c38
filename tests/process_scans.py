"""Small folders of scans for tests of the whole way: a ball on a turntable, and its settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from training_scans import by_light
from turntable_scans import SIZE, camera_at, scan_of

from fedchain.scans.formats import write_scan
from fedchain.scans.scan import Scan
from fedchain.surfaces.process.processing import process_folder
from fedchain.surfaces.process.records import Processed, ProcessSettings

SETTINGS = ProcessSettings(
    model="light", refine=False, upsampling="midpoints", surface="marching", depth=5
)
"""Settings that need neither small_gicp nor Open3D."""
KEEPS_ALL, KEEPS_LIGHT = by_light(threshold=0.0), by_light()
"""Models that keep every point, and the light half of the points."""


def ball_scans(folder: Path, angles: tuple[int, ...] = (0, 90, 180, 270)) -> Path:
    """Write scans of a ball from one turntable, dark at the left; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for angle in angles:
        write_scan(folder / f"scan_{angle:03d}.npz", ball_scan(angle))
    return folder


def ball_scan(angle: int) -> Scan:
    """Return one scan of the ball."""
    scan = scan_of(camera_at(angle))
    light = np.where(np.arange(SIZE[1]) < SIZE[1] // 3, 0.2, 0.9)
    light = np.where(scan.valid, light, np.nan).astype(np.float32)
    return replace(scan, intensity=light)


def processed(folder: Path, out: Path, settings=SETTINGS, model=KEEPS_ALL, **rest) -> Processed:
    """Process a folder with a model."""
    return process_folder(folder, model, out, settings, **rest)


def bytes_in(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a folder, also of hidden ones."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }

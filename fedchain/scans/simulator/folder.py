"""Folders of simulated scans: pairs of a scan and the same scan cleaned, one folder a turntable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fedchain.errors import DataError, cannot
from fedchain.scans.formats import write_scan
from fedchain.scans.scan import Scan
from fedchain.scans.simulator.parts import Solid
from fedchain.scans.simulator.stations import station_of
from fedchain.scans.simulator.turntables import STEPS_OF_RING, simulate_turntable

WITH_CAMERA = (".npz", ".ply", ".pcd")
"""Endings of the formats that hold a scan with its camera."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """One pair of files that ``simulate_folder`` wrote."""

    dirty: Path
    """The scan as it was measured."""
    clean: Path
    """The scan without its outliers and surroundings."""
    family: str
    """The family of objects, or ``mesh``."""
    points: int
    """Number of points of the scan."""
    outliers: int
    """Number of points that the clean scan lacks."""


def simulate_folder(
    out: Path,
    *,
    seed: int = 0,
    turntables: int = 4,
    views: int = 2 * STEPS_OF_RING,
    size: tuple[int, int] = (192, 256),
    walled: bool = False,
    solid: Solid | None = None,
    ending: str = ".npz",
) -> Iterator[Written]:
    """Simulate turntables; write each scan and its cleaned version, with the stored camera.

    Turntable k is the folder ``turntable_KK``; its scan j is ``scan_JJJ`` there, and the same scan
    after cleaning ``clean_JJJ``. Each turntable has a scanner and materials of its own.

    Args:
        out: the folder to write; it must be missing or empty.
        seed: other seeds give other scans.
        turntables: number of turntables, 1 to 1000.
        views: number of scans of each turntable, 1 to 1000; two rings of eight places take turns.
        size: rows and columns of the images, 16 to 4096 each.
        walled: whether the objects lie in bins; the clean scans have no walls.
        solid: the object of every turntable, such as a mesh; None takes the families in turn.
        ending: ending of the files' names: .npz, .ply or .pcd.

    Yields:
        Each pair, after it was written.

    Raises:
        DataError: ``out`` holds something, or an argument is not allowed.
        RunError: a file cannot be written.
    """
    _check(turntables, views, size, ending)
    try:
        if out.exists() and next(out.iterdir(), None) is not None:
            raise DataError(f"{out}: is not empty; allowed: a folder that is new or empty")
        for number in range(turntables):
            folder = out / f"turntable_{number:02d}"
            folder.mkdir(parents=True, exist_ok=True)
            station = station_of(seed, number, *size, walled=walled)
            family = station.family if solid is None else "mesh"
            name = ("turntable", number, 0)
            taken = simulate_turntable(station, seed, name, views=views, solid=solid)
            for j, view in enumerate(taken):
                yield _write_pair(folder, j, ending, view.scan, family)
    except OSError as error:
        raise cannot(out, "be written", error) from error


def _write_pair(folder: Path, number: int, ending: str, scan: Scan, family: str) -> Written:
    dirty, clean = (folder / f"{name}_{number:03d}{ending}" for name in ("scan", "clean"))
    assert scan.keep is not None
    write_scan(dirty, replace(scan, keep=None))
    write_scan(clean, scan.only(scan.keep))
    points, kept = int(scan.valid.sum()), int(scan.keep.sum())
    return Written(dirty=dirty, clean=clean, family=family, points=points, outliers=points - kept)


def _check(turntables: int, views: int, size: tuple[int, int], ending: str) -> None:
    bounded = {"turntables": (turntables, 1, 1000), "views": (views, 1, 1000)}
    sides = {"rows": (size[0], 16, 4096), "columns": (size[1], 16, 4096)}
    for name, (value, least, most) in {**bounded, **sides}.items():
        if not least <= value <= most:
            raise DataError(f"simulated scans: {name} is {value}; allowed: {least} to {most}")
    if ending not in WITH_CAMERA:
        allowed = ", ".join(WITH_CAMERA)
        raise DataError(f"simulated scans: no format {ending!r} with a camera; allowed: {allowed}")

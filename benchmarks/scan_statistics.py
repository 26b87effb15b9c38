"""Statistics of simulated scans beside those of real scans that a person cleaned.

``python benchmarks/scan_statistics.py [--real ../shared/data/phoxi] [--stations 8] [--views 8]``

The table of docs/scans.md. The distance of a statistic is |log2(simulated / real)|, where real is
the mean of the real scans: 1 is a factor of two. Without the real scans, only the simulated ones
are printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from fedchain.scans.formats import read_scan
from fedchain.scans.scan import Scan
from fedchain.scans.simulator.scanner import simulate
from fedchain.scans.simulator.scenes import site_of
from fedchain.scans.simulator.stations import station_of
from fedchain.scans.simulator.statistics import (
    COMPARED_STATISTICS,
    distance_between,
    median_statistics,
    scan_statistics,
)
from fedchain.scans.simulator.turntables import simulate_turntable
from fedchain.scans.tasks.simulated import CAMERA, cloud

REAL = Path(__file__).parents[2] / "shared" / "data" / "phoxi"
PAIRS = ("004", "006")


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=REAL)
    for name, default in (("stations", 8), ("views", 8), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    real = real_scans(options.real)
    rows = {f"real {name}": scan_statistics(scan) for name, scan in real.items()}
    many = options.stations, options.views, options.seed
    simulated = {
        "first scanner, 64 x 64": median_statistics(first(*many, 64)),
        "first scanner, 256 x 256": median_statistics(first(*many, 256)),
        "turntables, 96 x 128": median_statistics(turntables(*many, (96, 128))),
        "turntables, 192 x 256": median_statistics(turntables(*many, (192, 256))),
    }
    names = list(next(iter(simulated.values())))
    mean = {
        name: float(np.mean([row[name] for row in rows.values()] or [np.nan])) for name in names
    }
    print(table(names, rows | {"real, mean": mean} | simulated))
    distances = {name: distance_between(own, mean) for name, own in simulated.items()}
    print("\n" + table(list(COMPARED_STATISTICS), distances))


def real_scans(folder: Path) -> dict[str, Scan]:
    """Return the real scans with the masks of the points that their cleaned versions keep."""
    if not folder.is_dir():
        return {}
    pairs = {n: [read_scan(folder / f"{k}_{n}.cogs") for k in ("gpu", "clean")] for n in PAIRS}
    return {name: replace(dirty, keep=clean.valid) for name, (dirty, clean) in pairs.items()}


def first(sites: int, scans: int, seed: int, size: int) -> list[Scan]:
    """Return scans of the first scanner, whose table is cropped away."""
    taken = []
    for number in range(sites):
        names = [("scan", number, i) for i in range(scans)]
        many = simulate(site_of(seed, number), seed, names, size, number)
        for k, fields in enumerate(zip(*cloud(many, "outliers"), strict=True)):
            positions, normals, valid, keep = fields
            light = np.where(valid, many.intensity[k], np.float32(np.nan))
            taken.append(
                Scan(
                    positions=positions, normals=normals, intensity=light, camera=CAMERA, keep=keep
                )
            )
    return taken


def turntables(stations: int, views: int, seed: int, size: tuple[int, int]) -> list[Scan]:
    """Return the scans of one turntable of each station."""
    return [
        view.scan
        for number in range(stations)
        for view in simulate_turntable(
            station_of(seed, number, *size), seed, ("turntable", number, 0), views=views
        )
    ]


def table(names: list[str], rows: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table in Markdown with one row for each set of scans."""
    lines = ["| scans | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for scans, row in rows.items():
        lines.append(f"| {scans} | " + " | ".join(f"{row[name]:.3g}" for name in names) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

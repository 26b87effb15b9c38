"""Surfaces of real scans of a turntable: distances to what a person cleaned, before and after.

Makes meshes of single scans and of all scans merged, unfiltered and after each filter, by Poisson
and by marching cubes, and prints two tables for docs/surfaces.md:

    python benchmarks/surfaces.py FOLDER [--pictures OUT]

FOLDER holds pairs gpu_X.cogs and clean_X.cogs; other scans of it and of its sub-folders belong to
the same turntable. Cleaned scans are the truth: they are never merged, and one without an original
is a view for the filters, as in ``scan filter``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from fedchain.scans.baselines.classical import classical
from fedchain.scans.formats import read_scan
from fedchain.scans.formats.meshes import Mesh
from fedchain.scans.scan import Mask, Scan, bounding_box
from fedchain.scans.training.filtering import filter_folder
from fedchain.scans.training.model_file import read_model
from fedchain.scans.training.recipe import Recipe
from fedchain.scans.training.shipped import shipped_model
from fedchain.scans.training.training import train_folder
from fedchain.scans.turntable import ScanView, Views, read_set
from fedchain.scans.turntable.refinement import refined_poses, refined_scan
from fedchain.surfaces.merging import cloud_of_scan, merged_scans
from fedchain.surfaces.mesh_pictures import draw_side_by_side
from fedchain.surfaces.neighbours import nearest_distances
from fedchain.surfaces.reconstruction import SurfaceMethod, reconstruct

METHODS: tuple[SurfaceMethod, ...] = ("poisson", "marching")
BEHIND_M, FAR_MM = 2e-3, 2.0
"""How far behind a measured point a camera still judges, in metres, and what counts as far off."""

Scans = Mapping[str, Scan]


def scans_in(folder: Path) -> dict[str, Scan]:
    """Return the scans of a folder by name, within the boxes of their points; no cleaned ones."""
    files = [p for p in sorted(folder.rglob("*")) if p.suffix in (".cogs", ".npy", ".ply")]
    found = read_set([p for p in files if p.suffixes[-2:] != [".keep", ".npy"]])
    own = {p.name.split(".")[0]: found.member(p).scan for p in found.cameras}
    return {n: cropped(scan) for n, scan in own.items() if not n.startswith("clean_")}


def cropped(scan: Scan) -> Scan:
    """Return a scan within the box of its points."""
    return scan.part(bounding_box(scan.valid))


def truths_in(folder: Path) -> dict[str, Scan]:
    """Return the cleaned scans by the name of their original."""
    files = sorted(folder.rglob("clean_*.cogs"))
    return {f"gpu_{path.stem.removeprefix('clean_')}": cropped(read_scan(path)) for path in files}


def by_distance(scans: Scans) -> dict[str, Scan]:
    """Return the scans without points farther than 1.5 mm from all others."""
    views, kept = {name: ScanView.of(scan) for name, scan in scans.items()}, {}
    for name, scan in scans.items():
        others = Views([view for other, view in views.items() if other != name])
        kept[name] = scan.only(classical(scan, others)["view_distance"].kept)
    return kept


def by_model(folder: Path, model: Path) -> dict[str, Scan]:
    """Return the scans as ``scan filter`` cleans them with a model."""
    with tempfile.TemporaryDirectory() as place:
        done = filter_folder(folder, read_model(model), "model", Path(place) / "out")
        assert not done.failed, done.failed
        return scans_in(Path(place) / "out")


def by_trained(folder: Path, pairs: list[str]) -> dict[str, Scan]:
    """Return the scans cleaned by models that have learned from one other scan.

    A scan of a pair is cleaned by the model of another pair, all others by that of the first one.
    """
    cleaned = {}
    for name in pairs:
        with tempfile.TemporaryDirectory() as place:
            model = Path(place) / "model.npz"
            train_folder(folder, model, Recipe.of({}), scans=name)
            cleaned[name] = by_model(folder, model)
    first, second = cleaned[pairs[0]], cleaned[pairs[1]]
    return {name: (second if name == pairs[0] else first)[name] for name in first}


def measured_here(mesh: Mesh, camera: Scan, measured: Scan | None) -> Mask:
    """Return which vertices of a mesh one camera judges, shape (vertices,).

    These are the vertices at whose pixel the camera measured a point, and that do not lie more than
    2 mm behind it: behind the point that was kept or, where it was erased, behind the erased one.

    Args:
        mesh: the mesh.
        camera: the cleaned scan.
        measured: the scan before it was cleaned, or None if not known.
    """
    assert camera.view is not None
    points = [measured.positions[measured.valid]] if measured is not None else []
    points.append(camera.positions[camera.valid])  # later ones replace those at the same pixel
    pixels, depth = camera.view.project(np.concatenate(points))
    column, row = np.rint(pixels).astype(int).T
    low = np.array([column.min(), row.min()])
    seen = np.full((row.max() - low[1] + 1, column.max() - low[0] + 1), -np.inf)
    seen[row - low[1], column - low[0]] = depth
    at, far = camera.view.project(mesh.vertices)
    at = np.rint(at) - low
    inside = (far > 0) & (at >= 0).all(axis=1) & (at < seen.shape[::-1]).all(axis=1)
    x, y = np.where(inside[:, None], at, 0).astype(int).T
    return np.asarray(inside & (far <= seen[y, x] + BEHIND_M))


def judged(mesh: Mesh, truths: Scans, measured: Scans) -> tuple[float, float, int]:
    """Return mean distance in mm to the truth where it sees, share above 2 mm, and vertices."""
    here = [measured_here(mesh, truth, measured.get(name)) for name, truth in truths.items()]
    seen = np.logical_or.reduce(here)
    union = np.concatenate([truth.positions[truth.valid] for truth in truths.values()])
    off = 1000 * nearest_distances(mesh.vertices[seen], union)
    return float(off.mean()), float((off > FAR_MM).mean()), int(seen.sum())


def rows_of_single(scans: Mapping[str, Scans], truths: Scans) -> Iterator[list[str]]:
    """Yield a row for each scan with a truth and each filter: distances of all vertices."""
    for name, truth in truths.items():
        if name not in scans["unfiltered"]:
            continue
        own = {filter_: cleaned[name] for filter_, cleaned in scans.items()}
        points = truth.positions[truth.valid]
        for filter_, scan in (*own.items(), ("cleaned by hand", truth)):
            row = [name, filter_]
            for method in METHODS:
                mesh = reconstruct(cloud_of_scan(scan), method=method)
                off = 1000 * nearest_distances(mesh.vertices, points)
                row.append(f"{off.mean():.2f} ({(off > FAR_MM).mean():.1%})")
            yield row


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--pictures", type=Path, metavar="OUT", help="folder for pictures")
    asked = parser.parse_args()
    truths, dirty = truths_in(asked.folder), scans_in(asked.folder)
    pairs = [name for name in truths if name in dirty]
    filters: dict[str, Scans] = {
        "unfiltered": dirty,
        "shipped weights": by_model(asked.folder, shipped_model()),
        "distance above 1.5 mm": by_distance(dirty),
        "trained on one other scan": by_trained(asked.folder, pairs),
    }
    show(["scan", "filter", *METHODS], rows_of_single(filters, truths))
    poses = refined_poses({**dirty, **{n: truths[n] for n in truths if n not in dirty}})
    for name, pose in poses.items():
        moved = f"moved {1000 * pose.moved_m:.2f} mm, {pose.turned_deg:.2f} degrees"
        print(f"{name}: {f'stays: {pose.refused}' if pose.refused else moved}")
    meshes: dict[str, Mesh] = {}
    heads = ["poses", "filter", "points", *METHODS, "vertices judged", "seconds"]
    show(heads, rows_of_merged(filters, truths, poses, meshes))
    if asked.pictures:
        asked.pictures.mkdir(parents=True, exist_ok=True)
        for towards in ((0.0, 0.6, 1.0), (1.0, 0.6, 0.0), (0.0, 0.6, -1.0)):
            names = "unfiltered", "distance above 1.5 mm"
            shown = [meshes[name] for name in names]
            view = np.array(towards), np.array([0.0, 1.0, 0.0]), (700, 900)
            picture = draw_side_by_side(shown, *view, around=shown[1])
            name = "_".join(f"{part:g}" for part in towards)
            Image.fromarray(picture).save(asked.pictures / f"merged_{name}.png")


def rows_of_merged(
    filters: Mapping[str, Scans], truths: Scans, poses: Mapping, meshes: dict[str, Mesh]
) -> Iterator[list[str]]:
    """Yield a row for stored and refined poses and each filter; keep the last Poisson meshes."""
    for frame in ("stored", "refined"):

        def placed(scans: Scans, frame: str = frame) -> dict[str, Scan]:
            if frame == "stored":
                return dict(scans)
            return {name: refined_scan(scan, poses[name]) for name, scan in scans.items()}

        own, before = placed(truths), placed(filters["unfiltered"])
        for filter_, scans in filters.items():
            cloud, row = merged_scans(placed(scans), refine=False).cloud, [frame, filter_]
            row.append(f"{len(cloud.points):,}")
            begun, counts = time.process_time(), []
            for method in METHODS:
                mesh = reconstruct(cloud, method=method)
                mean, far, count = judged(mesh, own, before)
                row.append(f"{mean:.2f} ({far:.1%})")
                counts.append(f"{count:,}")
                if method == "poisson":
                    meshes[filter_] = mesh
            yield [*row, " and ".join(counts), f"{time.process_time() - begun:.0f}"]


def show(heads: list[str], rows: Iterator[list[str]]) -> None:
    """Print a table in Markdown."""
    print("| " + " | ".join(heads) + " |")
    print("| " + " | ".join("---" for _ in heads) + " |")
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print()


if __name__ == "__main__":
    main()

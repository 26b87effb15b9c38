"""Makes the pictures and the table of the walk in docs/surfaces.md, from simulated scans.

    python benchmarks/surface_walk.py OUT

Does what the walk's commands do: simulates turntables, cleans their scans with the weights that
fedchain ships, and makes a surface of each turntable from the scans as they were measured, as they
were filtered, and as they should be. Prints the distances to the true points as JSON. OUT is a new
folder. Needs the extra ``surfaces``.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from fedchain.arrays import Matrix
from fedchain.scans.formats import read_scan
from fedchain.scans.formats.meshes import Mesh, read_mesh
from fedchain.scans.simulator.folder import simulate_folder
from fedchain.scans.training.filtering import filter_folder
from fedchain.scans.training.model_file import read_model
from fedchain.scans.training.shipped import shipped_model
from fedchain.surfaces.mesh_folder import MeshSettings, reconstruct_folder
from fedchain.surfaces.mesh_pictures import draw_side_by_side
from fedchain.surfaces.neighbours import nearest_distances
from fedchain.surfaces.reconstruction import SurfaceMethod

TURNTABLES, VIEWS, SIZE = 3, 16, (240, 320)
"""What is simulated."""
SHOWN, TOWARDS = "turntable_02", (0.6, 0.7, 1.0)
"""The turntable that the pictures show, and the direction to the viewer."""
PIXELS = 420, 560
"""Height and width of one picture."""
FAR_MM = 2.0
"""Distance that counts as far off, in millimetres."""
METHODS: tuple[SurfaceMethod, ...] = ("poisson", "marching")


def main() -> None:
    """Take the walk into the folder OUT."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    out = parser.parse_args().out
    list(simulate_folder(out / "scans", turntables=TURNTABLES, views=VIEWS, size=SIZE))
    filter_folder(out / "scans", read_model(shipped_model()), "shipped", out / "filtered")
    for path in (out / "scans").rglob("clean_*"):
        truth = out / "true" / path.relative_to(out / "scans")
        truth.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, truth)
    found = {}
    for method in METHODS:
        for kind in ("scans", "filtered", "true"):
            made = out / method / kind
            done = reconstruct_folder(out / kind, made, MeshSettings(method=method, refine=False))
            assert not done.failed, done.failed
            found[f"{method}, {kind}"] = means_of(made, out / "true")
        meshes = [mesh_of(out / method / kind) for kind in ("scans", "filtered", "true")]
        picture = draw_side_by_side(
            meshes, np.array(TOWARDS), np.array([0, 1, 0]), PIXELS, around=meshes[-1]
        )
        Image.fromarray(picture).save(out / f"surface_{method}.png")
    print(json.dumps(found))


def mesh_of(meshes: Path, table: str = SHOWN) -> Mesh:
    """Return the mesh of a turntable."""
    return read_mesh(meshes / table / "merged.ply")


def means_of(meshes: Path, truth: Path) -> Mapping[str, float]:
    """Return the distances of the vertices to the true points, over all turntables, in mm."""
    off = [1000 * nearest_distances(mesh_of(meshes, each.name).vertices, points_in(each))
           for each in sorted(truth.iterdir())]  # fmt: skip
    every = np.concatenate(off)
    return {"mean": float(every.mean()), "far": float((every > FAR_MM).mean())}


def points_in(folder: Path) -> Matrix:
    """Return the points of all scans of a folder."""
    scans = [read_scan(path) for path in sorted(folder.iterdir())]
    return np.concatenate([scan.positions[scan.valid] for scan in scans]).astype(np.float64)


if __name__ == "__main__":
    main()

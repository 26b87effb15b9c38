"""Meshes: triangles of a surface, in OBJ, STL, OFF and PLY files, by the package trimesh."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fedchain.arrays import Matrix, Wholes, read_only
from fedchain.errors import DataError, MissingExtra
from fedchain.files import write_whole
from fedchain.scans.formats.contents import Contents, contents

ENDINGS = (".obj", ".off", ".ply", ".stl")
LARGEST_MESH = 1 << 27
"""Size of the largest mesh file that is read, in bytes."""
MOST_TRIANGLES = 1 << 23
_WITHOUT = "meshes need trimesh; install it with: pip install 'fedchain[scans]'"


@dataclass(frozen=True, eq=False)
class Mesh:
    """A surface of triangles, in the unit of its file."""

    vertices: Matrix
    """Corners, float64, shape (n, 3), finite."""
    faces: Wholes
    """Indices of the three corners of each triangle, shape (m, 3)."""

    def __post_init__(self) -> None:
        for array in (self.vertices, self.faces):
            read_only(array)


def read_mesh(path: Path) -> Mesh:
    """Read a mesh; the ending of the file's name selects the format.

    A polygon is cut into triangles. Materials and textures are not read.

    Raises:
        MissingExtra: trimesh is not installed.
        DataError: the file is damaged or holds no triangle, or its name has another ending.
    """
    file = contents(_checked(path), LARGEST_MESH)
    found = _loaded(file)
    vertices = np.array(getattr(found, "vertices", np.empty((0, 3))), np.float64)
    faces = np.array(getattr(found, "faces", np.empty((0, 3))), np.int64)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise file.fail("is no mesh of triangles")
    if not 0 < len(faces) <= MOST_TRIANGLES:
        raise file.fail(f"has {len(faces)} triangles; allowed: 1 to {MOST_TRIANGLES}")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise file.fail(f"has a triangle with a corner beyond its {len(vertices)} vertices")
    if not np.isfinite(vertices[np.unique(faces)]).all():
        raise file.fail("has a corner that is not finite; allowed: finite numbers")
    return Mesh(np.nan_to_num(vertices, posinf=0, neginf=0), faces)


def write_mesh(path: Path, mesh: Mesh) -> None:
    """Write a mesh; the ending of the file's name selects the format.

    STL files hold float32 corners, once for each triangle, so equal corners are no longer shared.

    Raises:
        MissingExtra: trimesh is not installed.
        DataError: the file's name has another ending.
        RunError: the file cannot be written.
    """
    ending = _checked(path).suffix.lower().removeprefix(".")
    trimesh = _trimesh()
    made = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    write_whole(path, made.export(file_type=ending))


def _checked(path: Path) -> Path:
    if path.suffix.lower() not in ENDINGS:
        allowed = ", ".join(ENDINGS)
        raise DataError(f"{path}: no mesh format ends in {path.suffix!r}; allowed: {allowed}")
    return path


def _trimesh() -> Any:
    try:
        import trimesh
    except ImportError as error:
        raise MissingExtra(_WITHOUT) from error
    # It would print a traceback for a damaged file whose error is reported anyway.
    logging.getLogger("trimesh").addHandler(logging.NullHandler())
    return trimesh


def _loaded(file: Contents) -> Any:
    """Return trimesh's mesh of a file."""
    trimesh = _trimesh()
    ending = file.path.suffix.lower().removeprefix(".")
    # Without a resolver, trimesh opens no other file that this one names.
    try:
        return trimesh.load_mesh(
            io.BytesIO(file.data), file_type=ending, process=False, skip_materials=True
        )
    except ImportError as error:  # trimesh guesses other encodings with another package
        raise file.fail("is a damaged mesh, or text that is not UTF-8") from error
    except Exception as error:  # damaged bytes raise whatever trimesh's parsers meet
        raise file.fail(f"is a damaged mesh: {str(error)[:200]}") from error

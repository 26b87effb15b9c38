"""Notes: comment lines that say the unit and the camera, in the headers of PLY, PCD and XYZ.

- ``unit m`` or ``unit mm``;
- ``camera X Y Z``: the position of the camera in that unit;
- ``view`` and 21 numbers: the whole ``Camera``, that is the rows of its basis, position, fx, fy,
  cx, cy, k1, k2, k3, p1, p2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from fedchain.arrays import Array
from fedchain.scans.camera import Camera
from fedchain.scans.formats.contents import Contents
from fedchain.scans.formats.file_points import FARTHEST_M, FilePoints, LengthUnit

CAMERA_NUMBERS = 21
"""Numbers of a ``Camera``: 9 of the basis, 3 of the position, 4 and 5 of the lens."""
BASIS_ERROR = 1e-3
"""Largest error of a product of two rows of a basis that counts as orthonormal."""
_UNIT = re.compile(r"units?[\s:=]+(?:(mm|millimet(?:er|re)s?)|m|met(?:er|re)s?)", re.IGNORECASE)


def notes_of(points: FilePoints) -> list[str]:
    """Return the notes of points in metres."""
    notes = ["unit m"]
    if points.camera is not None:
        notes.append(f"camera {_words(points.camera)}")
    if points.view is not None:
        notes.append(f"view {_words(numbers_of(points.view))}")
    return notes


def noted(file: Contents, points: FilePoints, notes: Iterable[str]) -> FilePoints:
    """Return the points with what the notes of their file say; other comments are skipped.

    Raises:
        DataError: a note about the camera holds no camera.
    """
    unit: LengthUnit | None = points.unit
    camera, view = points.camera, points.view
    for note in notes:
        if (found := _UNIT.fullmatch(note.strip())) is not None:
            unit = "mm" if found[1] else "m"
        word, _, rest = note.strip().partition(" ")
        values = rest.split(maxsplit=CAMERA_NUMBERS)
        if word == "camera" and len(values) == 3:
            camera = _numbers(file, values)
        elif word == "view" and len(values) == CAMERA_NUMBERS:
            view = view_of(_numbers(file, values))
            if view is None:
                raise file.fail(f"has the view {' '.join(values)[:80]} ..; allowed: a camera")
            camera = view.position if camera is None else camera
    return replace(points, unit=unit, camera=camera, view=view)


def numbers_of(view: Camera) -> Array:
    """Return the 21 numbers of a camera."""
    parts = (view.basis, view.position, view.focal, view.centre, view.distortion)
    return np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)


@np.errstate(all="ignore")  # damaged numbers give no camera
def view_of(numbers: Array) -> Camera | None:
    """Return the camera of 21 numbers, or None if no camera has such numbers.

    The basis must be orthonormal and right-handed, the focal lengths above 0, and no number beyond
    ``FARTHEST_M``.
    """
    if numbers.shape != (CAMERA_NUMBERS,) or not (np.abs(numbers) <= FARTHEST_M).all():
        return None
    basis = numbers[:9].astype(np.float64).reshape(3, 3)
    error = np.abs(basis @ basis.T - np.eye(3)).max()
    if error > BASIS_ERROR or np.linalg.det(basis) < 0 or not (numbers[12:14] > 0).all():
        return None
    return camera_from(numbers)


def camera_from(numbers: Array) -> Camera:
    """Return the camera of the 21 numbers that ``numbers_of`` gave."""
    return Camera(
        basis=numbers[:9].reshape(3, 3),
        position=numbers[9:12],
        focal=numbers[12:14],
        centre=numbers[14:16],
        distortion=numbers[16:],
    )


def _words(numbers: Array) -> str:
    return " ".join(repr(float(number)) for number in numbers)


def _numbers(file: Contents, words: list[str]) -> Array:
    try:
        return np.array([float(word) for word in words])
    except ValueError as error:
        raise file.fail(f"has a camera with something else than numbers: {error}") from error

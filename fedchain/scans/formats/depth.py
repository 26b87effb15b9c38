"""Depth pictures: NAME.png with 16 bits a pixel, and the camera in NAME.json beside it.

A pixel holds the depth along the optical axis, in steps; 0 is an empty pixel. The JSON object has
these keys:

- ``metres_per_step``: metres of one step, such as 0.001;
- ``focal``: [fx, fy] in pixels; ``centre``: [cx, cy] in pixels, from the centre of the first one;
- ``distortion``: [k1, k2, k3, p1, p2] of OpenCV's model; zeros if it lacks;
- ``basis``: three rows, right, down and forward of the camera; the unit vectors if it lacks;
- ``position``: [x, y, z] of the camera in metres; zeros if it lacks.

Other keys are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fedchain.arrays import Array
from fedchain.errors import DataError
from fedchain.files import write_whole
from fedchain.scans.camera import Camera
from fedchain.scans.formats.contents import Contents, contents
from fedchain.scans.formats.file_points import FARTHEST_M, FilePoints
from fedchain.scans.formats.notes import view_of
from fedchain.scans.formats.png import grey_bytes, read_grey
from fedchain.scans.scan import Mask, bounding_box

LONGEST_JSON = 1 << 16
STEPS_M = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1)
"""Steps of written pictures; the smallest one that reaches the farthest point is taken."""
_MOST_STEPS = 2**16 - 1
FARTHEST_STEP_M = 100.0
OFF_THE_RAY_PX = 0.5
"""Largest distance of a point from its pixel's centre, in pixels."""
_ROWS = 128
"""Rows whose rays are computed at a time."""
DEFAULTS: Mapping[str, Array] = {
    "basis": np.eye(3),
    "position": np.zeros(3),
    "distortion": np.zeros(5),
}


def read_depth(file: Contents) -> FilePoints:
    """Read a depth picture, and the camera beside it.

    Raises:
        DataError: a file is missing, is damaged, or is no picture of 16 bits or no camera.
    """
    depths = read_grey(file, 16)
    step, view = _camera(contents(file.path.with_suffix(".json"), LONGEST_JSON))
    height, width = depths.shape
    points = np.full((height, width, 3), np.nan, np.float32)
    rows, columns = bounding_box(depths > 0)
    with np.errstate(all="ignore"):  # of a lens that is no lens
        for top in range(rows.start, rows.stop, _ROWS):
            box = slice(top, min(top + _ROWS, rows.stop)), columns
            far = np.where(depths[box] > 0, step * depths[box].astype(np.float64), np.nan)
            rays = view.cropped(top, columns.start).rays(*far.shape)
            points[box] = view.position + far[..., None] * rays
        _check_rays(file, view, points, depths > 0)
    return FilePoints(
        points=points.reshape(-1, 3),
        grid=(height, width),
        camera=view.position,
        view=view,
        unit="m",
    )


def _check_rays(file: Contents, view: Camera, points: Array, valid: Mask) -> None:
    """Check that the camera sees the points in their pixels, as it does unless its lens is none."""
    wrong = int(_off_the_ray(view, points, valid)[0].sum())
    if wrong:
        raise file.fail(f"has {wrong} pixels that its lens cannot see; allowed: another distortion")


def _off_the_ray(view: Camera, points: Array, valid: Mask) -> tuple[Mask, Array]:
    """Return which valid points lie off the rays of their pixels, and the depth of each."""
    rows, columns = np.nonzero(valid)
    pixels, depth = view.project(points[valid])
    off = np.abs(pixels - np.stack([columns, rows], axis=-1)).max(axis=-1)
    return np.asarray(~(off <= OFF_THE_RAY_PX) | ~(depth > 0)), depth


def _camera(file: Contents) -> tuple[float, Camera]:
    """Return the metres of a step, and the camera."""
    try:
        values = json.loads(file.data)
    except (ValueError, RecursionError) as error:
        raise file.fail(f"is no JSON: {str(error)[:200]}") from error
    if not isinstance(values, dict):
        raise file.fail("is no JSON object; allowed: the camera of a depth picture")
    shapes = {"basis": (3, 3), "position": (3,), "focal": (2,), "centre": (2,), "distortion": (5,)}
    parts = [_numbers(file, values, name, shape).ravel() for name, shape in shapes.items()]
    view = view_of(np.concatenate(parts))
    if view is None:
        raise file.fail(
            "has no camera; allowed: an orthonormal, right-handed basis, focal lengths above 0, "
            f"and no number beyond {FARTHEST_M:g}"
        )
    step = float(_numbers(file, values, "metres_per_step", ()))
    if not 0 < step <= FARTHEST_STEP_M:
        raise file.fail(f"has {step} metres_per_step; allowed: above 0, at most {FARTHEST_STEP_M}")
    return step, view


def _numbers(
    file: Contents, values: Mapping[str, object], name: str, shape: tuple[int, ...]
) -> Array:
    if name not in values and name in DEFAULTS:
        return DEFAULTS[name]
    try:
        array = np.array(values.get(name), np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise file.fail(f"has a wrong {name}: {str(error)[:200]}") from error
    if array.shape != shape or not np.isfinite(array).all():
        said = str(values.get(name))[:80]
        raise file.fail(f"has {name} {said}; allowed: finite numbers of shape {shape}")
    return array


def write_depth(path: Path, points: FilePoints) -> tuple[str, ...]:
    """Write a depth picture and its camera; return in words what was rounded.

    Raises:
        DataError: the points have no grid or no camera, or do not lie where the camera sees their
            pixels.
    """
    if points.grid is None or points.view is None:
        lacking = "grid" if points.grid is None else "camera with its lens"
        raise DataError(f"{path}: a depth picture needs a {lacking}, which the points lack")
    height, width = points.grid
    valid = points.valid.reshape(height, width)
    depth = np.zeros((height, width))
    off, far = _off_the_ray(points.view, points.points.reshape(height, width, 3), valid)
    if wrong := int(off.sum()):
        raise DataError(
            f"{path}: {wrong} points do not lie where the camera sees their pixels; allowed: "
            f"{OFF_THE_RAY_PX} pixels off, or a format that holds points, such as .ply"
        )
    depth[valid] = far
    farthest = float(far.max(initial=0.0))
    step = next((each for each in STEPS_M if farthest <= _MOST_STEPS * each), None)
    if step is None:
        raise DataError(
            f"{path}: a point is {farthest} m away; allowed: {_MOST_STEPS * STEPS_M[-1]}"
        )
    steps = np.where(valid, np.maximum(np.rint(depth / step), 1), 0).astype(np.uint16)
    lens = {name: value.tolist() for name, value in vars(points.view).items()}
    text = json.dumps({"metres_per_step": step, **lens}, indent=2)
    write_whole(path.with_suffix(".json"), text + "\n")
    write_whole(path, grey_bytes(steps))
    return (f"depth finer than {step:g} m",)

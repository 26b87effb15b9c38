"""Pictures of stages: points and surfaces as the camera of a scan sees them, at one size."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from fedchain.arrays import Array, Flags, Matrix, Vector
from fedchain.errors import DataError
from fedchain.scans.camera import Camera
from fedchain.scans.formats.meshes import Mesh
from fedchain.scans.pictures import KEPT, MISSED, Picture
from fedchain.scans.scan import Cloud, Floats
from fedchain.surfaces.mesh_pictures import shade_from
from fedchain.surfaces.trimming import spacing_of

SIZE = 240, 320
"""Height and width of a picture, in pixels."""
EMPTY_BORDER = 0.04
"""Empty border around the points, as a part of each side."""
SHOWN_SHARE = 0.998
"""Share of the points, along each side, that a picture has room for: the farthest ghosts would make
everything else small."""
LARGEST_DOT = 9
"""Largest side of the square that stands for a point, in pixels."""
DARKEST_POINT = 0.55
"""Brightness of the darkest point."""
NEUTRAL = (170, 170, 170)
"""Grey: a point before any stage."""
PNG_COLOURS = 128
"""Most colours of a picture."""


@dataclass(frozen=True, eq=False)
class PanelView:
    """A camera whose pixels are those of a picture, and the picture's size."""

    camera: Camera
    """The camera."""
    size: tuple[int, int]
    """Height and width of the picture in pixels."""


def panel_view(points: Floats, camera: Camera) -> PanelView:
    """Return the view of a camera in which some points fill the picture.

    Args:
        points: the points, shape (n, 3), finite.
        camera: the camera, with any number of pixels.

    Raises:
        DataError: the camera has no point in front of it.
    """
    pixels, depth = camera.project(points)
    seen = pixels[(depth > 0) & np.isfinite(pixels).all(axis=1)]
    if not len(seen):
        raise DataError("picture: the camera has no point in front of it; allowed: at least one")
    ordered, outside = np.sort(seen, axis=0), int((1 - SHOWN_SHARE) / 2 * len(seen))
    low, high = ordered[outside], ordered[-1 - outside]
    sides = np.array([SIZE[1], SIZE[0]])
    scale = float(((1 - 2 * EMPTY_BORDER) * sides / np.maximum(high - low, 1e-9)).min())
    corner = (low + high - sides / scale) / 2
    return PanelView(
        replace(camera, focal=camera.focal * scale, centre=(camera.centre - corner) * scale - 0.5),
        SIZE,
    )


def camera_towards(points: Floats, position: Floats | None) -> Camera:
    """Return a camera that looks at the middle of some points.

    Args:
        points: the points, shape (n, 3), finite, at least one.
        position: place of the camera, shape (3,); None, or a place among the points, for one from
            which their broad side is seen.
    """
    points = np.asarray(points, np.float64)
    middle = np.median(points, axis=0)
    reach = max(float(np.quantile(np.linalg.norm(points - middle, axis=1), 0.98)), 1e-9)
    away = None if position is None else np.asarray(position, np.float64) - middle
    if away is None or not np.linalg.norm(away) > reach:
        away = 5 * reach * _broad_side(points - middle)
    forward = -away / np.linalg.norm(away)
    up = np.array([0.0, 1, 0]) if abs(forward[1]) < 0.95 else np.array([0.0, 0, -1])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    return Camera(
        basis=np.stack([right, np.cross(forward, right), forward]),
        position=middle + away,
        focal=np.ones(2),
        centre=np.zeros(2),
        distortion=np.zeros(5),
    )


def _broad_side(offsets: Matrix) -> Vector:
    """Return the direction in which points vary least, on the side of its largest coordinate."""
    direction = np.linalg.eigh(offsets.T @ offsets)[1][:, 0]
    return np.asarray(direction * np.sign(direction[np.abs(direction).argmax()]))


def point_brightness(cloud: Cloud, view: PanelView) -> Vector:
    """Return how bright each point of a cloud is drawn, shape (n,), ``DARKEST_POINT`` to 1.

    It is the root of the intensity, between the quantiles .01 and .99 of the cloud; the nearness to
    the camera if the intensity is not known or the same everywhere.
    """
    light = np.zeros(0) if cloud.intensity is None else np.sqrt(np.maximum(cloud.intensity, 0))
    if not len(light) or not np.ptp(light) > 0:
        light = -view.camera.project(cloud.points)[1]
    low, high = np.quantile(light, 0.01), np.quantile(light, 0.99)
    scaled = np.clip((light - low) / max(high - low, 1e-12), 0, 1)
    return np.asarray(DARKEST_POINT + (1 - DARKEST_POINT) * scaled, np.float64)


def draw_original(cloud: Cloud, view: PanelView) -> Picture:
    """Return a picture of a cloud in grey, shape (height, width, 4), transparent without points."""
    return draw_dots(cloud.points, point_brightness(cloud, view)[:, None] * NEUTRAL, view)


def draw_kept(cloud: Cloud, keep: Flags, view: PanelView) -> Picture:
    """Return a picture as ``draw_original``: kept points are blue, erased ones vermilion.

    ``keep`` has shape (n,).
    """
    colours = np.where(keep[:, None], KEPT, MISSED)
    return draw_dots(cloud.points, point_brightness(cloud, view)[:, None] * colours, view)


def draw_denser(cloud: Cloud, view: PanelView) -> Picture:
    """Return a picture as ``draw_original``, in blue."""
    return draw_dots(cloud.points, point_brightness(cloud, view)[:, None] * np.array(KEPT), view)


def draw_surface(mesh: Mesh, view: PanelView) -> Picture:
    """Return a picture of a mesh, shape (height, width, 4), transparent where nothing is."""
    shown = shade_from(mesh, view.camera, view.size)
    opaque = np.where((shown == 255).all(axis=-1), 0, 255).astype(np.uint8)
    return np.concatenate([shown, opaque[..., None]], axis=-1)


def draw_dots(points: Floats, colours: Array, view: PanelView) -> Picture:
    """Return a picture of points as squares, shape (height, width, 4); near ones hide far ones.

    The side of a square is the spacing of the points at their median distance.

    Args:
        points: the points in metres, shape (n, 3), finite.
        colours: red, green and blue of each point, shape (n, 3), 0 to 255.
        view: the camera and the size of the picture.
    """
    height, width = view.size
    pixels, depth = view.camera.project(points)
    seen = (depth > 0) & (np.abs(pixels).max(axis=1) < 4 * max(SIZE))
    picture = np.zeros((height * width, 4), np.uint8)
    if not seen.any():
        return picture.reshape(height, width, 4)
    focal = float(view.camera.focal.mean())
    dot = round(spacing_of(points) * focal / float(np.median(depth[seen])) + 0.5)
    dot = min(max(dot, 1), LARGEST_DOT)
    order = np.flatnonzero(seen)[np.argsort(-depth[seen], kind="stable")]
    corner = np.floor(pixels[order] + 0.5 - (dot - 1) / 2).astype(np.int64)
    down, across = (side.ravel() for side in np.mgrid[:dot, :dot])
    x, y = corner[:, 0, None] + across, corner[:, 1, None] + down
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    drawn = np.concatenate([np.round(colours[order]), np.full((len(order), 1), 255)], axis=1)
    # Of several values for one pixel the last remains, and the points come from far to near.
    picture[(y * width + x)[inside]] = drawn.astype(np.uint8)[np.nonzero(inside)[0]]
    return picture.reshape(height, width, 4)


def png_bytes(picture: Picture) -> bytes:
    """Return a picture of ``PNG_COLOURS`` colours as a PNG file."""
    file = io.BytesIO()
    few = Image.fromarray(picture).quantize(PNG_COLOURS, method=Image.Quantize.FASTOCTREE)
    few.save(file, "PNG", optimize=True)
    return file.getvalue()

"""The picture set: the five channels of a scan as grey PNG pictures of 8 bits.

A set NAME has the files NAME.intensity.png, NAME.depth.png, NAME.nx.png, NAME.ny.png and
NAME.nz.png, cropped to the bounding box of the points, and NAME.keep.png if it is known which
points remain (255) and which do not (0). The pictures show the channels of ``features_of``, each
from 0 to 1 as 0 to 255: a network's input, from which no point can be computed. A pixel that is 0
in all five is empty.

Reference:
    Gajdošech, "Processing of 3D Scans using Machine Learning", 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedchain.arrays import Array, read_only
from fedchain.errors import DataError, cannot
from fedchain.files import write_whole
from fedchain.scans.features import CHANNELS, features_of, lengths_of
from fedchain.scans.formats.contents import contents
from fedchain.scans.formats.png import grey_bytes, read_grey
from fedchain.scans.scan import Floats, Mask, Scan, bounding_box

SET_ENDING = ".intensity.png"
"""Ending of the file that stands for a set where one path is wanted."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PictureSet:
    """The channels of one scan, as a network sees them."""

    image: Floats
    """Channels in the order of ``CHANNELS``, multiples of 1/255 from 0 to 1, float32, shape (5,
    height, width)."""
    keep: Mask | None = None
    """Pixels that remain after cleaning, shape (height, width), or None if not known."""

    def __post_init__(self) -> None:
        read_only(self.image)

    @property
    def valid(self) -> Mask:
        """Pixels that hold a point, shape (height, width)."""
        return np.asarray((self.image > 0).any(axis=0))


def picture_set_of(scan: Scan) -> PictureSet:
    """Return the channels of a scan, cropped to the bounding box of its points."""
    part = scan.part(bounding_box(scan.valid))
    distance = lengths_of(part.positions - part.camera)
    image = features_of(part.intensity[None], distance[None], part.normals[None], part.valid[None])
    return PictureSet(image=image[0], keep=part.keep)


def read_picture_set(path: Path) -> PictureSet:
    """Read a picture set.

    Args:
        path: path of NAME.intensity.png.

    Raises:
        DataError: a picture is missing, is damaged, or has another size than the first.
    """
    grids: list[Array] = []
    for name in CHANNELS:
        file = contents(_beside(path, name))
        grid = read_grey(file, 8)
        if grids and grid.shape != grids[0].shape:
            raise file.fail(f"has {grid.shape} pixels; allowed: {grids[0].shape}, as {path.name}")
        grids.append(grid)
    image = (np.stack(grids).astype(np.float64) / 255).astype(np.float32)
    if not image.any():
        raise DataError(f"{path}: holds no point; allowed: a set with at least one valid pixel")
    mask = _beside(path, "keep")
    if not mask.exists():
        return PictureSet(image=image)
    file = contents(mask)
    keep = read_grey(file, 8)
    if keep.shape != image.shape[1:]:
        raise file.fail(f"has {keep.shape} pixels; allowed: {image.shape[1:]}, as {path.name}")
    return PictureSet(image=image, keep=keep >= 128)


def write_picture_set(path: Path, scan: Scan) -> None:
    """Write the channels of a scan as a picture set, and its mask if it has one.

    The files of an older set of this name are replaced. Its mask is removed if the scan has none,
    since it would belong to other points.

    Args:
        path: path of NAME.intensity.png; the other files are written beside it.
        scan: the scan.

    Raises:
        RunError: a file cannot be written or removed.
    """
    made = picture_set_of(scan)
    pictures = dict(zip(CHANNELS, np.rint(255 * made.image).astype(np.uint8), strict=True))
    if made.keep is not None:
        pictures["keep"] = np.where(made.keep & made.valid, 255, 0).astype(np.uint8)
    for name, pixels in pictures.items():
        write_whole(_beside(path, name), grey_bytes(pixels))
    if made.keep is None:
        mask = _beside(path, "keep")
        try:
            mask.unlink(missing_ok=True)
        except OSError as error:
            raise cannot(mask, "be removed", error) from error


def _beside(path: Path, channel: str) -> Path:
    name = path.name
    if not name.lower().endswith(SET_ENDING):
        raise DataError(f"{path}: is no picture set; allowed: a path that ends in {SET_ENDING}")
    return path.with_name(f"{name[: -len(SET_ENDING)]}.{channel}.png")

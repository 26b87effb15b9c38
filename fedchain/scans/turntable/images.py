"""Channels of a scan for a model, by the name of their kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from fedchain.scans import features
from fedchain.scans.channels import LOCAL, local_channels
from fedchain.scans.features import features_of, lengths_of
from fedchain.scans.scan import Floats, Scan
from fedchain.scans.turntable.views import VIEWS, Views

ChannelKind = Literal["picture", "local", "views", "all"]
"""Channels that a model gets: ``picture``, the five of 8 bits, scaled by each picture; ``local``,
float channels of the scan alone; ``views``, the comparison with other views; ``all``, both."""
CHANNEL_NAMES: Mapping[ChannelKind, tuple[str, ...]] = {
    "picture": features.CHANNELS,
    "local": LOCAL,
    "views": (LOCAL[0], *VIEWS),
    "all": (*LOCAL, *VIEWS),
}
"""Names of the channels of each kind, in the order of the image."""


def channel_image(scan: Scan, kind: ChannelKind, views: Views) -> Floats:
    """Return the channels of a scan, shape (channels, height, width), float32; 0 without a point.

    Args:
        scan: the scan; windows stop at the edge of its grid.
        kind: the kind of channels.
        views: the other views, in the coordinates of the scan; ``views`` and ``all`` compare the
            points with them.
    """
    valid = scan.valid
    if kind == "picture":
        distance = lengths_of(scan.positions - scan.camera)[None]
        image = features_of(scan.intensity[None], distance, scan.normals[None], valid[None])
        return np.asarray(image[0])
    grids = (scan.positions[None], scan.intensity[None], scan.camera)
    return np.asarray(grid_channels(*grids, kind, views)[0])


def grid_channels(
    positions: Floats,
    intensity: Floats,
    camera: Floats,
    kind: Literal["local", "views", "all"],
    views: Views,
) -> Floats:
    """Return the channels of grids of points, shape (grids, channels, height, width), float32.

    A grid's channels depend on nothing outside of the grid but the camera and the views.

    Args:
        positions: points in metres, shape (grids, height, width, 3); NaN where a pixel is empty.
        intensity: brightness, shape (grids, height, width).
        camera: position of the camera in metres, shape (3,).
        kind: the kind of channels.
        views: the other views, in the coordinates of the points.
    """
    if kind == "local":
        return local_channels(positions, intensity, camera)
    valid = np.isfinite(positions).all(axis=-1)
    compared = np.zeros((1 + len(VIEWS), *valid.shape), np.float32)
    compared[0] = valid
    compared[1:, valid] = views.channels(positions[valid])
    image = compared.swapaxes(0, 1)
    if kind == "views":
        return image
    return np.concatenate([local_channels(positions, intensity, camera), image[:, 1:]], axis=1)

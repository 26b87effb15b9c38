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

ChannelKind = Literal["picture", "local", "views"]
"""Channels that a model gets: ``picture``, the five of 8 bits, scaled by each picture; ``local``,
float channels of the scan alone; ``views``, these and the comparison with the other views."""
CHANNELS: Mapping[ChannelKind, tuple[str, ...]] = {
    "picture": features.CHANNELS,
    "local": LOCAL,
    "views": (*LOCAL, *VIEWS),
}
"""Names of the channels of each kind, in the order of the image."""


def channel_image(scan: Scan, kind: ChannelKind, views: Views) -> Floats:
    """Return the channels of a scan, shape (channels, height, width), float32; 0 without a point.

    Args:
        scan: the scan; windows stop at the edge of its grid.
        kind: the kind of channels.
        views: the other views, in the coordinates of the scan; only ``views`` compares with them.
    """
    valid = scan.valid
    if kind == "picture":
        distance = lengths_of(scan.positions - scan.camera)[None]
        image = features_of(scan.intensity[None], distance, scan.normals[None], valid[None])
        return np.asarray(image[0])
    image = np.asarray(local_channels(scan.positions[None], scan.intensity[None], scan.camera)[0])
    if kind == "local":
        return image
    compared = np.zeros((len(VIEWS), *valid.shape), np.float32)
    compared[:, valid] = views.channels(scan.positions[valid])
    return np.concatenate([image, compared])

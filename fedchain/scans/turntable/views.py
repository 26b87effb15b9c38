"""Views of one turntable, and the channels that compare the points of a scan with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fedchain.arrays import Array
from fedchain.elementary import log2
from fedchain.scans.camera import Camera
from fedchain.scans.scan import Floats, Scan

VIEWS = ("nearest", "eighth", "supporting", "conflicting", "hiding", "unseen")
"""Names of the channels that compare a point with other views, in the order of the image."""
NEAREST_POINTS = 8
"""Number of points of other views whose distance is looked up."""
NEAREST_M, FARTHEST_M = 2.0**-13, 2.0**-5
"""Distances between points that are told apart, in metres: from .12 to 31 mm. The logarithm of a
distance is -1 at the least and 1 at the largest."""
SAME_SURFACE_M = 1.5e-3
"""Distance along a ray within which two surfaces count as the same, in metres."""
POINTS_AT_ONCE = 1 << 14
"""Number of points that are compared at once: their arrays fit into the cache of a processor."""


@dataclass(frozen=True, eq=False)
class ScanView:
    """What one scan says to the others: its points, and how far its camera saw."""

    camera: Camera
    points: Array
    """Points in metres, shape (points, 3), float32."""
    depth: Floats
    """Depth along the optical axis at each pixel in metres, shape (height, width), float32; NaN
    where the pixel is empty."""

    @classmethod
    def of(cls, scan: Scan) -> ScanView:
        """Return the view of a scan that knows its camera.

        Raises:
            ValueError: the scan has no camera.
        """
        if scan.view is None:
            raise ValueError("view: the scan has no camera; allowed: a scan with Scan.view")
        valid = scan.valid
        points = scan.positions[valid]
        depth = np.full(valid.shape, np.nan, np.float32)
        depth[valid] = scan.view.project(points)[1]
        return cls(scan.view, points, depth)


@dataclass(frozen=True, eq=False)
class Views:
    """Views of one turntable, ready for comparing points with them."""

    views: Sequence[ScanView]

    @cached_property
    def _all(self) -> Array:
        whole = np.concatenate([view.points for view in self.views])
        return whole.astype(np.float64)

    @cached_property
    def _tree(self):  # type: ignore[no-untyped-def]
        from scipy.spatial import cKDTree

        # Without the compact boxes and medians, the tree is built in half the time, and a query
        # takes as long.
        return cKDTree(self._all, balanced_tree=False, compact_nodes=False)

    def channels(self, points: Array) -> Floats:
        """Return the channels of points, shape (channels, points), float32, between -1 and 1.

        A channel of a point depends on this point and on the views alone:

        - ``nearest``, ``eighth``: logarithm of the distance to the nearest and to the 8th nearest
          point of all views; 1 if there are fewer points;
        - ``supporting``: share of the views that have a surface within 1.5 mm along the ray
          through the point;
        - ``conflicting``: share that see through the point to a surface behind it;
        - ``hiding``: share that have a surface in front of it;
        - ``unseen``: share that measured nothing there.

        Without any view, all channels are 0.

        Args:
            points: points in metres, shape (points, 3), in the coordinates of the views.
        """
        channels = np.zeros((len(VIEWS), len(points)), np.float32)
        for start in range(0, len(points) if self.views else 0, POINTS_AT_ONCE):
            block = slice(start, start + POINTS_AT_ONCE)
            own = np.asarray(points[block], np.float64)
            channels[:2, block] = self._distances(own)
            for view in self.views:
                channels[2:, block] += _opinion(view, own)
        channels[2:] /= max(len(self.views), 1)
        return channels

    def _distances(self, points: Array) -> Array:
        """Return the logarithms of the distances to the nearest and the 8th nearest point."""
        _, found = self._tree.query(points, NEAREST_POINTS)
        missing = found == len(self._all)
        # scipy's own distances differ in the last place between processors.
        offsets = points[:, None] - self._all[np.where(missing, 0, found)]
        squared = offsets[..., 0] ** 2 + offsets[..., 1] ** 2 + offsets[..., 2] ** 2
        squared = np.where(missing, np.inf, squared)
        ends = np.stack([squared.min(axis=1), squared.max(axis=1)])
        inside = np.clip(ends, NEAREST_M**2, FARTHEST_M**2)
        middle = NEAREST_M * FARTHEST_M
        return log2(inside / middle) / log2(np.array(FARTHEST_M / NEAREST_M))


def _opinion(view: ScanView, points: Array) -> Array:
    """Return what a view says of each point: 1 in one of the four last channels, (4, points)."""
    pixels, depth = view.camera.project(points)
    height, width = view.depth.shape
    with np.errstate(invalid="ignore"):
        near = np.rint(pixels)
        inside = (depth > 0) & (near >= 0).all(axis=-1) & (near < (width, height)).all(axis=-1)
        column, row = np.where(inside[:, None], near, 0).astype(np.int64).T
        ahead = np.where(inside, view.depth[row, column], np.nan) - depth
        same, behind, before = (
            np.abs(ahead) <= SAME_SURFACE_M,
            ahead > SAME_SURFACE_M,
            ahead < -SAME_SURFACE_M,
        )
    return np.stack([same, behind, before, ~(same | behind | before)])


def metres_of(channel: Floats) -> Floats:
    """Return the distances in metres that values of ``nearest`` or ``eighth`` stand for."""
    middle, spread = np.sqrt(NEAREST_M * FARTHEST_M), np.sqrt(FARTHEST_M / NEAREST_M)
    return np.asarray(middle * spread**channel)

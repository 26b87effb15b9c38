"""Statistics of cleaned scans, by which simulated scans are compared with real ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fedchain.elementary import dot
from fedchain.scans.features import lengths_of, normals_of
from fedchain.scans.scan import Floats, Mask, Scan, bounding_box

WINDOW_M = 0.009
"""Side of the square around a point that counts as its neighbourhood, in metres on the surface."""
COMPARED_STATISTICS = ("outlier share", "offset mm", "intensity ratio", "fill")
"""Statistics by which ``distance_between`` compares."""


def scan_statistics(scan: Scan) -> dict[str, float]:
    """Return statistics of a scan whose mask ``keep`` is known, within the box of its points.

    Returns:
        Statistics by name. An outlier is a point that the cleaning erases.

        - ``outlier share``: share of the points that are outliers.
        - ``offset mm``: median over outliers of the difference between the distance to the camera
          and its mean over the kept points of a square of 9 mm around the outlier, in mm; at least
          3 x 3 pixels. Outliers without a kept point in the square do not count.
        - ``cosine to view``: median over outliers of the cosine between normal and line of sight.
        - ``coherence``: median over outliers of the length of the mean of the unit normals in 3 x 3
          pixels.
        - ``intensity ratio``: median intensity of outliers, divided by that of kept points.
        - ``fill``: share of pixels of the box that hold a point.
        - ``border``: share of points that have an empty pixel above, below or beside them.
        - ``intensity p95/p5``: quotient of the 95th and the 5th percentile of the intensity.

        A statistic is NaN if the scan has no outlier or no kept point.
    """
    box = bounding_box(scan.valid)
    inside = scan.part(box)
    if inside.keep is None:
        raise ValueError("scan: keep is None; allowed: a scan whose mask is known")
    valid, keep = inside.valid, inside.valid & inside.keep
    outliers = valid & ~keep
    if not keep.any() or not outliers.any():
        return dict.fromkeys(_NAMES, math.nan)
    sight = inside.camera - inside.positions
    distance = lengths_of(sight)
    normals = normals_of(inside.positions, inside.camera)
    cosine = dot(np.moveaxis(normals, -1, 0), np.moveaxis(sight, -1, 0)) / distance
    light = inside.intensity
    low, high = np.percentile(light[valid], (5, 95))
    values = (
        outliers.sum() / valid.sum(),
        1e3 * np.nanmedian(_offsets(inside.positions, distance, keep)[outliers]),
        np.median(np.abs(cosine[outliers])),
        np.median(_coherence(normals, valid)[outliers]),
        np.median(light[outliers]) / np.median(light[keep]),
        valid.mean(),
        (valid & ~_surrounded(valid)).sum() / valid.sum(),
        high / low,
    )
    return dict(zip(_NAMES, map(float, values), strict=True))


_NAMES = (
    "outlier share", "offset mm", "cosine to view", "coherence", "intensity ratio", "fill",
    "border", "intensity p95/p5",
)  # fmt: skip


def median_statistics(scans: Sequence[Scan]) -> dict[str, float]:
    """Return the median of each statistic over scans, without the scans where it is NaN."""
    rows = [scan_statistics(scan) for scan in scans]
    return {name: float(np.nanmedian([row[name] for row in rows])) for name in _NAMES}


def distance_between(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Return by how many factors of 2 each compared statistic differs: |log2(one / other)|.

    >>> one = dict.fromkeys(COMPARED_STATISTICS, 1.0)
    >>> distance_between(one, dict.fromkeys(COMPARED_STATISTICS, 4.0))["fill"]
    2.0
    """
    return {name: abs(math.log2(one[name] / other[name])) for name in COMPARED_STATISTICS}


def _offsets(positions: Floats, distance: Floats, keep: Mask) -> Floats:
    """Return the difference of each distance from its mean over nearby kept points, in metres."""
    from scipy import ndimage

    step = float(np.nanmedian(lengths_of(positions[:, 1:] - positions[:, :-1])))
    side = max(3, 2 * round(WINDOW_M / step / 2 - 0.5) + 1)
    share = ndimage.uniform_filter(keep.astype(np.float64), side, mode="constant")
    total = ndimage.uniform_filter(np.where(keep, distance, 0.0), side, mode="constant")
    # A running sum leaves a rest of about 1e-16 where no point is kept.
    near = np.where(share > 0.5 / side**2, total / np.maximum(share, 1e-12), np.nan)
    return np.abs(distance - near)


def _coherence(normals: Floats, valid: Mask) -> Floats:
    from scipy import ndimage

    filled = np.nan_to_num(normals)
    sums = [ndimage.uniform_filter(filled[..., axis], 3, mode="constant") for axis in range(3)]
    count = ndimage.uniform_filter(valid.astype(np.float64), 3, mode="constant")
    return np.asarray(lengths_of(np.stack(sums, axis=-1)) / np.maximum(count, 1e-9))


def _surrounded(valid: Mask) -> Mask:
    inner = np.pad(valid, 1)
    return np.asarray(inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:])

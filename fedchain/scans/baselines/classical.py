"""Classical filters of a scan: each decides from geometry alone, and learns nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Array
from fedchain.learning.task import Metrics, Records
from fedchain.scans import segmentation
from fedchain.scans.scan import Floats, Mask, Scan
from fedchain.scans.turntable.views import Views, metres_of

AVERAGED_NEIGHBOURS, DEVIATIONS = 20, 2.0
"""Neighbours over which ``statistical`` averages the distance, and the standard deviations above
the mean at which it erases: the defaults of Open3D."""
GAP_M = 3e-3
"""Largest distance between neighbours of one component, in metres."""
SMALLEST_COMPONENT = 500
"""Number of points of the smallest component that is kept."""
FAR_M = 1.5e-3
"""Distance to the nearest point of another view above which a point is erased, in metres."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """What a baseline makes of a scan."""

    kept: Mask
    """Pixels whose point it keeps, shape (height, width)."""
    rank: Floats | None
    """Higher for a point that is rather kept, shape (height, width), and of no meaning elsewhere;
    None if it ranks no points."""


def classical(scan: Scan, views: Views) -> Mapping[str, Baseline]:
    """Return what the classical filters make of a scan, by the name of the filter.

    - ``keep_everything``, ``erase_everything``;
    - ``morphology``: the filter of the paper of ``gajdosech_unet``;
    - ``statistical``: erases a point whose mean distance to its 20 nearest neighbours is more than
      two standard deviations above the mean of all points (Rusu et al. 2008);
    - ``component_size``: erases components of fewer than 500 points; neighbours of the grid belong
      together if they are within 3 mm;
    - ``view_distance``: erases a point whose nearest point of all other views is farther than
      1.5 mm; only with views.
    """
    valid = scan.valid
    found = {
        name: Baseline(rule(valid[None])[0], None) for name, rule in segmentation.BASELINES.items()
    }
    apart = _on_grid(-_mean_distances(scan.positions[valid]), valid)
    own = apart[valid]
    least = own.mean() - DEVIATIONS * own.std() if len(own) else 0.0
    found["statistical"] = Baseline(valid & (apart >= least), apart)
    sizes = component_sizes(scan)
    found["component_size"] = Baseline(valid & (sizes >= SMALLEST_COMPONENT), sizes)
    if views.views:
        channels = views.channels(scan.positions[valid])
        distance = _on_grid(metres_of(channels[0]), valid)
        found["view_distance"] = Baseline(valid & (distance <= FAR_M), -distance)
    return found


def baseline_metrics(
    scans: Sequence[Mapping[str, Baseline]],
    measured: Records,
    images_of: Callable[[int, Array], Array],
) -> dict[str, Metrics]:
    """Return the metrics of the classical filters on records, by the name of the filter.

    Args:
        scans: what ``classical`` makes of each scan.
        measured: the records of all these scans, in the same order.
        images_of: function that cuts a grid (height, width) of scan k into the images of the
            records, shape (images, image height, image width).
    """
    found = {}
    for name in scans[0]:
        made = [one[name] for one in scans]
        kept = np.concatenate([images_of(k, one.kept) for k, one in enumerate(made)])
        ranks = [images_of(k, one.rank) for k, one in enumerate(made) if one.rank is not None]
        scores = -np.concatenate(ranks) if ranks else None
        found[name] = segmentation.mask_metrics(kept, measured, scores)
    return found


def component_sizes(scan: Scan) -> Floats:
    """Return the number of points of each pixel's component, (height, width); 0 without a point."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    valid = scan.valid
    number = np.full(valid.shape, -1)
    number[valid] = np.arange(valid.sum())
    pairs = [_links(scan.positions, number, axis) for axis in (0, 1)]
    one, other = np.concatenate(pairs, axis=1)
    shape = (int(valid.sum()), int(valid.sum()))
    links = coo_array((np.ones(len(one), bool), (one, other)), shape)
    component = connected_components(links, directed=False)[1]
    sizes = np.bincount(component)[component] if len(component) else component
    return _on_grid(sizes, valid)


def _links(positions: Floats, number: Array, axis: int) -> Array:
    """Return the numbers of close neighbours along an axis, shape (2, links)."""
    points, numbers = np.moveaxis(positions, axis, 0), np.moveaxis(number, axis, 0)
    with np.errstate(invalid="ignore"):
        near = ((points[1:] - points[:-1]) ** 2).sum(axis=-1) <= GAP_M**2
    return np.stack([numbers[1:][near], numbers[:-1][near]])


def _mean_distances(points: Floats) -> Array:
    """Return the mean distance of each point to its nearest neighbours in the scan."""
    from scipy.spatial import cKDTree

    if len(points) < 2:
        return np.zeros(len(points))
    neighbours = min(AVERAGED_NEIGHBOURS + 1, len(points))
    distances, _ = cKDTree(points, balanced_tree=False).query(points, neighbours)
    return np.asarray(distances[:, 1:].mean(axis=1))


def _on_grid(values: Array, valid: Mask) -> Floats:
    grid = np.zeros(valid.shape, np.float32)
    grid[valid] = values
    return grid

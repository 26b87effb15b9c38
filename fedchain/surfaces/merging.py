"""Merging: scans of one turntable as one cloud, in refined poses, each place counted once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Matrix, Wholes, read_only
from fedchain.scans.scan import Cloud, Scan
from fedchain.scans.turntable.refinement import refined_poses, refined_scan
from fedchain.surfaces.normals import orient_to_cameras
from fedchain.surfaces.trimming import spacing_of

LEAST_VOXEL = 1e-9
"""Side of the smallest cube in which one point remains: equal points count once."""
FARTHEST_VOXEL = 2.0**52
"""Number of a cube beyond which all points count as in one."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Merged:
    """Scans of one turntable as one cloud."""

    cloud: Cloud
    """The points with their normals, which point towards the camera that saw them, and their
    intensity. It has no camera of its own."""
    names: tuple[str, ...]
    """Names of the scans."""
    scan: Wholes
    """For each point: the index of its scan in ``names``, shape (n,)."""
    refused: Mapping[str, str]
    """Why a scan was not moved onto the others and is merged in its stored pose, by its name."""

    def __post_init__(self) -> None:
        read_only(self.scan)


def merged_scans(
    scans: Mapping[str, Scan], *, refine: bool = True, voxel: float | None = None
) -> Merged:
    """Return scans of one turntable as one cloud.

    Each scan is first moved a little onto the others (``refined_poses``); a scan whose move is
    refused keeps its stored pose, and is merged all the same. Then one point remains in each cube
    of the side ``voxel`` (``thin_points``): where many scans overlap, a place would weigh many
    times.

    Args:
        scans: the scans by name, in one frame.
        refine: whether the scans are moved; otherwise all stay in their stored poses.
        voxel: side of the cubes in the unit of the scans; None for the median of the scans'
            spacings, so that a place with one scan keeps about all of its points.

    Raises:
        MissingExtra: small_gicp, which refines, is not installed.
    """
    poses = refined_poses(scans) if refine and len(scans) > 1 else {}
    moved = [refined_scan(s, poses[name]) if name in poses else s for name, s in scans.items()]
    clouds = [cloud_of_scan(scan) for scan in moved]
    counts = [len(cloud.points) for cloud in clouds]
    none = np.zeros((0, 3), np.float32)
    points = np.concatenate([none, *(cloud.points for cloud in clouds)])
    normals = np.concatenate([none, *(c.normals for c in clouds if c.normals is not None)])
    light = np.concatenate([none[:, 0], *(c.intensity for c in clouds if c.intensity is not None)])
    if voxel is None:
        spacings = [spacing_of(cloud.points) for cloud in clouds if len(cloud.points)]
        voxel = float(np.median(spacings)) if spacings else 0.0
    kept = thin_points(points, max(voxel, LEAST_VOXEL))
    return Merged(
        cloud=Cloud(points=points[kept], normals=normals[kept], intensity=light[kept]),
        names=tuple(scans),
        scan=np.repeat(np.arange(len(counts)), counts)[kept],
        refused={name: pose.refused for name, pose in poses.items() if pose.refused},
    )


def cloud_of_scan(scan: Scan) -> Cloud:
    """Return the points of a scan as a cloud, row by row, with the scan's own normals.

    The normals are turned towards the camera if the scan knows it; otherwise they keep their side.
    A normal that is not finite becomes 0.
    """
    valid = scan.valid
    points = scan.positions[valid]
    normals = np.nan_to_num(scan.normals[valid], posinf=0, neginf=0)
    if scan.view is not None:
        normals = orient_to_cameras(normals, points, scan.view.position)
    return Cloud(
        points=points,
        normals=np.asarray(normals, np.float32),
        intensity=np.nan_to_num(scan.intensity[valid], posinf=0, neginf=0),
        camera=scan.view,
    )


def thin_points(points: Matrix, side: float) -> Wholes:
    """Return the indices of the points that remain when each cube keeps one, in ascending order.

    Of the points of a cube, the one nearest to their mean remains; of equally near ones, the first.
    So every point that remains was measured, with its own normal, intensity and camera.

    Args:
        points: points, shape (n, 3).
        side: side of the cubes, above 0. A corner of the cubes is at the least coordinates.

    >>> thin_points(np.array([[0, 0, 0], [0.3, 0, 0], [0.5, 0, 0], [1.2, 0, 0]]), 1.0).tolist()
    [1, 3]
    """
    points = np.asarray(points, np.float64)
    if not len(points):
        return np.zeros(0, np.int64)
    cubes = np.minimum(np.floor((points - points.min(axis=0)) / side), FARTHEST_VOXEL)
    cube = np.unique(cubes.astype(np.int64), axis=0, return_inverse=True)[1].ravel()
    counts = np.bincount(cube)
    means = np.stack([np.bincount(cube, axis) / counts for axis in points.T], axis=1)
    apart = ((points - means[cube]) ** 2).sum(axis=1)
    order = np.lexsort((apart, cube))
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.sort(order[first])

"""Refinement of poses: each scan is moved a little onto the others, with guards against nonsense.

Refinement looks at all points of a scan. It is for sets and for central work alone: with tiles as
records, the pose of a tile would depend on the other tiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fedchain.arrays import Matrix, Vector
from fedchain.errors import MissingExtra
from fedchain.scans.scan import Scan

REFINEMENTS = 3
"""Rounds in which every scan is moved once."""
VOXEL_M, REACH_M = 1e-3, 2e-3
"""Side of the cubes in which points are averaged, and largest distance of two points that are
compared, in metres."""
LEAST_INLIERS = 1_500
"""Least number of cubes that must meet another scan."""
LARGEST_SHIFT_M, LARGEST_TURN_DEG = 1.5e-3, 1.0
"""Largest shift of a scan's middle, and largest turn, that a refinement may make in all."""


@dataclass(frozen=True)
class Refined:
    """What refinement did to one scan."""

    rotation: Matrix
    """Rotation from the stored to the refined frame, shape (3, 3)."""
    shift: Vector
    """Shift in metres, shape (3,): a point p becomes ``rotation @ p + shift``."""
    inliers: int
    """Cubes of the scan that met another scan in the last round."""
    moved_m: float
    """Shift of the middle of the scan, in metres."""
    turned_deg: float
    """Angle of the rotation in degrees."""
    refused: str
    """Why the scan keeps its stored pose, or an empty text."""


def refined_poses(scans: Mapping[str, Scan]) -> Mapping[str, Refined]:
    """Return the refined pose of each scan of one turntable, by its name.

    In each of three rounds, every scan is registered to all others by generalised ICP. A scan whose
    registration has too few inliers, or moves it too far, keeps its stored pose.

    Args:
        scans: the scans by name, in the stored frame.

    Raises:
        MissingExtra: small_gicp is not installed.
    """
    clouds = {
        name: _averaged(scan.positions[scan.valid].astype(np.float64))
        for name, scan in scans.items()
    }
    poses = {name: np.eye(4) for name in scans}
    found: dict[str, Refined] = {}
    for _ in range(REFINEMENTS):
        for name, cloud in clouds.items():
            others = [_moved(clouds[o], poses[o]) for o in clouds if o != name]
            target = np.concatenate([np.zeros((0, 3)), *others])
            found[name] = _registered(cloud, target, poses[name])
            poses[name] = _matrix(found[name])
    return found


def refined_scan(scan: Scan, pose: Refined) -> Scan:
    """Return the scan in the refined frame, with its camera and its normals."""
    turn = pose.rotation.astype(np.float32)
    positions = scan.positions @ turn.T + pose.shift.astype(np.float32)
    view = None if scan.view is None else scan.view.moved(pose.rotation, pose.shift)
    camera = turn @ scan.camera + pose.shift.astype(np.float32)
    return replace(
        scan, positions=positions, normals=scan.normals @ turn.T, camera=camera, view=view
    )


def _registered(cloud: Matrix, target: Matrix, pose: Matrix) -> Refined:
    """Register averaged points to those of all other scans, from a pose (4, 4) on."""
    try:
        import small_gicp
    except ImportError as error:
        raise MissingExtra(
            "refined poses need small_gicp, which is not installed: pip install 'fedchain[scans]'"
        ) from error
    most = min(len(cloud), len(target))
    if most < LEAST_INLIERS:  # small_gicp ends the process if a cloud is empty
        why = f"at most {most} inliers; allowed: at least {LEAST_INLIERS}"
        return Refined(np.eye(3), np.zeros(3), 0, 0.0, 0.0, why)
    result = small_gicp.align(
        target, cloud, init_T_target_source=pose, registration_type="GICP",
        downsampling_resolution=VOXEL_M, max_correspondence_distance=REACH_M, num_threads=1,
    )  # fmt: skip
    return _judged(np.asarray(result.T_target_source), result.num_inliers, cloud)


def _judged(matrix: Matrix, inliers: int, cloud: Matrix) -> Refined:
    turn, shift = matrix[:3, :3], matrix[:3, 3]
    middle = cloud.mean(axis=0)
    moved = float(np.linalg.norm(turn @ middle + shift - middle))
    cosine = np.clip((np.trace(turn) - 1) / 2, -1, 1)
    turned = float(np.degrees(np.arccos(cosine)))
    why = ""
    if inliers < LEAST_INLIERS:
        why = f"{inliers} inliers; allowed: at least {LEAST_INLIERS}"
    elif moved > LARGEST_SHIFT_M:
        why = f"a shift of {1000 * moved:.2f} mm; allowed: at most {1000 * LARGEST_SHIFT_M:g} mm"
    elif turned > LARGEST_TURN_DEG:
        why = f"a turn of {turned:.2f} degrees; allowed: at most {LARGEST_TURN_DEG:g}"
    if why:
        turn, shift = np.eye(3), np.zeros(3)
    return Refined(turn, shift, int(inliers), moved, turned, why)


def _matrix(pose: Refined) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = pose.rotation, pose.shift
    return matrix


def _moved(points: Matrix, matrix: Matrix) -> Matrix:
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def _averaged(points: Matrix) -> Matrix:
    """Return the mean of the points in each cube of ``VOXEL_M``."""
    cubes = np.floor(points / VOXEL_M).astype(np.int64)
    _, place, counts = np.unique(cubes, axis=0, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), 3))
    np.add.at(sums, place.ravel(), points)
    return np.asarray(sums / counts[:, None])

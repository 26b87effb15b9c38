"""Real scans that may lie beside the repository, and the tests that need them.

The scans' licence does not allow us to ship them. All other data of tests is in ``tests/``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

Test = TypeVar("Test", bound=Callable[..., None])

PHOXI = Path(__file__).parents[2] / "shared" / "data" / "phoxi"
"""``../shared/data/phoxi``, seen from the root of the repository."""
MOSD = PHOXI.parent / "mosd"
"""Scans of tables with objects, each with its mask."""

NEEDED = {
    "scans/turntable/test_rings.py::test_real_clouds_are_organised_with_these_cameras": (
        "clouds of a real turntable, and the cameras that measured them"
    ),
    "scans/test_camera.py::test_real_points_are_projected_onto_their_pixels": (
        "the lens of a real camera, in the file format of its program"
    ),
    "scans/formats/test_cogs_files.py::test_real_scans_hold_the_published_number_of_points": (
        "the files of a real camera: our own writer makes no file with its quirks"
    ),
    "scans/formats/test_numpy_files.py::test_the_clouds_of_the_turntable_have_no_grid": (
        "clouds as a user has them, in metres"
    ),
    "scans/formats/test_numpy_files.py::test_the_scenes_of_a_kinect_are_organised": (
        "scenes of another scanner, written by another program"
    ),
    "scans/formats/test_xyz_files.py::test_the_clouds_of_pu_net_have_unit_normals": (
        "clouds with normals, written by another program"
    ),
    "scans/test_scan_images.py::test_the_second_real_set_has_85_scans_of_which_a_seventh_are_objects": (  # noqa: E501
        "the number of scans and the baseline of the task that `mosd.yaml` makes of them"
    ),
    "scans/test_scan_metrics.py::test_the_baselines_of_the_real_scans_are_the_published_ones": (
        "published IoUs of masks that a person cleaned by hand"
    ),
    "scans/test_scan_tasks.py::test_the_two_real_scans_make_a_task_beside_both_baselines": (
        "points, tiles and baselines of the task that `real_scans.yaml` makes of them"
    ),
    "surfaces/test_midpoints.py::test_midpoints_of_six_real_clouds_have_the_published_distances": (
        "the clouds on which methods of upsampling are compared"
    ),
    "surfaces/process/test_interrupted_processing.py::test_the_real_turntable_survives_three_kills_and_names_a_damaged_file": (  # noqa: E501
        "files of 2064 x 1544 pixels beside clouds without a grid, at the size of real work"
    ),
    "surfaces/test_reconstruction.py::test_the_outliers_of_a_real_scan_move_its_surface": (
        "a scan before and after a person cleaned it"
    ),
    "surfaces/test_surface_training.py::test_refine_beats_midpoints_on_the_clouds_of_pu_net": (
        "clouds on which published methods are compared, and the figure of midpoints"
    ),
    "test_acceptance.py::test_a_private_model_of_real_scans_beats_keeping_and_erasing_everything": (
        "a whole run of `real_scans.yaml`"
    ),
}
"""The tests that are skipped if the scans are absent, and what each needs from the scans."""


def beside_shared(test: Test) -> Test:
    """Mark a test that reads the real scans; it is skipped if they are absent."""
    absent = pytest.mark.skipif(not PHOXI.is_dir(), reason="needs ../shared/data/phoxi")
    return pytest.mark.beside_shared(absent(test))

import struct

import numpy as np
import pytest
from scan_bytes import cogs_bytes, example_scan
from shared_data import PHOXI, beside_shared

from fedchain.errors import DataError
from fedchain.scans.formats import read_scan


def test_two_points_in_one_pixel_are_refused(tmp_path):
    data = cogs_bytes(example_scan())
    (directory,) = struct.unpack_from("<Q", data, 13)
    twice = data[: directory - 8] + data[directory - 16 : directory - 8] + data[directory:]
    (tmp_path / "a.cogs").write_bytes(twice)
    with pytest.raises(DataError, match="two points in one pixel"):
        read_scan(tmp_path / "a.cogs")


@pytest.mark.parametrize("lens", [np.nan, 0.0, -1.0])
def test_a_camera_without_a_lens_leaves_the_place_alone(lens, tmp_path):
    data = bytearray(cogs_bytes(example_scan()))
    (directory,) = struct.unpack_from("<Q", data, 13)
    points = int(example_scan().valid.sum())
    camera = directory - 8 * points - 84
    data[camera : camera + 36] = np.eye(3, dtype="<f4").tobytes()
    for place, wanted in ((camera + 48, None), (camera + 52, lens)):
        data[place : place + 4] = struct.pack("<f", 900.0 if wanted is None else wanted)
    (tmp_path / "a.cogs").write_bytes(data)
    scan = read_scan(tmp_path / "a.cogs")
    assert scan.view is None
    assert (scan.camera == example_scan().camera).all()


@beside_shared
@pytest.mark.parametrize(("name", "points"), [("gpu_006", 26_039), ("clean_006", 21_109)])
def test_real_scans_hold_the_published_number_of_points(name, points):
    scan = read_scan(PHOXI / f"{name}.cogs")
    assert scan.intensity.shape == (1544, 2064)
    assert scan.valid.sum() == points
    heights = scan.positions[scan.valid][:, 1]
    assert heights.min() > 0.0025  # the table was cropped away there
    lengths = np.linalg.norm(scan.normals[scan.valid], axis=1)
    assert np.abs(lengths - 1).max() < 1e-3

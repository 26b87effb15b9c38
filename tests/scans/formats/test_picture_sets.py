from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scan_bytes import example_scan, seen_scan

from fedchain.errors import DataError
from fedchain.scans.features import CHANNELS, features_of, lengths_of
from fedchain.scans.formats import read_scan, write_cloud, write_scan
from fedchain.scans.formats.picture_set import picture_set_of, read_picture_set, write_picture_set
from fedchain.scans.formats.png import grey_bytes
from fedchain.scans.scan import Cloud


@settings(
    max_examples=8, derandomize=True, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(seed=st.integers(0, 99), grid=st.tuples(st.integers(2, 9), st.integers(2, 9)))
def test_a_written_set_is_read_back_bit_for_bit(tmp_path, seed, grid):
    scan = replace(seen_scan(*grid, seed=seed), view=None)
    write_picture_set(tmp_path / "a.intensity.png", scan)
    made, found = picture_set_of(scan), read_picture_set(tmp_path / "a.intensity.png")
    assert np.array_equal(made.image, found.image)
    assert (made.keep == found.keep).all()
    assert (found.valid == made.valid).all()


def test_the_pictures_are_the_channels_of_the_cropped_scan(tmp_path):
    scan = example_scan()
    empty = np.zeros_like(scan.valid)
    empty[0], empty[:, :2] = True, True
    hole = np.where(empty, np.float32(np.nan), np.float32(0))
    scan = replace(scan, positions=scan.positions + hole[..., None])
    lost = write_scan(tmp_path / "a.intensity.png", scan)
    assert "the positions (the set has channels of 8 bits, cropped to the points)" in lost
    names = {f"a.{channel}.png" for channel in CHANNELS}
    assert {path.name for path in tmp_path.iterdir()} == names
    part = scan.part((slice(1, 6), slice(2, 9)))
    grids = (part.intensity, lengths_of(part.positions - part.camera), part.normals, part.valid)
    wanted = features_of(*(grid[None] for grid in grids))[0]
    for channel, values in zip(CHANNELS, wanted, strict=True):
        with Image.open(tmp_path / f"a.{channel}.png") as picture:
            assert picture.mode == "L"
            assert (np.asarray(picture) == np.rint(255 * values)).all()
    found = read_picture_set(tmp_path / "a.intensity.png")
    assert (found.valid == part.valid).all()
    assert found.keep is None


def test_a_cloud_cannot_be_written_as_a_set(tmp_path):
    with pytest.raises(DataError, match=r"a\.intensity\.png: a picture set needs a grid"):
        write_cloud(tmp_path / "a.intensity.png", Cloud(points=np.ones((2, 3), np.float32)))


def test_the_mask_of_an_older_set_does_not_stay_beside_a_scan_without_one(tmp_path):
    path = tmp_path / "a.intensity.png"
    write_picture_set(path, seen_scan())
    assert read_picture_set(path).keep is not None
    write_picture_set(path, replace(seen_scan(), keep=None))
    assert read_picture_set(path).keep is None


def test_a_set_is_no_scan_and_says_what_reads_it(tmp_path):
    write_scan(tmp_path / "a.intensity.png", example_scan())
    with pytest.raises(DataError, match=r"is a set of pictures.*read_picture_set"):
        read_scan(tmp_path / "a.intensity.png")


def test_a_set_of_other_pictures_is_refused_by_the_name_of_the_wrong_one(tmp_path):
    path = tmp_path / "a.intensity.png"
    write_picture_set(path, seen_scan())
    for name, pixels, match in (
        ("nx", np.zeros((2, 2), np.uint8), "has .* pixels; allowed"),
        ("keep", np.zeros((2, 2), np.uint8), "has .* pixels; allowed"),
        ("depth", np.zeros((6, 9), np.uint16), "has 16 bits a channel"),
    ):
        other = tmp_path / f"a.{name}.png"
        before = other.read_bytes()
        other.write_bytes(grey_bytes(pixels))
        with pytest.raises(DataError, match=rf"a\.{name}\.png: {match}"):
            read_picture_set(path)
        other.write_bytes(before)
    (tmp_path / "a.nz.png").unlink()
    with pytest.raises(DataError, match=r"a\.nz\.png: cannot be read"):
        read_picture_set(path)
    with pytest.raises(DataError, match=r"is no picture set; allowed: a path that ends in"):
        read_picture_set(tmp_path / "a.nx.png")

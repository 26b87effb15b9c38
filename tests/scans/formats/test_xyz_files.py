import re

import numpy as np
import pytest
from scan_bytes import example_scan
from shared_data import PHOXI, beside_shared

from fedchain.errors import DataError
from fedchain.scans.formats import read_cloud, read_scan, write_cloud
from fedchain.scans.scan import Cloud


def read(tmp_path, text):
    (tmp_path / "a.xyz").write_text(text, encoding="utf-8")
    return read_cloud(tmp_path / "a.xyz")


@pytest.mark.parametrize(
    "text",
    [
        "1 2 3\n4 5 6\n",
        "  1\t2   3\r\n\r\n4 5 6",
        "1,2,3\n4, 5,6\n",
        "1;2;3\n4;5;6\n",
        "# a scan\n// of a part\n1 2 3\n# in the middle\n4 5 6\n",
        "x y z\n1 2 3\n4 5 6\n",
        "//X,Y,Z\n1,2,3\n4,5,6\n",
        "X,Y,Z\n1 2 3\n4 5 6\n",
        "# z y x\n3 2 1\n6 5 4\n",
        "\ufeff1 2 3\n4 5 6\n",
        "\ufeffz y x\n3 2 1\n6 5 4\n",
        "1 2 3\n4 5 6\nnan nan nan\n",
    ],
)
def test_points_are_read_however_a_program_separates_and_names_them(text, tmp_path):
    cloud = read(tmp_path, text)
    assert cloud.points.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert cloud.normals is None
    assert cloud.intensity is None


@pytest.mark.parametrize(
    ("text", "intensity", "normal"),
    [
        ("1 2 3 7\n", 7, None),
        ("1 2 3 0 0 1\n", None, [0, 0, 1]),
        ("1 2 3 0.6 0 0.8\n1 2 3 0 0 0\n", None, [0.6, 0, 0.8]),
        ("1 2 3 0.25 0.5 0.25\n", None, [0.25, 0.5, 0.25]),
        ("1 2 3 10 20 30\n", 18.15, None),
        ("1 2 3 7 0 0 1\n", 7, [0, 0, 1]),
        ("# x y z nx ny nz intensity\n1 2 3 0 0 1 7\n", 7, [0, 0, 1]),
        ("//X Y Z R G B\n1 2 3 0 0 1\n", 0.114, None),
        ("# x y z label intensity\n1 2 3 9 7\n", 7, None),
    ],
)
def test_more_columns_are_what_their_names_or_their_number_say(text, intensity, normal, tmp_path):
    cloud = read(tmp_path, text)
    if intensity is None:
        assert cloud.intensity is None
    else:
        assert cloud.intensity[0] == pytest.approx(intensity)
    if normal is None:
        assert cloud.normals is None
    else:
        assert cloud.normals[0].tolist() == pytest.approx(normal)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("1,5 2,5 3,5\n", "allowed: decimal points, not commas"),
        ("1 2\n", "has 2 words a line without their names"),
        ("1 2 3 4 5\n", "has 5 words a line without their names; allowed: 3, 4, 6, 7 numbers"),
        ("1 2 3\n4 5\n", "has 2 numbers in point 2; allowed: 3"),
        ("1 2 3\nfour 5 6\n", "has a vertex with four; allowed"),
        ("# x y z\n1 2 3 4\n", "has 4 numbers a line; allowed: 3"),
        ("# x y z x\n1 2 3 4\n", "each name once"),
        ("# only words\n", "holds no point"),
        ("x y z\n", "holds no point"),
    ],
)
def test_lines_that_are_no_points_are_refused(text, match, tmp_path):
    with pytest.raises(DataError, match=re.escape(match)):
        read(tmp_path, text)


def test_the_unit_stands_in_a_comment_or_with_the_user(tmp_path):
    assert read(tmp_path, "# unit: mm\n1000 0 0\n").points[0, 0] == 1
    (tmp_path / "b.xyz").write_text("1000 0 0\n")
    assert read_cloud(tmp_path / "b.xyz", "mm").points[0, 0] == 1
    assert read_cloud(tmp_path / "b.xyz").points[0, 0] == 1000


def test_it_has_no_grid(tmp_path):
    (tmp_path / "a.xyz").write_text("1 2 3\n")
    with pytest.raises(DataError, match="is not organised"):
        read_scan(tmp_path / "a.xyz")


def test_a_written_file_names_its_columns_and_its_unit(tmp_path):
    scan = example_scan()
    write_cloud(tmp_path / "a.xyz", Cloud(points=scan.positions[scan.valid][:1]))
    first, second, third = (tmp_path / "a.xyz").read_text().splitlines()
    assert (first, second) == ("# unit m", "# x y z")
    assert np.array(third.split(), np.float32).tolist() == scan.positions[scan.valid][0].tolist()


@beside_shared
def test_the_clouds_of_pu_net_have_unit_normals():
    for path in sorted((PHOXI.parent / "pu_net").glob("*.xyz")):
        cloud = read_cloud(path)
        assert cloud.points.shape == (5_000, 3)
        assert np.abs(np.linalg.norm(cloud.normals, axis=1) - 1).max() < 0.01
        assert cloud.intensity is None

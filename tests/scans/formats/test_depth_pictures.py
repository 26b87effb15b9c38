import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scan_bytes import depth_json, example_scan, example_view, seen_scan

from fedchain.errors import DataError
from fedchain.scans.formats import depth, read_cloud, read_scan, write_cloud, write_scan
from fedchain.scans.formats.png import grey_bytes
from fedchain.scans.scan import Cloud

CAMERA = json.loads(depth_json())


def depth_file(tmp_path, pixels, **camera):
    (tmp_path / "a.png").write_bytes(grey_bytes(np.array(pixels, np.uint16)))
    (tmp_path / "a.json").write_text(json.dumps({**CAMERA, **camera}))
    return tmp_path / "a.png"


def test_a_pixel_is_a_point_along_its_ray_at_its_depth(tmp_path):
    scan = read_scan(depth_file(tmp_path, [[0] * 5, [500] * 5, [0] * 5, [0, 0, 0, 0, 1000]]))
    assert scan.valid.tolist() == [[False] * 5, [True] * 5, [False] * 5, [False] * 4 + [True]]
    # Pixel (4, 3) is the optical axis; pixel (0, 1) is 4 to the left and 2 above.
    assert scan.positions[3, 4].tolist() == [0, 0, 1]
    assert scan.positions[1, 0].tolist() == pytest.approx([0.5 * -0.04, 0.5 * -0.02, 0.5])
    assert scan.camera.tolist() == [0, 0, 0]


def test_the_camera_stands_where_its_json_says(tmp_path):
    basis, position = [[0, 0, -1], [0, -1, 0], [-1, 0, 0]], [1, 2, 3]
    path = depth_file(tmp_path, [[0] * 5] * 3 + [[0, 0, 0, 0, 500]], basis=basis, position=position)
    scan = read_scan(path)
    assert scan.positions[3, 4].tolist() == [0.5, 2, 3]
    assert scan.camera.tolist() == scan.view.position.tolist() == position


@settings(
    max_examples=10, derandomize=True, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(seed=st.integers(0, 99), grid=st.tuples(st.integers(1, 12), st.integers(1, 9)))
def test_a_written_picture_is_read_back_to_half_a_step(tmp_path, monkeypatch, seed, grid):
    monkeypatch.setattr(depth, "_ROWS", 5)  # several blocks of rows
    scan = seen_scan(*grid, seed=seed)
    lost = write_scan(tmp_path / "a.png", scan)
    found = read_scan(tmp_path / "a.png")
    step = json.loads((tmp_path / "a.json").read_text())["metres_per_step"]
    assert step == 2e-5  # .02 mm reach 1.3 m
    assert (found.valid == scan.valid).all()
    depths = [scan.view.project(one.positions[scan.valid])[1] for one in (scan, found)]
    assert np.abs(depths[0] - depths[1]).max() < 0.51 * step
    assert lost == (
        "the normals", "the intensity", "which points to keep", "depth finer than 2e-05 m"
    )  # fmt: skip
    assert all(np.array_equal(vars(found.view)[n], v) for n, v in vars(scan.view).items())


def test_the_picture_is_read_by_other_programs_as_sixteen_bits(tmp_path):
    from PIL import Image

    write_scan(tmp_path / "a.png", seen_scan())
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "I;16"
        assert picture.size == (9, 6)
        assert (np.asarray(picture) > 0).sum() == seen_scan().valid.sum()


@pytest.mark.parametrize(
    ("camera", "match"),
    [
        ("[]", "is no JSON object"),
        ("{", "is no JSON"),
        ("[" * 9999, "is no JSON"),
        ("\xff", "is no JSON"),
        ("{}", r"has focal None; allowed: finite numbers of shape \(2,\)"),
        ({"focal": [100, -100]}, "focal lengths above 0"),
        ({"focal": [100, float("nan")]}, "finite numbers"),
        ({"focal": [100, 10**999]}, "wrong focal"),
        ({"focal": {"fx": 1}}, "wrong focal"),
        ({"focal": [[100, 100], [1]]}, "wrong focal"),
        ({"centre": "middle"}, "wrong centre"),
        ({"basis": [[1, 0, 0]] * 3}, "orthonormal, right-handed basis"),
        ({"basis": [[1, 0, 0], [0, 1, 0], [0, 0, -1]]}, "orthonormal, right-handed basis"),
        ({"position": [0, 0, 1e30]}, "allowed: an orthonormal"),
        ({"metres_per_step": 0}, "has 0.0 metres_per_step"),
        ({"metres_per_step": [0.1]}, "has metres_per_step"),
    ],
)
def test_a_camera_that_is_none_is_refused_with_the_name_of_its_file(camera, match, tmp_path):
    path = depth_file(tmp_path, [[500]])
    text = camera if isinstance(camera, str) else json.dumps({**CAMERA, **camera})
    (tmp_path / "a.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=match) as refusal:
        read_scan(path)
    assert "a.json" in str(refusal.value)


def test_a_picture_without_its_camera_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(grey_bytes(np.ones((2, 2), np.uint16)))
    with pytest.raises(DataError, match=r"a\.json: cannot be read"):
        read_cloud(tmp_path / "a.png")


@pytest.mark.parametrize("distortion", [[1e5, -1e5, 1e5, 9e4, 0], [-9, 0, 0, 0, 0]])
def test_pixels_that_the_lens_cannot_see_are_refused(distortion, tmp_path):
    path = depth_file(tmp_path, [[500] * 99] * 9, distortion=distortion)
    with pytest.raises(DataError, match="pixels that its lens cannot see"):
        read_scan(path)


def test_points_that_no_camera_sees_so_cannot_be_written_as_depths(tmp_path):
    path, scan = tmp_path / "a.png", seen_scan()
    with pytest.raises(DataError, match="needs a camera with its lens"):
        write_scan(path, example_scan())
    with pytest.raises(DataError, match="needs a grid"):
        write_cloud(path, Cloud(points=scan.positions[scan.valid], camera=scan.view))
    shifted = {"positions": scan.positions + np.float32(0.02), "view": scan.view}
    fields = {"normals": scan.normals, "intensity": scan.intensity, "camera": scan.camera}
    with pytest.raises(DataError, match="points do not lie where the camera sees their pixels"):
        write_scan(path, type(scan)(**shifted, **fields))
    assert not list(tmp_path.iterdir())
    far = example_view().position + 9000 * example_view().rays(1, 1)
    one = {"normals": far, "intensity": far[..., 0], "camera": far[0, 0], "view": example_view()}
    with pytest.raises(DataError, match=r"a point is 9000.* m away; allowed: 6553.5"):
        write_scan(path, type(scan)(positions=far, **one))

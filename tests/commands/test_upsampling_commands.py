import json

import pytest
from command_line import call
from small_clouds import folder_of_clouds, untrained

from fedchain.scans.formats import read_cloud
from fedchain.surfaces.model_file import write_surface_model


@pytest.fixture
def folder(tmp_path):
    return folder_of_clouds(tmp_path / "scans", 2)


def test_upsample_writes_denser_clouds_and_says_points_and_spacing(folder, tmp_path):
    arguments = ("scan", "upsample", folder, "-o", tmp_path / "out", "--method", "midpoints")
    told = call(*arguments)
    assert (told.code, told.err) == (0, "")
    assert f"read      2 clouds in {folder}" in told.out
    (row,) = (line.split() for line in told.out.splitlines() if line.startswith("cloud_1"))
    assert row[:3] == ["cloud_1", "61", "244"]
    assert len(row) == 7
    assert float(row[4]) < float(row[3])
    assert len(read_cloud(tmp_path / "out" / "cloud_1.ply").points) == 244
    again = call(*arguments)
    assert (again.code, again.err) == (0, "")
    assert "2 clouds, 2 of them before" in again.out


def test_beside_a_learned_method_stand_the_midpoints(folder, tmp_path):
    write_surface_model(tmp_path / "m.npz", untrained("refine"))
    told = call("scan", "upsample", folder, "-o", tmp_path / "out", "--model", tmp_path / "m.npz")
    assert (told.code, told.err) == (0, "")
    assert "uneven now   plain mm   plain uneven" in told.out
    assert "plain: by midpoints, which learn nothing" in told.out
    (row,) = (line.split() for line in told.out.splitlines() if line.startswith("cloud_0"))
    assert len(row) == 9


def test_upsample_in_json_is_one_object(folder, tmp_path):
    (folder / "cloud_1.ply").write_bytes(b"half")
    (folder / "notes.txt").touch()
    told = call(
        "scan", "upsample", folder, "-o", tmp_path / "out", "--method=midpoints", "--factor=16",
        "--format=json",
    )  # fmt: skip
    values = json.loads(told.out)
    assert (told.code, told.err) == (3, "")
    assert (values["method"], values["factor"]) == ("midpoints", 16)
    (only,) = values["clouds"]
    assert (only["name"], only["before"]["points"], only["after"]["points"]) == ("cloud_0", 60, 960)
    assert only["after"] == only["midpoints"]
    assert list(values["failed"]) == ["cloud_1"]
    assert list(values["left_out"]) == ["notes.txt"]


def test_a_cloud_that_fails_is_named_and_the_command_ends_with_3(folder, tmp_path):
    (folder / "cloud_0.ply").write_bytes(b"half")
    told = call("scan", "upsample", folder, "-o", tmp_path / "out", "--method", "midpoints")
    assert told.code == 3
    assert told.err.startswith(f"cloud_0: {folder / 'cloud_0.ply'}: ")
    assert len(told.err.splitlines()) == 1
    assert "1 cloud, 1 failed" in told.out


WRONG = {
    "a model of midpoints": (("--method=midpoints", "--model={model}"), 2, "midpoints learn"),
    "a model of another method": (("--method=refine", "--model={model}"), 3, "of pu_net; allowed"),
    "a model that is none": (("--model={folder}/cloud_0.ply",), 3, "cloud_0.ply: "),
    "a model that is missing": (("--model={folder}/none.npz",), 3, "none.npz: cannot be read"),
    "a factor of 5": (("--factor=5",), 2, "'5' is not one of '4', '16'"),
}


@pytest.mark.parametrize(("words", "code", "said"), WRONG.values(), ids=list(WRONG))
def test_wrong_usage_is_told_and_nothing_is_written(folder, tmp_path, words, code, said):
    write_surface_model(tmp_path / "m.npz", untrained("pu_net"))
    given = (word.format(folder=folder, model=tmp_path / "m.npz") for word in words)
    told = call("scan", "upsample", folder, "-o", tmp_path / "out", *given)
    assert (told.code, told.out) == (code, ""), told
    assert said in told.err
    assert "Traceback" not in told.err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_missing_is_told_in_one_line_and_ends_with_3(tmp_path):
    words = ("scan", "upsample", tmp_path / "none", "-o", tmp_path / "out", "--method=midpoints")
    told = call(*words)
    assert (told.code, told.out, len(told.err.splitlines())) == (3, "", 1)
    assert "no such folder" in told.err


def test_results_of_another_factor_are_told_in_one_line(folder, tmp_path):
    arguments = ("scan", "upsample", folder, "-o", tmp_path / "out", "--method=midpoints")
    assert call(*arguments).code == 0
    told = call(*arguments, "--factor=16")
    assert (told.code, told.out, len(told.err.splitlines())) == (2, "", 1)
    assert "(midpoints x 4), not of midpoints x 16; give --force" in told.err
    assert call(*arguments, "--factor=16", "--force").code == 0


def test_a_target_that_cannot_be_written_is_told_in_one_line_and_ends_with_2(folder, tmp_path):
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path / "file" / "target", tmp_path / ("x" * 300), folder):
        told = call("scan", "upsample", folder, "-o", target, "--method=midpoints")
        assert (told.code, told.out, len(told.err.splitlines())) == (2, "", 1), told
        assert str(target)[:60] in told.err
    assert (tmp_path / "file").read_text() == "mine"

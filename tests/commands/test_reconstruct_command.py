"""The command scan reconstruct, as a user sees it."""

import json
import sys

import pytest
from command_line import call
from turntable_scans import camera_at, scan_of

from fedchain.scans.formats import write_scan

pytest.importorskip("skimage")
pytest.importorskip("trimesh")

QUICK = ("--method", "marching", "--no-refine")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scans").mkdir()
    for angle in (0, 120, 240):
        write_scan(tmp_path / "scans" / f"scan_{angle:03d}.npz", scan_of(camera_at(angle)))
    return tmp_path / "scans"


def test_reconstruct_writes_a_mesh_and_a_table_and_skips_it_the_second_time(folder, tmp_path):
    arguments = ("scan", "reconstruct", folder, "-o", tmp_path / "out", *QUICK)
    told = call(*arguments)
    assert (told.code, told.err) == (0, "")
    assert f"read      3 scans in {folder}" in told.out
    assert "method    marching cubes on the distance to the points" in told.out
    for head in ("mesh", "points", "vertices", "triangles", "mm to the points"):
        assert head in told.out
    assert told.out.endswith("out: 1 mesh\n")
    assert (tmp_path / "out" / "merged.ply").read_bytes().startswith(b"ply")
    values = json.loads(call(*arguments, "--format", "json").out)
    assert values["skipped"] == ["merged"]
    assert values["method"] == "marching"
    (mesh,) = values["meshes"]
    assert mesh["scans"] == 3
    assert mesh["mesh"] == "merged.ply"


def test_no_merge_makes_a_mesh_of_each_scan(folder, tmp_path):
    told = call("scan", "reconstruct", folder, "-o", tmp_path / "out", *QUICK, "--no-merge")
    assert told.code == 0
    assert sorted(p.name for p in (tmp_path / "out").glob("*.ply")) == [
        "scan_000.ply", "scan_120.ply", "scan_240.ply",
    ]  # fmt: skip


def test_a_scan_that_fails_is_named_and_the_command_ends_with_3(folder, tmp_path):
    (folder / "scan_120.npz").write_bytes(b"PK")
    told = call("scan", "reconstruct", folder, "-o", tmp_path / "out", *QUICK)
    assert told.code == 3
    assert told.err.startswith("scan_120: ")
    assert len(told.err.splitlines()) == 1
    assert (tmp_path / "out" / "merged.ply").exists()


def test_scans_whose_refinement_is_refused_are_told(folder, tmp_path):
    pytest.importorskip("small_gicp")
    told = call("scan", "reconstruct", folder, "-o", tmp_path / "out", "--method", "marching")
    assert told.code == 0
    assert "scan_000: merged in its stored pose, since refinement was refused: " in told.err


def test_poisson_without_open3d_says_how_to_install_it(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)
    told = call(
        "scan", "reconstruct", folder, "-o", tmp_path / "out", "--method", "poisson", "--no-refine"
    )
    assert (told.code, told.out, len(told.err.splitlines())) == (3, "", 1)
    assert "pip install 'fedchain[surfaces]'" in told.err


def test_a_cut_in_millimetres_reaches_the_mesh(folder, tmp_path):
    counts = []
    for cut in ("20", "1"):
        out = tmp_path / cut
        told = call("scan", "reconstruct", folder, "-o", out, *QUICK, "--cut", cut, "--format=json")
        counts.append(json.loads(told.out)["meshes"][0]["vertices"])
    assert counts[0] > counts[1]


WRONG = {
    "a missing folder": (("none",), 3),
    "a method that is none": (("{folder}", "--method", "magic"), 2),
    "a depth beyond the range": (("{folder}", "--depth", "40"), 2),
    "a negative cut": (("{folder}", "--cut", "-1"), 2),
}


@pytest.mark.parametrize(("words", "code"), WRONG.values(), ids=list(WRONG))
def test_wrong_usage_ends_without_writing(folder, tmp_path, words, code):
    given = [word.format(folder=folder) for word in words]
    told = call("scan", "reconstruct", *given, "-o", tmp_path / "out")
    assert (told.code, told.out) == (code, "")
    assert "Traceback" not in told.err
    assert not (tmp_path / "out").exists()


def test_a_target_that_cannot_be_written_is_told_in_one_line_and_ends_with_2(folder, tmp_path):
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path / "file" / "target", tmp_path / ("x" * 300), folder):
        told = call("scan", "reconstruct", folder, "-o", target, *QUICK)
        assert (told.code, told.out, len(told.err.splitlines())) == (2, "", 1), told
        assert str(target)[:60] in told.err
    assert (tmp_path / "file").read_text() == "mine"

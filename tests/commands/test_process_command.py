import csv
import json

import pytest
from command_line import call
from process_scans import ball_scans, bytes_in
from training_scans import bumpy, by_light, write_npz

from fedchain.scans.training.model_file import write_model
from fedchain.surfaces.process import one_set

pytest.importorskip("skimage")
pytest.importorskip("trimesh")

QUICK = ("--surface=marching", "--depth=5", "--no-refine", "--upsampling=midpoints")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("process")
    write_model(place / "light.npz", by_light())
    return place, ball_scans(place / "scans", (0, 90))


@pytest.fixture(autouse=True)
def _small_pictures(monkeypatch):
    monkeypatch.setattr("fedchain.surfaces.process.pictures.SIZE", (24, 32))


def process(made, out, *rest, folder=None):
    model = made[0] / "light.npz"
    return call("scan", "process", folder or made[1], "-o", out, "--model", model, *QUICK, *rest)


def test_process_takes_the_whole_way_and_skips_it_the_second_time(made, tmp_path):
    told = process(made, tmp_path / "out", "--upsample=4")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("2 scans became 1 surface; filtering erased ")
    assert "made      7 results now, 0 before" in told.out
    for word in ("filter", "merge", "upsample", "reconstruct", "scan_090", "index.html"):
        assert word in told.out
    again = process(made, tmp_path / "out", "--upsample=4")
    assert "made      0 results now, 7 before" in again.out


def test_the_tables_of_terminal_csv_and_json_say_the_same(made, tmp_path):
    told = process(made, tmp_path / "out", "--format=json")
    values = json.loads(told.out)
    rows = json.loads((tmp_path / "out" / "stages.json").read_text())["stages"]
    assert values["stages"] == rows
    with (tmp_path / "out" / "stages.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["name"] for row in table] == [row["name"] for row in rows]
    for row, known in zip(table, rows, strict=True):
        assert {key: "" if value is None else str(value) for key, value in known.items()} == row
    assert values["merged"] == {"merged": ["scan_000", "scan_090"]}
    assert (values["failed"], values["alone"], values["left_out"]) == ([], {}, {})
    assert values["page"] == str(tmp_path / "out" / "index.html")


def test_a_damaged_scan_is_named_and_the_command_ends_with_3(made, tmp_path):
    folder = ball_scans(tmp_path / "scans")
    (folder / "scan_090.npz").write_bytes(b"PK")
    told = process(made, tmp_path / "out", folder=folder)
    assert told.code == 3
    assert told.err.startswith("scan_090: filter: scan_090.npz: ")
    assert told.out.startswith("3 of 4 scans became 1 surface; ")
    assert len(told.err.splitlines()) == 1
    assert (tmp_path / "out" / "surfaces" / "merged.ply").exists()


def test_ctrl_c_says_how_to_go_on_and_the_same_command_ends_with_the_same_bytes(
    made, tmp_path, monkeypatch
):
    process(made, tmp_path / "whole")
    merge = one_set.merge_stage

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(one_set, "merge_stage", interrupted)
    told = process(made, tmp_path / "out")
    assert told.code == 130
    assert told.err == "interrupted; everything is saved: the same command goes on\n"
    monkeypatch.setattr(one_set, "merge_stage", merge)
    again = process(made, tmp_path / "out")
    assert (again.code, "made      4 results now, 2 before" in again.out) == (0, True)
    assert bytes_in(tmp_path / "out") == bytes_in(tmp_path / "whole")


def test_a_model_that_adds_points_needs_points_to_be_added(made, tmp_path):
    told = process(made, tmp_path / "out", "--upsampling-model", made[0] / "light.npz")
    assert (told.code, told.out, len(told.err.splitlines())) == (2, "", 1)
    assert "--upsample 4" in told.err
    told = process(made, tmp_path / "out", "--upsample=4", "--upsampling-model=m")
    assert (told.code, len(told.err.splitlines())) == (3, 1)
    assert "midpoints need none" in told.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("changed", ["--depth=6", "--upsample=4", "--even-unlike"])
def test_other_settings_are_refused_in_one_line(made, tmp_path, changed):
    process(made, tmp_path / "out")
    told = process(made, tmp_path / "out", changed)
    assert (told.code, told.out, len(told.err.splitlines())) == (2, "", 1)
    assert "give --force" in told.err


def test_what_cannot_be_read_or_written_is_told_in_one_line(made, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    for out, folder, code in (
        (tmp_path / "out", tmp_path / "empty", 3),
        (tmp_path / "out", tmp_path / "none", 3),
        (tmp_path / "file" / "out", made[1], 2),
        (tmp_path / ("x" * 300), made[1], 2),
    ):
        told = process(made, out, folder=folder)
        assert (told.code, told.out, len(told.err.splitlines())) == (code, "", 1), told


def test_scans_that_are_not_merged_are_named(made, tmp_path):
    folder = ball_scans(tmp_path / "scans", (0, 90))
    write_npz(folder / "bumpy.npz", bumpy(0), keep=False)
    told = process(made, tmp_path / "out", folder=folder)
    assert (told.code, told.out.splitlines()[0][:33]) == (0, "3 scans became 2 surfaces; filter")
    assert told.err.startswith(
        "bumpy: not merged with its set, has a surface of its own: holds no camera"
    )

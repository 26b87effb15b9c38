import json

import numpy as np
import pytest
from command_line import call
from help_examples import commands
from training_scans import bumpy, by_light, folder_of_pairs

from fedchain.scans.training import shipped
from fedchain.scans.training.model_file import read_model, write_model

QUICK = ("--set", "steps=4", "--set", "window=16", "--set", "model.width=1", "--set", "batch=2")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("scans")
    write_model(place / "light.npz", by_light())
    return place, folder_of_pairs(place / "scans")


def test_train_says_what_it_read_and_writes_a_model_of_local_channels(made, tmp_path):
    _, folder = made
    told = call("scan", "train", folder, "-o", tmp_path / "model", *QUICK)
    assert (told.code, told.err) == (0, "")
    assert f"read      2 pairs of 3 scans in {folder}" in told.out
    assert "keep_everything" in told.out
    assert read_model(tmp_path / "model").card.kind == "local"
    again = call("scan", "train", folder, "-o", tmp_path / "model", *QUICK)
    assert (again.code, len(again.err.splitlines())) == (2, 1)
    assert "give --force" in again.err


def test_filter_writes_clouds_and_masks_and_skips_them_the_second_time(made, tmp_path):
    place, folder = made
    arguments = ("scan", "filter", folder, "--model", place / "light.npz", "-o", tmp_path / "out")
    told = call(*arguments, "--format", "json")
    assert (told.code, told.err) == (0, "")
    values = json.loads(told.out)
    assert [scan["name"] for scan in values["scans"]] == ["scan_000", "scan_001", "scan_002"]
    assert values["skipped"] == []
    assert (np.load(tmp_path / "out" / "scan_002.keep.npy") == bumpy(2).keep).all()
    assert json.loads(call(*arguments, "--format", "json").out)["skipped"] == [
        "scan_000", "scan_001", "scan_002",
    ]  # fmt: skip


def test_filter_names_a_scan_that_fails_and_ends_with_3(made, tmp_path):
    place, _ = made
    folder = folder_of_pairs(tmp_path / "scans")
    (folder / "scan_001.npz").write_bytes(b"PK")
    told = call("scan", "filter", folder, "--model", place / "light.npz", "-o", tmp_path / "out")
    assert told.code == 3
    assert told.err.startswith("scan_001: ")
    assert len(told.err.splitlines()) == 1
    assert (tmp_path / "out" / "scan_002.keep.npy").exists()


def test_filter_warns_of_a_scan_unlike_the_training_scans_and_keeps_it_whole(made, tmp_path):
    _, folder = made
    write_model(tmp_path / "model", by_light(low=2, high=3))
    told = call("scan", "filter", folder, "--model", tmp_path / "model", "-o", tmp_path / "out")
    assert told.code == 0
    assert "scan_000: unlike the training scans, kept whole (--even-unlike erases)" in told.err
    assert (np.load(tmp_path / "out" / "scan_000.keep.npy") == bumpy(0).valid).all()


def test_evaluate_shows_the_model_beside_every_baseline(made, tmp_path):
    place, folder = made
    told = call("scan", "evaluate", folder, "--model", place / "light.npz", "-o", tmp_path / "out")
    assert (told.code, told.err) == (0, "")
    for word in ("model", "keep_everything", "erase_everything", "gradient_boosting", "auc"):
        assert word in told.out
    assert (tmp_path / "out" / "scan_000.png").exists()


def test_simulate_and_convert_make_files_that_the_others_read(tmp_path):
    out = tmp_path / "scans"
    made = call("scan", "simulate", "-o", out, "--turntables=1", "--views=2", "--size=24x32")
    assert (made.code, made.err) == (0, "")
    assert "wrote     2 pairs of 1 turntables" in made.out
    source = out / "turntable_00" / "scan_000.npz"
    told = call("scan", "convert", source, tmp_path / "scan.ply")
    assert told.code == 0
    assert "on a grid of 24 x 32 pixels" in told.out
    again = call("scan", "convert", source, tmp_path / "scan.ply")
    assert (again.code, "--force" in again.err) == (2, True)
    lossy = call("scan", "convert", source, tmp_path / "scan.xyz")
    assert "left out  the grid of 24 x 32 pixels, which the format does not hold" in lossy.out


def test_benchmark_measures_a_model_that_is_named(monkeypatch):
    given = {}

    def measured(**arguments):
        given.update(arguments)
        return []

    monkeypatch.setattr("fedchain.scans.benchmark.measure_backends", measured)
    told = call("scan", "benchmark", "--size=16x24", "--threads=1,3", "--no-training")
    assert (told.code, told.err) == (0, "")
    assert (given["size"], given["threads"], given["training"]) == ((16, 24), [1, 3], False)


def test_without_shipped_weights_filter_asks_for_a_model(made, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path / "none.npz")
    told = call("scan", "filter", made[1], "-o", tmp_path / "out")
    assert told.code == 3
    assert "allowed: --model MODEL, a file that" in told.err


WRONG = {
    "an unknown key": ("train", "{folder}", "-o", "{new}", "--set", "stepz=3"),
    "a value out of range": ("train", "{folder}", "-o", "{new}", "--set", "steps=0"),
    "a height without a run": ("filter", "{folder}", "-o", "{new}", "--height", "3"),
    "a run and a model": ("filter", "{folder}", "-o", "{new}", "--model=m", "--from-run=r"),
    "a size that is none": ("simulate", "-o", "{new}", "--size", "big"),
    "a length without a mesh": ("simulate", "-o", "{new}", "--length", "0.1"),
    "a size beyond all memory": ("benchmark", "--size", "900000x900000"),
    "no threads": ("benchmark", "--threads", "0"),
}


@pytest.mark.parametrize("words", WRONG.values(), ids=list(WRONG))
def test_wrong_usage_is_told_in_one_line_and_ends_with_2(made, tmp_path, words):
    place = {"folder": made[1], "new": tmp_path / "new"}
    told = call("scan", *(word.format(**place) for word in words))
    assert (told.code, told.out, len(told.err.strip().splitlines())) == (2, "", 1), told
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", ["train", "filter", "evaluate"])
def test_a_folder_that_is_missing_is_told_in_one_line_and_ends_with_3(made, tmp_path, command):
    model = () if command == "train" else ("--model", made[0] / "light.npz")
    told = call("scan", command, tmp_path / "none", "-o", tmp_path / "out", *model)
    assert (told.code, told.out, len(told.err.splitlines())) == (3, "", 1), told
    assert "no such folder" in told.err


@pytest.mark.parametrize("command", ["train", "filter", "evaluate", "simulate"])
def test_a_target_that_cannot_be_written_is_told_in_one_line_and_ends_with_2(
    made, tmp_path, command
):
    place, folder = made
    (tmp_path / "file").write_text("mine")
    given = {"train": (folder, *QUICK), "simulate": ("--views=1", "--size=24x32")}
    rest = given.get(command, (folder, "--model", place / "light.npz"))
    for target in (tmp_path / "file" / "target", tmp_path / ("x" * 300)):
        told = call("scan", command, *rest, "-o", target)
        assert (told.code, told.out, len(told.err.splitlines())) == (2, "", 1), told
        assert str(target)[:60] in told.err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_paragraph_of_help_is_one_line_that_the_terminal_breaks():
    texts = {words: command.help or "" for words, command in commands().items()}
    assert "NPZ, PLY, PCD) that has the mask keep. An" in texts["scan", "train"]
    assert not [words for words, text in texts.items() if "\n" in text.replace("\n\n", "")]

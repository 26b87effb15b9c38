"""fedchain export-model and fedchain predict."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import call
from small_runs import small

import fedchain


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    quiet = {"attacks": [], "privacy": {"kind": "none"}}
    return fedchain.run(small(2, **quiet), tmp_path_factory.mktemp("runs"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_model_is_written_under_the_name_of_the_run_and_nothing_is_replaced(done, tmp_path):
    told = call("export-model", done.folder, "--format", "json")
    assert (told.code, told.err) == (0, "")
    values = json.loads(told.out)
    file = tmp_path / f"{done.folder.name}.pt"
    assert values["file"] == file.name
    assert values["tensors"]["model.1.weight"] == [1, 30]
    assert values["bytes"] == file.stat().st_size
    assert values["block"] == done.metrics[-1]["block"]
    read = torch.load(file, weights_only=True)
    assert set(read) == set(values["tensors"])
    again = call("export-model", done.folder)
    assert (again.code, "is there already; name the file" in again.err) == (2, True)
    told = call("export-model", done.folder, "--round", "0", "-o", "first.pt")
    assert told.out.startswith("31 weights after block ")
    assert not torch.load("first.pt", weights_only=True)["model.1.weight"].any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--round", "7"), "no round 7; allowed: 0 (before the first round) to 2"),
        (("--to", "pickle"), "'pickle' is not one of"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_leaves_no_file(done, options, words, tmp_path):
    told = call("export-model", done.folder, *options)
    assert (told.code, words in told.err, list(tmp_path.iterdir())) == (2, True, [])


def rows(count):
    return np.random.default_rng(0).uniform(0, 100, (count, 30))


def test_predictions_of_several_files_go_to_one_table(done):
    np.savetxt("some.csv", rows(3), delimiter=",")
    np.save("more.npy", rows(2))
    told = call("predict", done.folder, "some.csv", "more.npy", "--out", "said.csv")
    assert (told.code, told.err) == (0, "")
    assert "5 predictions in said.csv" in told.out
    with Path("said.csv").open(newline="") as file:
        said = list(csv.DictReader(file))
    assert [(row["file"], row["row"]) for row in said] == [
        *(("some.csv", str(number)) for number in (1, 2, 3)),
        *(("more.npy", str(number)) for number in (1, 2)),
    ]
    assert [int(row["class"]) for row in said[:3]] == done.predict(rows(3)).tolist()
    logits = done.module()(torch.tensor(rows(3))).detach().numpy()
    np.testing.assert_allclose([float(row["output_0"]) for row in said[:3]], logits[:, 0])
    shown = json.loads(call("predict", done.folder, "more.npy", "--format", "json").out)
    assert [row["class"] for row in shown["predictions"]] == [int(r["class"]) for r in said[3:]]


def test_a_table_of_other_columns_is_refused_before_anything_is_written(done, tmp_path):
    np.savetxt("labelled.csv", np.zeros((2, 31)), delimiter=",")
    told = call("predict", done.folder, "labelled.csv", "-o", "said.csv")
    assert told.code == 3
    assert "labelled.csv: has float64 of shape (2, 31); allowed: 30 numbers for each" in told.err
    assert not Path("said.csv").exists()
    assert call("predict", done.folder, "missing.csv").code == 2

import csv

import numpy as np
import pytest
from PIL import Image
from training_scans import bumpy, by_light, folder_of_pairs, write_npz

from fedchain.errors import DataError, RunRefused
from fedchain.scans.formats import read_cloud
from fedchain.scans.pictures import ERASED, KEPT, LOST, MISSED
from fedchain.scans.training.evaluation import coloured_cloud, evaluate_folder
from fedchain.scans.training.filtering import filter_folder
from fedchain.scans.training.scores import Judged, scores_of

SQUARE = np.ones((2, 2), bool)


def test_the_scores_of_one_scan_are_those_counted_by_hand():
    keep, kept = np.array([[True, True], [False, False]]), np.array([[True, False], [True, False]])
    scores = scores_of(Judged(SQUARE, keep, kept, np.array([[0.9, 0.3], [0.6, 0.1]])))
    assert scores == {"iou": 1 / 3, "precision": 0.5, "recall": 0.5, "f1": 0.5,
                      "ap": pytest.approx((1 + 2 / 3) / 2), "auc": 0.75}  # fmt: skip


def test_pixels_without_a_point_count_for_nothing():
    valid, keep = np.array([[True, False]]), np.array([[True, True]])
    assert scores_of(Judged(valid, keep, np.array([[True, False]]), None))["iou"] == 1


def test_every_baseline_stands_beside_the_model_for_each_scan_and_in_the_mean(tmp_path):
    folder = folder_of_pairs(tmp_path / "scans")
    found = evaluate_folder(folder, by_light(), tmp_path / "out")
    expected = {"model", "keep_everything", "erase_everything", "morphology", "statistical",
                "component_size", "logistic_regression", "gradient_boosting"}  # fmt: skip
    assert list(found.scans) == ["scan_000", "scan_001"]
    assert all(methods.keys() == expected for methods in (*found.scans.values(), found.mean))
    scan = bumpy()
    assert found.scans["scan_000"]["model"]["iou"] == 1
    assert found.scans["scan_000"]["model"]["auc"] == 1
    everything = scan.keep.sum() / scan.valid.sum()
    assert found.scans["scan_000"]["keep_everything"]["iou"] == pytest.approx(everything)
    ious = [methods["keep_everything"]["iou"] for methods in found.scans.values()]
    assert found.mean["keep_everything"]["iou"] == pytest.approx(np.mean(ious))


def test_what_is_written_shows_the_scans_and_every_score(tmp_path):
    folder, out = folder_of_pairs(tmp_path / "scans"), tmp_path / "out"
    found = evaluate_folder(folder, by_light(), out)
    names = ["scan_000.ply", "scan_000.png", "scan_001.ply", "scan_001.png", "scores.csv"]
    assert sorted(path.name for path in found.files) == names
    with Image.open(out / "scan_000.png") as picture:
        assert picture.width > 5 * 48
    assert len(read_cloud(out / "scan_000.ply").points) == bumpy().valid.sum()
    rows = list(csv.DictReader((out / "scores.csv").read_text().splitlines()))
    assert len(rows) == 3 * 8
    assert {row["scan"] for row in rows} == {"scan_000", "scan_001", "mean"}
    for name in ("scores.csv", "scan_000.png"):
        with pytest.raises(RunRefused, match=f"{name}: is there already"):
            evaluate_folder(folder, by_light(), out)
        (out / name).unlink()


def test_results_never_replace_the_scans(tmp_path):
    folder = folder_of_pairs(tmp_path / "scans")
    for force in (False, True):
        with pytest.raises(RunRefused, match="is the folder with the scans"):
            evaluate_folder(folder, by_light(), folder, force=force)
        with pytest.raises(RunRefused, match="is the folder with the scans"):
            filter_folder(folder, by_light(), "m", folder, force=force)
    assert not list(folder.glob("*.ply"))
    assert not list(folder.glob("*.json"))


def test_a_learned_baseline_never_learns_from_the_scan_that_it_is_judged_on(tmp_path):
    lonely = folder_of_pairs(tmp_path / "scans", pairs=1, more=0)
    (methods,) = evaluate_folder(lonely, by_light()).scans.values()
    assert "logistic_regression" not in methods
    bright = bumpy(1)
    turned = type(bright)(**{**vars(bright), "keep": bright.valid & ~bright.keep})
    write_npz(lonely / "turned.npz", turned)
    both = evaluate_folder(lonely, by_light()).scans
    assert all(each["logistic_regression"]["auc"] < 0.1 for each in both.values())


def test_a_coloured_cloud_has_one_colour_for_each_way_to_be_right_or_wrong():
    keep, kept = np.array([[True, True], [False, False]]), np.array([[True, False], [True, False]])
    text = coloured_cloud(np.zeros((2, 2, 3), np.float32), Judged(SQUARE, keep, kept, None))
    body = text.partition(b"end_header\n")[2]
    colours = [tuple(body[i * 15 + 12 : i * 15 + 15]) for i in range(4)]
    assert colours == [KEPT, LOST, MISSED, ERASED]


def test_a_folder_without_a_truth_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no pair to compare with"):
        evaluate_folder(folder_of_pairs(tmp_path / "scans", pairs=0), by_light())

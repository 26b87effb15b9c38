from pathlib import Path

import numpy as np
import pytest
from command_line import call

from fedchain.scans.formats import read_scan
from fedchain.scans.simulator.folder import simulate_folder
from fedchain.scans.training.filtering import filter_folder
from fedchain.scans.training.folders import digest_of
from fedchain.scans.training.model_file import read_model, weights_digest
from fedchain.scans.training.scores import Judged, scores_of
from fedchain.scans.training.shipped import shipped_model

DOCS = Path(__file__).parents[3] / "docs" / "scans.md"


@pytest.fixture(scope="module")
def trained():
    return read_model(shipped_model())


@pytest.fixture(scope="module")
def turntable(tmp_path_factory):
    folder = tmp_path_factory.mktemp("turntable")
    list(simulate_folder(folder / "scans", turntables=1, views=8, size=(96, 128), seed=3))
    return folder / "scans"


def test_the_shipped_weights_are_small_and_say_what_they_are(trained):
    assert shipped_model().stat().st_size < 100_000
    assert trained.card.trained_on.startswith("simulated turntables alone")
    assert trained.card.training["licence"] == "MIT"


def test_the_scores_of_the_card_are_those_of_its_weights_and_above_both_baselines(trained):
    card = trained.card
    assert card.training["weights_digest"] == weights_digest(trained.module)
    scores = card.scores
    assert scores["model_over_all_points"]["f1"] >= 0.6
    assert scores["model"]["f1"] > scores["erase_everything"]["f1"]
    assert scores["model"]["iou"] > scores["keep_everything"]["iou"]


def test_the_page_states_the_scores_and_the_digest_of_the_shipped_file(trained):
    text = DOCS.read_text(encoding="utf-8")
    assert digest_of(shipped_model()).hex() in text
    for method in ("model", "keep_everything", "erase_everything"):
        iou, f1 = (f"{trained.card.scores[method][m]:.3f}".lstrip("0") for m in ("iou", "f1"))
        assert f"| {method.replace('_', ' ')} | {iou} | {f1} |" in text


def test_a_turntable_is_cleaned_better_than_by_keeping_or_erasing_everything(
    trained, turntable, tmp_path
):
    done = filter_folder(turntable, trained, "shipped", tmp_path / "out")
    assert not any(each.unlike for each in done.scans)
    valid, keep, kept = [], [], []
    for each in done.scans:
        scan = turntable / f"{each.name}.npz"
        truth = scan.with_name(scan.name.replace("scan", "clean"))
        valid.append(read_scan(scan).valid)
        keep.append(read_scan(truth).valid)
        kept.append(np.load(tmp_path / "out" / f"{each.name}.keep.npy"))
    every, right, found = (np.concatenate(each) for each in (valid, keep, kept))
    reached, kept_all, erased_all = (
        scores_of(Judged(every, right, mask, None)) for mask in (found, every, ~every)
    )
    assert reached["iou"] > kept_all["iou"]
    assert reached["f1"] > 0.1 + erased_all["f1"]


def test_a_scan_without_enough_other_views_is_kept_whole_with_a_warning(tmp_path):
    list(simulate_folder(tmp_path / "scans", turntables=1, views=2, size=(48, 64)))
    told = call("scan", "filter", tmp_path / "scans", "-o", tmp_path / "out")
    assert told.code == 0
    assert len(told.err.splitlines()) == 2
    assert "kept whole (--even-unlike erases): 1 other views, trained with 7 or more" in told.err
    for number in range(2):
        scan = read_scan(tmp_path / "scans" / "turntable_00" / f"scan_{number:03d}.npz")
        kept = np.load(tmp_path / "out" / "turntable_00" / f"scan_{number:03d}.keep.npy")
        assert (kept == scan.valid).all()

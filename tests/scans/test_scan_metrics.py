import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import PHOXI, beside_shared

from fedchain.learning.task import Records
from fedchain.scans.formats import read_scan
from fedchain.scans.scan import bounding_box
from fedchain.scans.segmentation import BASELINES, mask_metrics, morphology, targets_of

KEEP_EVERYTHING = BASELINES["keep_everything"]


def scans(keep, valid, scan=None):
    return Records(np.zeros((len(keep), 0)), targets_of(keep, valid), scan)


def slow_ranking(scores, outlier):
    """Average precision and area under the ROC curve, from pairs of pixels."""
    wrong, right = scores[outlier], scores[~outlier]
    average = np.mean([outlier[scores >= s].mean() for s in wrong]) if len(wrong) else 0.0
    above = (wrong[:, None] > right).mean() + (wrong[:, None] == right).mean() / 2 if (
        len(wrong) and len(right)
    ) else 0.5  # fmt: skip
    return {"outlier_ap": average, "outlier_auc": above}


def slow_metrics(kept, keep, valid, scan):
    ious = []
    for one in sorted(set(scan)):
        pixels = [
            (k, t)
            for image in np.flatnonzero(np.array(scan) == one)
            for k, t, v in zip(kept[image].flat, keep[image].flat, valid[image].flat, strict=True)
            if v
        ]
        either = sum(k or t for k, t in pixels)
        ious.append(sum(k and t for k, t in pixels) / either if either else 1.0)
    hit, false, missed = 0, 0, 0
    for k, t, v in zip(kept.flat, keep.flat, valid.flat, strict=True):
        hit += bool(v and not k and not t)
        false += bool(v and not k and t)
        missed += bool(v and k and not t)
    precision, recall = hit / max(hit + false, 1), hit / max(hit + missed, 1)
    return {
        "iou": sum(ious) / len(ious),
        "outlier_precision": precision,
        "outlier_recall": recall,
        "outlier_f1": 2 * precision * recall / (precision + recall) if hit else 0.0,
        "outlier_iou": hit / max(hit + false + missed, 1),
        **slow_ranking((~kept)[valid], (~keep)[valid]),
    }


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
def test_metrics_are_what_counting_pixel_by_pixel_gives(seed, share):
    random = np.random.default_rng(seed)
    kept, keep, valid = (random.random((4, 3, 5)) < s for s in (0.5, share, 0.7))
    scan = random.integers(0, 3, 4)
    found = mask_metrics(kept, scans(keep, valid, scan))
    wanted = slow_metrics(kept, keep, valid, scan.tolist())
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value), name


def test_pixels_without_a_point_do_not_count():
    random = np.random.default_rng(0)
    kept, keep, valid = (random.random((2, 8, 8)) < 0.5 for _ in range(3))
    records = scans(keep, valid)
    assert mask_metrics(kept, records) == mask_metrics(kept | ~valid, records)


def test_a_perfect_mask_scores_one_and_keeping_everything_finds_no_outlier():
    random = np.random.default_rng(0)
    keep, valid = random.random((2, 8, 8)) < 0.5, np.ones((2, 8, 8), bool)
    assert set(mask_metrics(keep, scans(keep, valid)).values()) == {1.0}
    everything = mask_metrics(KEEP_EVERYTHING(valid), scans(keep, valid))
    assert everything["outlier_recall"] == 0
    assert everything["iou"] == pytest.approx(keep.mean(axis=(1, 2)).mean())


def test_morphology_erases_islands_and_keeps_broad_patches():
    valid = np.zeros((1, 20, 20), bool)
    valid[0, 2:12, 2:12] = True
    valid[0, 16:19, 16:19] = True
    kept = morphology(valid)[0]
    assert kept[2:12, 2:12].all()
    assert not kept[16:19, 16:19].any()


def test_morphology_of_a_scan_does_not_reach_into_the_next():
    valid = np.zeros((3, 9, 9), bool)
    valid[1] = True
    assert np.array_equal(morphology(valid)[[0, 2]], valid[[0, 2]])


@beside_shared
@pytest.mark.parametrize(
    ("name", "box", "points", "everything", "morphed"),
    [
        ("004", (797, 608), (98_944, 84_878), 0.858, 0.784),
        ("006", (902, 502), (26_039, 21_109), 0.811, 0.799),
    ],
)
def test_the_baselines_of_the_real_scans_are_the_published_ones(
    name, box, points, everything, morphed
):
    dirty, clean = (read_scan(PHOXI / f"{kind}_{name}.cogs").valid for kind in ("gpu", "clean"))
    part = bounding_box(dirty)
    valid, keep = dirty[part][None], clean[part][None]
    assert valid.shape[1:] == box
    assert (valid.sum(), keep.sum()) == points
    assert mask_metrics(KEEP_EVERYTHING(valid), scans(keep, valid))["iou"] == pytest.approx(
        everything, abs=5e-4
    )
    assert mask_metrics(morphology(valid), scans(keep, valid))["iou"] == pytest.approx(
        morphed, abs=5e-4
    )

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain.scans.ranking import ranking_metrics


def slow_metrics(scores, positives):
    wanted, rest = int(positives.sum()), int((~positives).sum())
    precisions = [
        positives[scores >= score].mean()
        for score, positive in zip(scores, positives, strict=True)
        if positive
    ]
    won = sum(
        (a > b) + (a == b) / 2
        for a in scores[positives].tolist()
        for b in scores[~positives].tolist()
    )
    return sum(precisions) / wanted if wanted else 0.0, won / (
        wanted * rest
    ) if wanted * rest else 0.5


CASES = given(seed=st.integers(0, 10_000), levels=st.sampled_from([1, 3, 1000]),
              share=st.sampled_from([0.0, 0.1, 0.6, 1.0]), count=st.integers(1, 40))  # fmt: skip


@settings(max_examples=60, derandomize=True, deadline=None)
@CASES
def test_ranking_metrics_are_what_pairs_of_entries_give(seed, levels, share, count):
    random = np.random.default_rng(seed)
    scores, positives = random.integers(0, levels, count) - 0.5, random.random(count) < share
    assert ranking_metrics(scores, positives) == pytest.approx(slow_metrics(scores, positives))


@settings(max_examples=20, derandomize=True, deadline=None)
@CASES
def test_ranking_metrics_are_those_of_torchmetrics(seed, levels, share, count):
    torch = pytest.importorskip("torch")
    oracle = pytest.importorskip("torchmetrics.functional.classification")
    random = np.random.default_rng(seed)
    scores, positives = random.integers(0, levels, count) / levels, random.random(count) < share
    if not 0 < positives.sum() < count:
        return
    given_ = torch.tensor(scores), torch.tensor(positives.astype(int))
    wanted = [float(oracle.binary_average_precision(*given_)), float(oracle.binary_auroc(*given_))]
    assert ranking_metrics(scores, positives) == pytest.approx(wanted, abs=1e-6)


def test_a_score_that_is_no_number_counts_as_the_highest():
    positives = np.array([True, False, False])
    assert ranking_metrics(np.array([np.nan, 1.0, -np.inf]), positives) == (1.0, 1.0)
    assert ranking_metrics(np.array([np.inf, 1.0, -np.inf]), positives) == (1.0, 1.0)


def test_nothing_to_rank_gives_the_values_of_a_guess():
    assert ranking_metrics(np.zeros(0), np.zeros(0, bool)) == (0.0, 0.5)

"""The expected share of stale blocks, against a law and against a run."""

import pytest
from small_runs import small

import fedchain
from fedchain.forecasts.stale import expected_stale
from fedchain.reports.laws import stale_share
from fedchain.scenario import from_mapping


def bare(miners, latency_ms):
    return from_mapping({
        "version": 1,
        "name": "bare",
        "rounds": 10,
        "task": {"kind": "none"},
        "nodes": {"compute": miners},
        "network": {"kind": "complete", "latency_ms": {"kind": "constant", "value": latency_ms}},
        "ledger": {"work": {"kind": "sampled", "interval_s": 10.0}},
    })  # fmt: skip


@pytest.mark.parametrize(("miners", "latency_ms"), [(20, 3000.0), (20, 300.0), (2, 1000.0)])
def test_without_learning_the_estimate_follows_the_law_of_stale_blocks(miners, latency_ms):
    expected = stale_share(latency_ms / 10_000, miners)
    assert expected_stale(bare(miners, latency_ms)).share == pytest.approx(expected, abs=0.02)


def test_one_compute_node_makes_no_stale_blocks():
    assert expected_stale(bare(1, 3000.0)).share == 0.0


@pytest.mark.parametrize(("bits", "share"), [(0, 1 / 2), (1, 0.326), (12, 0.01)])
def test_easy_work_is_done_by_several_nodes_at_once(bits, share):
    # With 1 bit, 3, 2 or 1 of 3 nodes work on the holders' block: in 60, 16 and 24 % of heights.
    scenario = small(3, **{"ledger.work.difficulty_bits": bits})
    assert expected_stale(scenario).share == pytest.approx(share, abs=0.02)


def test_a_run_has_the_expected_share_of_stale_blocks(tmp_path):
    scenario = small(10, **{"ledger.work.difficulty_bits": 0})
    measured = fedchain.run(scenario, tmp_path).manifest["chain"]["stale_share"]
    assert measured == pytest.approx(expected_stale(scenario).share, abs=0.07)

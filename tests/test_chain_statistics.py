"""The statistics of a chain that learns nothing, against the published mathematics."""

from __future__ import annotations

import math
from collections import Counter
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from fresh_processes import fresh_processes
from scipy import stats

from fedchain import Run, load, resume, run
from fedchain.errors import ScenarioError
from fedchain.learning.evaluation import Measured
from fedchain.ledger.storage.store import Store
from fedchain.ledger.tools.verification import SIMULATED_WORK
from fedchain.results import tampered_copy
from fedchain.runs.callbacks import Callback
from fedchain.scenario import from_mapping, run_name
from fedchain.simulation.setup import build_setup
from fedchain.simulation.simulation import Simulation
from fedchain.timing import Stopwatch

STALE_BLOCKS = Path(__file__).parents[1] / "scenarios" / "stale_blocks.yaml"
SEEDS = range(5)
INTERVAL_S = 10.0


def unmeasured(*_):
    nothing = Future()
    nothing.set_result(Measured({}))
    return nothing


def played(folder, rounds, seed, compute, delay_s=0.001, faster=1.0, **work):
    """Let a chain grow; return the times at which blocks were made, and the summary's figures."""
    scenario = from_mapping(
        {
            "version": 1,
            "name": "alone",
            "seed": seed,
            "rounds": rounds,
            "task": {"kind": "none"},
            "nodes": {"compute": compute},
            "network": {"latency_ms": {"kind": "constant", "value": 1000.0 * delay_s}},
            "ledger": {"work": {"kind": "sampled", "interval_s": INTERVAL_S, **work}},
        }
    )
    setup = build_setup(scenario)
    with Store.create(folder / f"{seed}", setup.rules, setup.genesis, setup.state) as store:
        made = Simulation(
            setup=setup, store=store, ask=lambda *_: iter(()), measure=unmeasured, watch=Stopwatch()
        )
        for node in made.compute_nodes:
            node._sampled._speed *= faster
        for _ in made.rounds():
            pass
        made.close()
        heights = {name: h for h, name in enumerate(made.chain.path())}
        times = {heights[name]: h.time_ms for name, h in headers(store) if name in heights}
    ends = np.array([times[height] for height in range(1, rounds + 1)]) / 1000.0
    tally = made.figures()["chain"]
    return SimpleNamespace(times_s=ends, intervals_s=np.diff(ends, prepend=0.0), tally=tally)


def headers(store):
    for block in store.blocks():
        yield block.header.hash, block.header


SHARES = [0.5, 0.3, 0.15, 0.05]


@pytest.fixture(scope="module")
def four_miners(tmp_path_factory):
    compute = [{"hash_share": 7 * share} for share in SHARES]
    return [played(tmp_path_factory.mktemp("four"), 1000, seed, compute) for seed in SEEDS]


def test_times_between_blocks_are_exponential(four_miners):
    intervals = np.concatenate([run.intervals_s for run in four_miners])
    assert intervals.mean() == pytest.approx(INTERVAL_S, rel=0.04)
    assert intervals.std() == pytest.approx(INTERVAL_S, rel=0.06)
    assert np.median(intervals) == pytest.approx(math.log(2) * INTERVAL_S, rel=0.06)
    above_six = 0.00248 * len(intervals)  # e^-6: an hour without a block of ten minutes
    assert np.sum(intervals > 6 * INTERVAL_S) == pytest.approx(above_six, abs=4 * above_six**0.5)
    assert stats.kstest(intervals, stats.expon(scale=INTERVAL_S).cdf).pvalue > 0.01


def test_winners_come_in_proportion_to_their_share_of_work(four_miners):
    tallies = [run.tally for run in four_miners]
    assert [node["hash_share"] for node in tallies[0]["nodes"]] == pytest.approx(SHARES)
    won = Counter()
    for tally in tallies:
        won.update({node["node"]: node["main_blocks"] for node in tally["nodes"]})
        assert sum(node["main_blocks"] for node in tally["nodes"]) == tally["main_blocks"] == 1000
    expected = [5000 * share for share in SHARES]
    assert stats.chisquare([won[k] for k in range(4)], expected).pvalue > 0.01


def stale_share(tmp_path, x, miners, rounds):
    """Return the share of stale blocks over all seeds, and its largest deviation by chance."""
    tallies = [
        played(tmp_path, rounds, seed, miners, delay_s=x * INTERVAL_S).tally for seed in SEEDS
    ]
    stale = sum(tally["stale_blocks"] for tally in tallies)
    blocks = stale + sum(tally["main_blocks"] for tally in tallies)
    share = stale / blocks
    for tally in tallies:
        assert tally["stale_blocks"] == sum(node["stale_blocks"] for node in tally["nodes"])
        made = tally["stale_blocks"] + tally["main_blocks"]
        assert tally["stale_share"] == pytest.approx(tally["stale_blocks"] / made)
    return share, 3 * math.sqrt(share * (1 - share) / blocks)


def law(x, miners):
    """Return the expected stale share: x / (1 + x), corrected for blocks that reach their miner."""
    seen = x * (1 - 1 / miners)
    return seen / (1 + seen)


def test_the_stale_share_of_equal_miners_is_x_over_1_plus_x(tmp_path):
    share, slack = stale_share(tmp_path, 0.3, miners=30, rounds=400)
    assert share == pytest.approx(law(0.3, 30), abs=slack)
    assert abs(share - (1 - math.exp(-0.3))) > slack  # the probability of a rival is another law


@pytest.mark.long
@pytest.mark.parametrize(
    ("x", "published"), [(0.016666, 0.01639), (0.1, 0.0909), (0.3, 0.2308), (0.5, 0.3333)]
)
def test_the_stale_share_is_the_published_one_at_every_delay(tmp_path, x, published):
    share, slack = stale_share(tmp_path, x, miners=100, rounds=2000)
    assert share == pytest.approx(law(x, 100), abs=slack)
    assert share == pytest.approx(published, abs=slack + 0.01 * published)  # of many miners


POOLS = (0.30, 0.29, 0.12, 0.11, 0.08, 0.05, 0.03, 0.02)
"""Shares of work like those of Bitcoin's largest pools."""
STALE_PERCENT = {0.30: 1.009, 0.12: 1.621, 0.05: 1.86}
"""Published (Poinsot, miningsimulation, 2025) for a delay of 10 s and a block every 600 s."""
SQUARES = sum(share**2 for share in POOLS)


def stale_of(share, x):
    """Return the share of a miner's blocks that become stale, for small x."""
    return x * ((1 - share) ** 2 + SQUARES - share**2)


def blocks_of_pools(tmp_path, x, rounds):
    """Return how many blocks each pool has made over all seeds, and how many became stale."""
    made, stale, compute = Counter(), Counter(), [{"hash_share": share} for share in POOLS]
    for seed in SEEDS:
        tally = played(tmp_path, rounds, seed, compute, delay_s=x * INTERVAL_S).tally
        for node in tally["nodes"]:
            made[POOLS[node["node"]]] += node["main_blocks"] + node["stale_blocks"]
            stale[POOLS[node["node"]]] += node["stale_blocks"]
    return made, stale


def test_the_small_delay_formula_gives_the_published_rates_within_a_percent():
    for share, percent in STALE_PERCENT.items():
        assert 100 * stale_of(share, 10 / 600) == pytest.approx(percent, rel=0.01)


@pytest.mark.long
def test_small_miners_lose_more_of_their_blocks_than_large_ones(tmp_path):
    made, stale = blocks_of_pools(tmp_path, 0.05, rounds=1000)
    rates = []
    for pools in (POOLS[:2], POOLS[2:4], POOLS[4:]):
        blocks = sum(made[share] for share in pools)
        expected = sum(made[share] * stale_of(share, 0.05) for share in pools) / blocks
        rates.append(sum(stale[share] for share in pools) / blocks)
        slack = 3 * math.sqrt(expected / blocks) + 0.05 * expected  # beyond first order
        assert rates[-1] == pytest.approx(expected, abs=slack)
    assert rates[0] < min(rates[1:])  # all three would be x / (1 + x) if shares did not count


@pytest.mark.long
def test_unequal_miners_lose_the_published_share_of_their_blocks(tmp_path):
    x = 10 / 600
    made, stale = blocks_of_pools(tmp_path, x, rounds=20_000)
    for share in POOLS:
        expected = stale_of(share, x)
        if share in STALE_PERCENT:
            expected = STALE_PERCENT[share] / 100
        slack = 4 * math.sqrt(expected / made[share]) + 0.03 * expected  # beyond first order
        assert stale[share] / made[share] == pytest.approx(expected, abs=slack)
    whole = sum(stale.values()) / sum(made.values())
    assert whole == pytest.approx(x * (1 - SQUARES), rel=0.08)


def test_the_difficulty_brings_the_interval_back_after_a_change_of_hash_power(tmp_path):
    runs = [
        played(tmp_path, 800, seed, 3, faster=6.0, retarget_window=40).intervals_s
        for seed in SEEDS[:3]
    ]
    first = np.concatenate([run[:39] for run in runs])
    later = np.concatenate([run[200:] for run in runs])
    assert first.mean() == pytest.approx(INTERVAL_S / 6, rel=0.2)
    # The time of a window of n blocks is measured over n - 1 intervals, as in Bitcoin. The mean of
    # the inverse of this time is above the inverse of its mean.
    assert later.mean() == pytest.approx(INTERVAL_S * 40 / 39, rel=0.06)


def test_verify_says_that_work_was_simulated_and_checks_everything_else(tmp_path):
    found = run(load(STALE_BLOCKS, set={"rounds": 50, "nodes.compute": 3}), tmp_path)
    verdict = found.verify()
    assert verdict.ok
    assert verdict.unchecked == (SIMULATED_WORK,)
    assert str(verdict).endswith("not checked: work, which was simulated: no nonce exists")
    tampered_copy(found.folder, tmp_path / "damaged", 7, "nonce")
    assert not Run(tmp_path / "damaged").verify().ok


def test_a_chain_alone_has_no_holders_no_messages_and_no_privacy(tmp_path):
    found = run(load(STALE_BLOCKS, set={"rounds": 30}), tmp_path)
    summary = found.summary()
    assert (summary["status"], summary["chain"]["main_blocks"]) == ("finished", 30)
    assert summary["messages"]["messages"] == 0
    assert summary["epsilon"]["worst_holder_releases"] == 0
    assert len(summary["chain"]["nodes"]) == 20
    assert sum(node["hash_share"] for node in summary["chain"]["nodes"]) == pytest.approx(1.0)
    assert "nothing is released" in (found.folder / "privacy.json").read_text()
    assert resume(found.folder).manifest["head"] == summary["head"]


FORKING = {"rounds": 400, "nodes.compute": 8}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return run(load(STALE_BLOCKS, set=FORKING), tmp_path_factory.mktemp("whole")).manifest


class At(Callback):
    """Does something at one round."""

    def __init__(self, round_, act):
        self.round, self.act = round_, act

    def on_round_end(self, ended):
        if ended.record.round == self.round:
            self.act()


def ctrl_c():
    raise KeyboardInterrupt


def kill():
    psutil.Process().kill()


def go_on_and_be_killed(folder, round_):
    resume(folder, callbacks=[At(round_, kill)])


def same_chain(manifest, other):
    # Where the chain forks, a block that is counted twice or forgotten shows in these figures.
    assert manifest["chain"]["reorganisations"] > 5
    assert manifest["chain"]["deepest_reorganisation"] > 1
    assert min(node["stale_blocks"] for node in manifest["chain"]["nodes"]) > 0
    assert (manifest["head"], manifest["chain"]) == (other["head"], other["chain"])


def test_a_chain_that_is_interrupted_again_and_again_counts_what_another_counts(
    uninterrupted, tmp_path
):
    scenario = load(STALE_BLOCKS, set=FORKING)
    with pytest.raises(KeyboardInterrupt):
        run(scenario, tmp_path, callbacks=[At(1, ctrl_c)])
    folder = tmp_path / run_name(scenario)
    for round_ in (100, 75, 299):
        with pytest.raises(KeyboardInterrupt):
            resume(folder, callbacks=[At(round_, ctrl_c)])
    same_chain(resume(folder).manifest, uninterrupted)


def test_a_chain_that_is_killed_counts_what_another_counts(uninterrupted, tmp_path):
    scenario = load(STALE_BLOCKS, set=FORKING)
    with pytest.raises(KeyboardInterrupt):
        run(scenario, tmp_path, callbacks=[At(1, ctrl_c)])
    folder, processes = tmp_path / run_name(scenario), fresh_processes()
    child = processes.Process(target=go_on_and_be_killed, args=(folder, 160))
    child.start()
    child.join(60)
    assert child.exitcode
    resumed = resume(folder)
    same_chain(resumed.manifest, uninterrupted)
    assert resumed.verify().ok


@pytest.mark.parametrize(
    ("set_", "words"),
    [
        ({"nodes.holders": 3}, "task none asks nobody, got 3"),
        ({"nodes.compute": []}, "at least 1"),
        ({"task": {"kind": "breast_cancer"}}, "only task none has no data holders"),
    ],
)
def test_who_takes_part_must_fit_the_task(set_, words):
    with pytest.raises(ScenarioError, match=words):
        load(STALE_BLOCKS, set=set_)

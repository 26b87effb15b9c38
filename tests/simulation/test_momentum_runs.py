"""Runs whose holders send running means: what stands on the chain, and what readers learn."""

from __future__ import annotations

import json
from collections import defaultdict

import numpy as np
import pytest
from group_runs import grouped
from small_runs import FORKING, SLOW, forking, small

from fedchain.audits.linkability import likenesses, links_in
from fedchain.audits.runs_for_audit import ledger_of, releases_of
from fedchain.forecasts.forecast import forecast
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.nodes.holders.trail import REMEMBERED_ROUNDS
from fedchain.results import Run
from fedchain.runs.callbacks import Callback
from fedchain.runs.running import resume, run
from fedchain.simulation.setup import build_setup, deepest_fork, deepest_read

EMA, MEAN = {"kind": "ema", "beta": 0.9}, {"kind": "mean"}
BARE = {"kind": "clipped", "clip": 1.0}
FLIPS = [{"kind": "sign_flip", "holders": [8, 9], "from_round": 3, "to_round": 5}]
LIES = [{"kind": "wrong_weights", "nodes": [1]}]


def means():
    """Return a scenario with many forks whose holders send running means."""
    return forking(**{"nodes.momentum": EMA, "attacks": FLIPS})


def gradients_behind(made: Run) -> dict[int, float]:
    """Return the largest error of the releases that messages reveal, by number t of the release."""
    setup = build_setup(made.scenario)
    gradients = CohortGradients(setup.task, 1.0)
    errors: dict[int, float] = defaultdict(float)
    with ledger_of(made) as store:
        for released in releases_of(made):
            weights = store.state(released.message.parent).weights
            (true,) = gradients(weights, [released.holder])
            count = released.last.count + 1 if released.last else 1
            error = np.abs(released.vector - true).max() / np.abs(true).max()
            errors[count] = max(errors[count], float(error))
    return errors


@pytest.mark.parametrize("momentum", [EMA, MEAN], ids=["ema", "mean"])
def test_every_message_of_every_branch_gives_its_release_back(momentum, tmp_path):
    fast = {"ledger.work": FORKING, "network": SLOW, "ledger.storage": "int32"}
    values = {"nodes.momentum": momentum, "attacks": FLIPS, "privacy": BARE}
    made = run(small(12, **fast, **values), tmp_path)
    assert made.manifest["stale_blocks"] > 0
    assert made.verify().ok
    errors = gradients_behind(made)
    assert max(errors) >= 6
    assert max(errors.values()) < 1e-3  # float32 gradients, rounded to 2^-20 of the norm


def test_directions_are_kept_as_far_below_a_fork_as_its_holders_may_read_them():
    plain, with_means = forking(), means()
    assert deepest_read(plain) == deepest_fork(plain) == deepest_fork(with_means)
    assert deepest_read(with_means) == deepest_fork(with_means) + REMEMBERED_ROUNDS


def test_what_was_sent_under_an_attack_is_no_mean(tmp_path):
    alone = {"nodes.compute": 1, "nodes.momentum": MEAN, "ledger.quorum": 1.0}
    made = run(small(8, attacks=FLIPS, privacy=BARE, **alone), tmp_path)
    counts = defaultdict(dict)
    for released in releases_of(made):
        counts[released.holder][released.message.round] = (
            released.last.count + 1 if released.last else 1
        )
    assert counts[0] == {round_: round_ for round_ in range(1, 9)}
    # The message before the attack is still in reach.
    assert counts[8] == {1: 1, 2: 2, 6: 3, 7: 4, 8: 5}


class Stop(Callback):
    """Interrupts a run in a round."""

    def __init__(self, round_: int) -> None:
        self.round = round_

    def on_run_begin(self, folder, setup):
        self.folder = folder

    def on_round_end(self, ended):
        if ended.record.round == self.round:
            raise KeyboardInterrupt


def interrupted(scenario, folder, round_: int) -> Run:
    stop = Stop(round_)
    with pytest.raises(KeyboardInterrupt):
        run(scenario, folder, callbacks=[stop])
    return resume(stop.folder)


def heads(made: Run) -> tuple[str, list[str]]:
    return made.manifest["head"], [message["id"] for message in made.messages]


@pytest.fixture(scope="module")
def forked(tmp_path_factory) -> Run:
    made = run(means(), tmp_path_factory.mktemp("forked"))
    assert made.manifest["stale_blocks"] > 0
    return made


@pytest.mark.parametrize("round_", [2, 7, 11])
def test_an_interrupted_run_with_forks_ends_in_the_same_head(forked, tmp_path, round_):
    assert heads(interrupted(means(), tmp_path, round_)) == heads(forked)


@pytest.mark.parametrize(
    ("engine", "workers"),
    [
        ("threads", 1),
        ("threads", 3),
        pytest.param("processes", 2, marks=pytest.mark.long),
    ],
)
def test_engines_and_workers_change_nothing(forked, tmp_path, engine, workers):
    assert heads(run(means(), tmp_path, engine=engine, workers=workers)) == heads(forked)


def test_a_resumed_run_needs_no_directions_that_were_pruned(tmp_path):
    quick = {"nodes.compute": 1, "nodes.holders": 3, "nodes.momentum": MEAN, "attacks": []}
    rule = {"aggregation": {"kind": "mean"}, "disk.keep_messages": 1}
    scenario = small(75, **quick, **rule)
    whole = run(scenario, tmp_path / "whole")
    assert heads(interrupted(scenario, tmp_path / "cut", 73)) == heads(whole)


def test_holders_that_follow_a_refused_block_build_on_what_it_carries(tmp_path):
    lied = {"network": SLOW, "privacy.spare_releases": 12, "nodes.momentum": EMA}
    made = run(small(6, attacks=LIES, **lied, **{"ledger.work": FORKING}), tmp_path)
    assert made.manifest["status"] == "finished"
    assert made.manifest["fooled"] > 0


def test_a_group_sends_the_mean_of_its_sums_also_with_an_attacker_in_it(tmp_path):
    bare = {"kind": "skellam", "epsilon": float("inf"), "clip": 1.0}
    attacks = [{"kind": "sign_flip", "holders": [7]}]
    overrides = {"nodes.momentum": MEAN, "privacy": bare, "nodes.compute": 1, "attacks": attacks}
    made = run(grouped(4, {"size": 5, "honest": 0.8}, **overrides), tmp_path)
    setup = build_setup(made.scenario)
    gradients, counts = CohortGradients(setup.task, 1.0), [r.count for r in setup.task.holders]
    heard = list(releases_of(made))
    assert [r.last.count if r.last else 0 for r in heard] == [0, 1, 2, 3]
    with ledger_of(made) as store:
        for released in heard:
            rows = gradients(store.state(released.message.parent).weights, range(5))
            true = np.average(rows, axis=0, weights=counts[:5])
            np.testing.assert_allclose(released.vector, true, atol=1e-5)


def test_messages_become_parallel_so_that_pseudonyms_are_linked(tmp_path):
    found = {}
    for name, momentum in (("without", None), ("ema", EMA)):
        scenario = small(20, attacks=[], **{"privacy.epsilon": 1.0, "nodes.momentum": momentum})
        made = run(scenario, tmp_path)
        rounds = defaultdict(dict)
        for released in releases_of(made):
            rounds[released.message.round].setdefault(released.holder, released)
        late = [list(dict(sorted(rounds[n].items())).values()) for n in (18, 19)]
        alike = likenesses(*late)["direction"]
        own = np.array([r.holder for r in late[0]])[:, None] == [r.holder for r in late[1]]
        found[name] = np.mean(links_in(made)["direction"].auc), alike[own].mean()
    assert abs(found["without"][0] - 0.5) < 0.12  # 5 standard errors: 190 pairs of one holder
    assert abs(found["without"][1]) < 0.2
    assert found["ema"][0] > 0.9
    assert found["ema"][1] > 0.8


def test_momentum_costs_no_epsilon_and_the_statement_says_what_it_reveals(tmp_path):
    told = {}
    for momentum in (None, EMA):
        scenario = small(4, **{"nodes.momentum": momentum, "nodes.compute": 1})
        made = run(scenario, tmp_path)
        told[momentum is None] = json.loads((made.folder / "privacy.json").read_text())
        assert ("post-processing" in dict(forecast(scenario).rows)["guarantee"]) == bool(momentum)
    without, with_it = told[True], told[False]
    words = with_it.pop("guarantee")
    assert (without["momentum"], with_it["momentum"]) == (None, EMA)
    for phrase in (
        "Messages are running means of releases, kind ema (beta 0.9)",
        "momentum is post-processing and costs no epsilon",
        "successive messages of one sender become nearly parallel",
        "can link its pseudonyms",
    ):
        assert phrase in words
        assert phrase not in without["guarantee"]
    # The noise of a running mean is not that of one release.
    assert with_it.pop("noise_norm") is None
    del without["guarantee"], without["momentum"], without["noise_norm"], with_it["momentum"]
    assert with_it == without  # epsilon, noise and releases with them

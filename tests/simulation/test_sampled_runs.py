from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from small_runs import forking, simulate, small
from whole_numbers import WHOLE, whole_numbers

from fedchain.agreement import sampling_of
from fedchain.forecasts.forecast import forecast
from fedchain.forecasts.trial import tried
from fedchain.nodes.holders.data_holder import BUDGET_SPENT
from fedchain.nodes.holders.release import (
    ReleaseContext,
    ReleaseRequest,
    declaration_of,
    messages_of,
)
from fedchain.privacy.mechanisms import gaussian
from fedchain.results import Run
from fedchain.runs.callbacks import Callback
from fedchain.runs.running import resume, run
from fedchain.scenario.nodes import MAX_ASKED
from fedchain.simulation.setup import build_setup

COHORT = {"nodes.holders": 20, "nodes.cohort": 6, "aggregation.keep": 4}


def without_wall_time(found: Run) -> list[dict[str, object]]:
    return [{k: v for k, v in e.items() if k != "seconds"} for e in found.events]


def stated(found: Run) -> dict[str, object]:
    return json.loads((found.folder / "privacy.json").read_text())


@pytest.fixture(scope="module")
def quiet(tmp_path_factory) -> Run:
    with whole_numbers():  # in which no block is stale
        return run(small(rounds=10, privacy=WHOLE, **COHORT), tmp_path_factory.mktemp("quiet"))


@pytest.fixture(scope="module")
def forked(tmp_path_factory) -> Run:
    return run(forking(rounds=8, **COHORT), tmp_path_factory.mktemp("forked"))


def test_a_holder_spends_one_release_for_each_round_that_it_is_asked_in(quiet):
    sampling = sampling_of(quiet.scenario)
    asked = Counter(k for round_ in range(1, 11) for k in sampling.holders_of(round_))
    assert stated(quiet)["releases"] == [asked[k] for k in range(20)]
    assert max(asked.values()) > min(asked[k] for k in range(20))
    for message in quiet.messages:
        assert message["holder"] in sampling.holders_of(message["round"])


def test_the_noise_is_solved_for_the_holder_that_is_asked_most_often():
    sampled, whole = small(rounds=30, **COHORT), small(rounds=30, **{"nodes.holders": 20})
    most = sampling_of(sampled).most_releases
    mechanism = build_setup(sampled).mechanism
    given = {"epsilon": 30.0, "delta": 1e-3, "clip": 1.0}
    assert mechanism.noise_multiplier == gaussian(most, 31, **given).noise_multiplier
    assert mechanism.epsilon_after(mechanism.terms.releases) == pytest.approx(30.0, rel=1e-6)
    assert most < 30
    assert mechanism.noise_multiplier < 0.8 * build_setup(whole).mechanism.noise_multiplier


def test_every_answer_to_a_fork_counts_for_whoever_was_asked(tmp_path):
    with whole_numbers():
        forked = run(forking(rounds=8, privacy=WHOLE, **COHORT), tmp_path)
    sent = Counter(message["holder"] for message in forked.messages)
    assert [sent[k] for k in range(20)] == stated(forked)["releases"]
    assert sum(sent.values()) > 8 * 6  # forks have cost releases
    assert forked.manifest["stale_blocks"] > 0
    assert forked.verify().ok


def test_a_sampled_run_is_the_same_for_any_number_of_workers(forked, tmp_path):
    again = run(forking(rounds=8, **COHORT), tmp_path, workers=2)
    assert again.manifest["head"] == forked.manifest["head"]
    assert without_wall_time(again) == without_wall_time(forked)


@pytest.mark.parametrize("rounds", [1, 4])
def test_a_sampled_run_goes_on_to_the_head_it_would_have_had(forked, tmp_path, rounds):
    class Stops(Callback):
        def on_round_end(self, ended):
            if ended.record.round == rounds:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(forking(rounds=8, **COHORT), tmp_path, callbacks=[Stops()])
    (folder,) = tmp_path.glob("small-*")
    resumed = resume(folder)
    assert resumed.manifest["head"] == forked.manifest["head"]
    assert stated(resumed) == stated(forked)
    assert without_wall_time(resumed) == without_wall_time(forked)


def test_a_message_of_a_holder_that_is_not_asked_in_this_round_is_refused(tmp_path):
    made = simulate(small(rounds=4, **COHORT), tmp_path)
    setup, node = made.setup, made.simulation.compute_nodes[0]
    asked, number = setup.sampling.holders_of(1), setup.genesis.header.hash
    outside = next(k for k in range(20) if k not in asked)
    said = declaration_of(setup.mechanism, setup.rules.records[0][0])
    vector = np.random.default_rng(0).standard_normal(len(setup.state.weights))

    def offered(holder: int, round_of_key: int) -> str:
        before = len(node.incidents.refusals)
        identity = setup.identities.of(holder, round_of_key)
        context = ReleaseContext(
            secret=bytes(32), chain_id=number, parent=number, round=1, holder=holder
        )
        request = ReleaseRequest(context, identity)
        (message,) = messages_of(vector[None] * (holder + 2), [request], [said], "int16")
        node.receive(message, 0.0)
        return (
            node.incidents.refusals[before].reason if len(node.incidents.refusals) > before else ""
        )

    assert "identity" in offered(outside, 1)
    assert "identity" in offered(setup.sampling.holders_of(2)[0], 2)
    assert offered(asked[0], 1) == ""
    made.close()


def test_a_holder_without_releases_left_is_silent_on_whatever_seat_it_sits(tmp_path):
    asked = {"nodes.cohort": 18, "privacy.spare_releases": 0, "ledger.quorum": 0.5, "seed": 1}
    with whole_numbers():
        found = run(forking(rounds=16, privacy=WHOLE, **{**COHORT, **asked}), tmp_path)
    most = sampling_of(found.scenario).most_releases
    assert max(stated(found)["releases"]) == most == stated(found)["releases_allowed"]
    assert 0 < len(found.manifest["silent"][BUDGET_SPENT]) <= 20


def test_adding_a_holder_leaves_the_delays_of_the_others_alone_but_no_key():
    before, after = (build_setup(small(rounds=2, **{"nodes.holders": k})) for k in (10, 11))
    keys = [{made.identities.of(k, 2).public_key for k in range(10)} for made in (before, after)]
    assert not keys[0] & keys[1]  # their records are others, and so is what is agreed
    assert np.array_equal(after.graph.links[: 3 + 30], before.graph.links)
    assert np.array_equal(after.graph.seconds[: 3 + 30], before.graph.seconds)


def test_a_compute_node_does_not_wait_for_holders_that_are_not_asked(quiet):
    assert {row["messages"] for row in quiet.metrics} == {6}
    assert build_setup(quiet.scenario).rules.quorum == math.ceil(0.8 * 6)
    assert all(row["time_s"] < 30.0 * row["round"] for row in quiet.metrics)  # no deadline passes


def test_the_releases_of_very_many_holders_are_stated_in_short(tmp_path):
    many = {**COHORT, "task.kind": "digits", "nodes.holders": 1200, "privacy.delta": 1e-5}
    found = run(small(rounds=3, **many, **{"evaluate.samples": 0}), tmp_path)
    said = stated(found)
    most = sampling_of(found.scenario).most_releases
    assert said["releases"] == {"min": 0, "median": 0.0, "max": most}
    assert sum(said["holders_by_releases"].values()) == 1200
    assert sum(int(n) * count for n, count in said["holders_by_releases"].items()) == 18
    assert said["records"]["min"] == 1
    assert "sampling amplifies nothing" in said["guarantee"]


def test_what_a_sampled_scenario_costs_is_told_for_the_cohort(quiet):
    trial = tried(quiet.scenario)
    most = sampling_of(quiet.scenario).most_releases
    told = forecast(quiet.scenario)
    rows = dict(told.rows)
    assert trial.mechanism == build_setup(quiet.scenario).mechanism
    assert rows["who"] == "20 data holders, 6 of them asked in a round, 3 compute nodes"
    assert rows["releases"] == (
        f"{most + 2} at most, for {most} of 10 rounds that one holder is asked in at most"
    )
    whole = forecast(small(rounds=10, privacy=WHOLE, **{"nodes.holders": 20}))
    stored = told.values["round"]["stored_bytes"]
    assert stored == trial.stored_bytes() < 0.4 * whole.values["round"]["stored_bytes"]
    assert "sampling amplifies nothing" in told.values["guarantee"]
    assert "sampling" not in whole.values["guarantee"]


def test_a_block_of_an_open_chain_has_room_for_all_that_a_round_may_ask():
    rules = replace(build_setup(small(rounds=1)).rules, identity="open")
    assert rules.limits.messages == MAX_ASKED

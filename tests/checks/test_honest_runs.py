"""verify of honest runs: whatever a scenario asks for, everything follows, and nothing is written.

All runs are made and checked on one machine, so that messages computed again are equal.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from group_runs import grouped
from other_releases import other_releases, rounded_otherwise
from small_runs import forking, small, spending
from whole_numbers import WHOLE, whole_numbers

from fedchain.checks import RunVerdict, verify
from fedchain.checks.verdict import FAILED, OK, UNCHECKED
from fedchain.runs.callbacks import Callback
from fedchain.runs.running import run
from fedchain.scenario import from_mapping

SYBILS = {
    "nodes": {"holders": 6, "compute": 2, "identity": "open"},
    "attacks": [{"kind": "sign_flip", "holders": [5], "names": 3}],
    "aggregation": {"kind": "median"},
}
SEEING = {"attacks": [{"kind": "sign_flip", "holders": [8, 9], "knowledge": "omniscient"}]}
POISONED = {"attacks": [{"kind": "poisoned", "holders": [8], "records": {"kind": "label_flip"}}]}
FALSE = {"attacks": [{"kind": "wrong_weights", "nodes": [2]}]}
SEED_OF_RETURNS = 6
"""With whole numbers and ``FALSE``, all holders answer a block again after a false one."""
CHAIN = {
    "version": 1,
    "name": "chain",
    "rounds": 20,
    "task": {"kind": "none"},
    "nodes": {"holders": 0, "compute": 3},
    "attacks": [{"kind": "selfish_mining", "nodes": [0]}],
}
RUNS = {
    "attackers": small(4),
    "forks": forking(6),
    "omniscient": small(2, **SEEING),
    "poisoned": small(2, **POISONED),
    "groups": grouped(3, attacks=[{"kind": "sign_flip", "holders": [1], "from_round": 2}]),
    "sybils": small(2, **SYBILS),
    "wrong weights": small(3, **FALSE),
    "momentum": small(3, **{"nodes.momentum": {"kind": "mean"}}),
    "quantile": forking(4, **{"privacy.clip_quantile": 0.5}),
    "privacy filter": spending(5, **SEEING),
    "cohorts": small(3, **{"nodes.cohort": 5, "aggregation": {"kind": "mean"}, "attacks": []}),
    "chain": from_mapping(CHAIN),
}


def results(found: RunVerdict) -> dict[str, str]:
    return {each.what: each.result for each in found.checks}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.parametrize("name", RUNS)
def test_everything_of_an_honest_run_follows_and_nothing_is_written(name, tmp_path):
    done = run(RUNS[name], tmp_path)
    before = contents(done.folder)
    for replay in (False, True):
        found = verify(done.folder, replay=replay)
        assert found.ok, found.reason
        seen = results(found)
        assert [what for what, result in seen.items() if result == FAILED] == []
        followed = {"ledger", "scenario", "genesis", "rounds", "events", "manifest", "privacy"}
        assert {seen[what] for what in followed} == {OK}
        if name != "chain":
            assert seen["metrics"] == OK
            assert (seen["messages"] == OK) == (replay or name == "quantile")
    assert contents(done.folder) == before


def test_epsilon_follows_when_holders_leave_a_false_block_and_answer_its_parent_again(tmp_path):
    scenario = small(3, **FALSE, privacy=WHOLE, seed=SEED_OF_RETURNS)
    with whole_numbers():
        done = run(scenario, tmp_path)
        found = verify(done.folder)
    sent = [(each["holder"], each["id"]) for each in done.messages]
    assert max(Counter(holder for holder, _ in set(sent)).values()) == 3
    assert done.manifest["epsilon"]["worst_holder_releases"] == 3
    assert found.ok, found.reason


def test_on_another_processor_messages_differ_in_the_last_bits_and_the_verdict_says_by_how_much(
    tmp_path,
):
    with whole_numbers():
        done = run(forking(6, privacy={**WHOLE, "spare_releases": 6}), tmp_path)
        assert any(message["late"] for message in done.messages)
        with other_releases(rounded_otherwise):
            found = verify(done.folder, replay=True)
            words = {each.what: each.words for each in found.checks}
            assert found.ok, found.reason
            assert "another processor or library rounds so" in words["messages"]
            assert "of their length away (cosine 1.000000000), first round 1" in words["messages"]
            assert "messages that no block has are rounded otherwise here" in words["events"]


def test_an_unfinished_run_is_followed_as_far_as_its_events_go(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(small(4), tmp_path, callbacks=[Stop(2)])
    (folder,) = tmp_path.iterdir()
    found = verify(folder)
    assert found.ok, found.reason
    seen = results(found)
    assert (seen["events"], seen["metrics"], seen["manifest"]) == (OK, OK, OK)
    assert (seen["rounds"], seen["tables"]) == (UNCHECKED, UNCHECKED)


class Stop(Callback):
    """A callback that interrupts a run after a round."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_round_end(self, ended):
        if ended.record.round == self.after:
            raise KeyboardInterrupt


def test_without_its_secret_a_run_is_checked_as_far_as_data_and_ledger_go(tmp_path):
    mine = tmp_path / "secret"
    done = run(small(2), tmp_path / "runs", secret=mine)
    found = verify(done.folder)
    assert (found.ok, results(found)["genesis"]) == (True, UNCHECKED)
    assert results(found)["the rest"] == UNCHECKED
    assert {results(found)[what] for what in ("events", "metrics", "privacy")} == {OK}
    assert "--secret FILE" in " ".join(found.unchecked)
    known = verify(done.folder, secret=mine, replay=True)
    assert (known.ok, results(known)["messages"]) == (True, OK)
    other = tmp_path / "other"
    other.write_text("ab" * 32 + "\n")
    other.chmod(0o600)
    assert results(verify(done.folder, secret=other))["genesis"] == FAILED


def test_a_run_whose_directions_were_not_kept_is_followed_by_a_replay_only(tmp_path):
    scenario = small(4, **{"disk.keep_messages": 1, "nodes.compute": 1})
    done = run(scenario, tmp_path)
    found = verify(done.folder)
    assert (found.ok, results(found)["the rest"]) == (True, UNCHECKED)
    assert "--replay makes the run again" in " ".join(found.unchecked)
    assert (results(found)["events"], results(found)["privacy"]) == (OK, OK)
    again = verify(done.folder, replay=True)
    assert again.ok, again.reason
    assert results(again)["events"] == OK

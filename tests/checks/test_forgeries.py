"""Run folders with something replaced: verify refuses each, or says that it did not check it.

The forger knows every file and the seed, and keeps all hashes, seals and tables consistent.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from other_releases import other_releases
from small_runs import small

from fedchain.ledger.storage.store import Store
from fedchain.nodes.holders.release import ReleaseContext
from fedchain.reports.report import report
from fedchain.results import LEDGER, Run, RunFolder
from fedchain.runs.running import run

ALONE = {"nodes.compute": 1}
"""One compute node: its chain never forks."""
Event = dict[str, Any]


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Run:
    made = run(small(3, **ALONE), tmp_path_factory.mktemp("done"))
    report([made.folder], figures=(), tables=("csv", "md"))
    return made


@pytest.fixture
def copy(done, tmp_path) -> Path:
    return shutil.copytree(done.folder, tmp_path / "copy")


def verdict(folder: Path, *options: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return the exit code of verify, the result of each check, and all that JSON says."""
    told = call("verify", folder, "--format", "json", *options)
    found = json.loads(told.out)
    return told.code, {each["what"]: each["result"] for each in found["checks"]}, found


def refused(folder: Path, what: str, words: str, *options: str) -> None:
    """Assert that verify ends with 5 since one check failed, and says why."""
    code, results, found = verdict(folder, *options)
    assert (code, found["ok"], results[what]) == (5, False, "failed"), found
    assert words in found["reason"]


def unchecked(folder: Path, what: str, words: str, *options: str) -> None:
    """Assert that verify ends with 0, and says that it did not check this."""
    code, results, found = verdict(folder, *options)
    assert (code, results[what]) == (0, "not checked"), found
    assert any(words in each for each in found["unchecked"])


def edit_manifest(folder: Path, **values: Any) -> None:
    edit_json(folder / "manifest.json", lambda there: there.update(values))


def edit_json(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(file.read_text("utf-8"))
    change(values)
    file.write_text(json.dumps(values, indent=2) + "\n", "utf-8")


def edit_events(folder: Path, change: Callable[[Event], Event | None]) -> None:
    """Replace events, and write the tables that follow from them."""
    file = folder / "events.ndjson"
    events = map(change, map(json.loads, file.read_text("utf-8").splitlines()))
    file.write_text("".join(json.dumps(e) + "\n" for e in events if e is not None), "utf-8")
    RunFolder(folder).write_tables()


def replace_ledger(folder: Path, source: Path, blocks: int | None = None) -> None:
    """Write another ledger into a folder: the first blocks of the given one, or all."""
    shutil.rmtree(folder / LEDGER)
    with Store.open(source / LEDGER, writable=False) as from_:
        first = from_.state(from_.genesis.header.hash)
        with Store.create(folder / LEDGER, from_.rules, from_.genesis, first) as to:
            for block in list(from_.blocks())[:blocks]:
                name = block.header.hash
                to.append(block, from_.state(name), from_.arrived_ms(name))


def cut_off(folder: Path, done: Run, blocks: int, **manifest: Any) -> None:
    """Cut blocks off the end of a run, with their events and all that a manifest says of them."""
    replace_ledger(folder, done.folder, blocks)
    edit_events(folder, lambda event: event if event["round"] <= blocks else None)
    head = done.metrics[blocks - 1]["block"] if blocks else None
    edit_manifest(folder, head=head, height=blocks, **manifest)


def test_an_untouched_copy_is_accepted(copy):
    assert verdict(copy)[0] == 0
    assert verdict(copy, "--replay")[1]["messages"] == "ok"


def test_words_name_what_was_checked_what_was_not_and_what_is_wrong(copy):
    told = call("verify", copy, "--no-metrics", "--format", "plain")
    assert told.code == 0
    rows = dict(line.split(maxsplit=1) for line in told.out.splitlines() if " " in line)
    assert rows["manifest"].startswith("ok ")
    assert rows["messages"].startswith("not checked ")
    assert "--replay computes each of them again" in rows["messages"]
    edit_manifest(copy, seed=9)
    told = call("verify", copy, "--no-metrics", "--format", "plain")
    assert (told.code, told.err) == (5, "")
    first, head = told.out.splitlines()[:2]
    assert first == "FAILED: manifest.json: seed: is 9, where 0 follows"
    assert head.startswith("head ")


def test_what_a_forger_writes_does_not_reach_the_terminal_as_a_command_and_is_no_traceback(copy):
    edit_manifest(copy, name="\x1b[2Jwiped")
    told = call("verify", copy, "--no-metrics")
    assert (told.code, told.err, "\x1b[2J" in told.out) == (5, "", False)
    assert r"\x1b[2Jwiped" in told.out
    edit_manifest(copy, status=["finished"])
    told = call("verify", copy, "--no-metrics")
    assert (told.code, told.out) == (2, "")
    assert "manifest.json: status: must be text, got ['finished'] (a list)" in told.err
    edit_manifest(copy, status="finished", head="\x1b[2J")
    assert call("verify", copy, "--no-metrics").code == 5
    for damage in ("[]", "{", '{"event": "round", "round": 1}\n'):
        for name in ("privacy.json", "events.ndjson", "metrics.csv"):
            other = shutil.copytree(copy, copy.parent / "damaged")
            (other / name).write_text(damage, "utf-8")
            told = call("verify", other, "--no-metrics")
            assert (told.code, told.err) == (5, ""), told.err
            shutil.rmtree(other)


def test_another_epsilon_in_the_manifest_is_refused(copy, done):
    epsilon = {**done.manifest["epsilon"], "total": 0.01}
    edit_manifest(copy, epsilon=epsilon)
    refused(copy, "manifest", "manifest.json: epsilon.total: is 0.01, where ")


@pytest.mark.parametrize(
    ("key", "value"),
    [("baselines", {}), ("stale_blocks", 7), ("seed", 9), ("score", "dice"), ("description", "x")],
)
def test_another_value_in_the_manifest_is_refused(copy, key, value):
    edit_manifest(copy, **{key: value})
    refused(copy, "manifest", f"manifest.json: {key}")


def test_another_accuracy_is_refused_and_without_measuring_it_is_not_checked(copy):
    def better(event: Event) -> Event:
        if event["event"] == "round" and event["round"] == 3:
            event["metrics"]["accuracy"] = 0.9999
        return event

    edit_events(copy, better)
    (copy / "tables").rename(copy.parent / "tables")
    refused(copy, "metrics", "accuracy: is 0.9999, where ")
    unchecked(copy, "metrics", "the models were not measured again", "--no-metrics")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda v: v.update(epsilon_total=0.01), "epsilon_total"),
        (lambda v: v["releases"].__setitem__(0, 1), "releases[0]"),
        (lambda v: v.update(guarantee="nothing can be learned"), "guarantee"),
        (lambda v: v.update(warnings=["none"]), "warnings"),
    ],
)
def test_another_privacy_statement_is_refused(copy, change, key):
    edit_json(copy / "privacy.json", change)
    refused(copy, "privacy", f"privacy.json: {key}")


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("message", "holder", 0),
        ("message", "attack", ""),
        ("message", "used", True),
        ("message", "share", 0.5),
        ("message", "epsilon", 0.01),
        ("round", "epsilon", 0.01),
        ("round", "releases", 1),
        ("round", "time_s", 1.0),
        ("round", "byzantine", 0),
        ("round", "block", "ab" * 32),
    ],
)
def test_another_event_is_refused(copy, kind, key, value):
    def changed(event: Event) -> Event:
        if event["event"] == kind and event["round"] == 3:
            event[key] = value
        return event

    edit_events(copy, changed)
    refused(copy, "events", f"{kind}: {key}: is {value}", "--no-metrics")


def test_events_that_are_missing_or_too_many_are_refused(copy):
    lines = (copy / "events.ndjson").read_text("utf-8").splitlines(keepends=True)
    for kept, words in ((lines[:-1], "ends after"), ([*lines, lines[-1]], "does not make")):
        (copy / "events.ndjson").write_text("".join(kept), "utf-8")
        refused(copy, "events", words, "--no-metrics")


@pytest.mark.parametrize("name", ["metrics.csv", "messages.csv"])
def test_another_line_of_a_table_of_the_run_is_refused(copy, name):
    lines = (copy / name).read_text("utf-8").splitlines(keepends=True)
    (copy / name).write_text("".join([*lines[:-1], "9" + lines[-1]]), "utf-8")
    refused(copy, "tables", f"{name}:{len(lines)}: is not what events.ndjson says", "--no-metrics")
    (copy / name).write_text("".join([*lines, lines[-1]]), "utf-8")
    words = f"{name}:{len(lines) + 1}: is not what events.ndjson says"
    refused(copy, "tables", words, "--no-metrics")
    (copy / name).unlink()
    refused(copy, "tables", f"{name}: cannot be read", "--no-metrics")


def test_another_table_of_the_report_is_refused_and_pictures_are_not_checked(copy):
    unchecked(copy, "other files", "report.html", "--no-metrics")
    file = copy / "tables" / "metrics.csv"
    file.write_text(file.read_text("utf-8").replace("accuracy", "Accuracy"), "utf-8")
    refused(copy, "report", "tables/metrics.csv: is not what fedchain report writes")


@pytest.mark.parametrize(
    ("old", "new", "what", "words"),
    [
        ("epsilon: 30.0", "epsilon: 0.01", "scenario", "privacy.epsilon: is 30; the scenario says"),
        ("seed: 0", "seed: 1", "genesis", "another seed, secret or data"),
        ("from_round: 3", "from_round: 1", "events", "attack: is , where sign_flip follows"),
    ],
)
def test_another_scenario_is_refused(copy, old, new, what, words):
    file = copy / "resolved.yaml"
    file.write_text(file.read_text("utf-8").replace(old, new, 1), "utf-8")
    refused(copy, what, words, "--no-metrics")


@pytest.mark.parametrize("blocks", [0, 2])
@pytest.mark.parametrize("status", ["finished", "stalled", "budget_exhausted"])
def test_blocks_cut_off_at_the_end_are_refused_if_the_run_is_said_to_be_over(
    copy, done, blocks, status
):
    cut_off(copy, done, blocks, status=status)
    words = f"{blocks} of 3 rounds: manifest.json says finished, so blocks were cut off"
    if status == "finished":
        refused(copy, "rounds", words, "--no-metrics")
    else:
        refused(
            copy, "events", f"makes block {'' if blocks == 0 else done.metrics[2]['block'][:8]}"
        )


@pytest.mark.parametrize("blocks", [0, 2])
def test_blocks_cut_off_from_a_run_that_is_said_to_go_on_are_named_as_unknown(copy, done, blocks):
    cut_off(copy, done, blocks, status="interrupted")
    edit_manifest(copy, epsilon={**done.manifest["epsilon"], "total": 0.01})
    unchecked(copy, "rounds", f"{blocks} of 3 rounds: the run has not ended, says manifest.json")
    unchecked(copy, "figures", "epsilon")
    unchecked(copy, "tables", "privacy.json and tables")


@pytest.mark.parametrize("blocks", [0, 2])
def test_blocks_cut_off_from_a_chain_without_a_manifest_are_named_as_unknown(copy, done, blocks):
    cut_off(copy, done, blocks)
    (copy / "manifest.json").unlink()
    words = f"ends at height {blocks}; its genesis asks for 3 rounds"
    unchecked(copy, "rounds", words)
    unchecked(copy, "run", "without manifest.json it is no run, and nothing is read")


def test_another_genesis_is_refused(copy, tmp_path):
    other = run(small(3, seed=1, **ALONE), tmp_path / "other")
    replace_ledger(copy, other.folder)
    edit_manifest(copy, head=other.manifest["head"])
    refused(copy, "genesis", "where scenario, data and seed give")
    code, _, found = verdict(copy)
    assert code == 5
    assert any("the rest: metrics, epsilon, privacy.json" in each for each in found["unchecked"])


def test_a_folder_of_another_machine_with_another_genesis_is_said_to_be_unchecked(copy):
    edit_manifest(copy, platform="another processor")
    assert verdict(copy)[0] == 0  # the same genesis: no rounding matters
    file = copy / "resolved.yaml"
    file.write_text(file.read_text("utf-8").replace("seed: 0", "seed: 1", 1), "utf-8")
    edit_manifest(copy, seed=1)
    words = "another seed, secret or data, or the rounding of another machine: the run states other"
    unchecked(copy, "genesis", words, "--no-metrics")


def test_the_ledger_of_another_scenario_is_refused(copy, tmp_path):
    other = run(small(2, **{**ALONE, "privacy.epsilon": 1.0}), tmp_path / "other")
    replace_ledger(copy, other.folder)
    edit_manifest(copy, head=other.manifest["head"])
    refused(copy, "scenario", "genesis: privacy.epsilon: is 1; the scenario says 30")


def own_choice(releases: np.ndarray, contexts: Sequence[ReleaseContext]) -> None:
    """Replace every release by one of the forger's choice, for each holder another."""
    for row, context in zip(releases, contexts, strict=True):
        row[:] = np.cos(np.arange(len(row)) * (1.0 + context.holder))


def one_turned(releases: np.ndarray, contexts: Sequence[ReleaseContext]) -> None:
    """Turn the release of holder 4 in round 2 around."""
    for row, context in zip(releases, contexts, strict=True):
        row *= -1.0 if (context.round, context.holder) == (2, 4) else 1.0


def test_a_history_with_weights_of_somebodys_choice_is_refused_by_a_replay_and_else_not_checked(
    tmp_path,
):
    with other_releases(own_choice):
        forged = run(small(3, **ALONE), tmp_path)
    unchecked(forged.folder, "messages", "--replay computes each of them again")
    refused(forged.folder, "messages", "which is not what data and seed give", "--replay")
    reason = verdict(forged.folder, "--replay")[2]["reason"]
    assert reason.startswith("round 1, participant ")
    assert "0 of 30 messages are equal, bit for bit" in reason


def test_one_message_of_somebodys_choice_is_named(tmp_path):
    with other_releases(one_turned):
        forged = run(small(3, **ALONE), tmp_path)
    code, results, found = verdict(forged.folder, "--replay", "--no-metrics")
    assert (code, results["messages"]) == (5, "failed")
    assert found["reason"].startswith("round 2, participant 4, message ")
    assert "cosine -1" in found["reason"]
    assert "29 of 30 messages are equal" in found["reason"]


def test_without_its_secret_a_run_with_another_accuracy_epsilon_or_order_is_refused(tmp_path):
    done = run(small(3, **ALONE), tmp_path / "runs", secret=tmp_path / "secret")
    changes: list[tuple[str, str, Callable[[Event], Event | None]]] = [
        (
            "metrics",
            "accuracy: is 2.0",
            lambda e: {**e, "metrics": {**e["metrics"], "accuracy": 2.0}},
        ),
        ("events", "messages: is 3", lambda e: {**e, "messages": 3}),
        ("events", "does not follow", lambda e: None if e["round"] == 2 else e),
        ("events", "round 1: ", lambda e: {**e, "block": "ab" * 32}),
    ]
    for number, (what, words, change) in enumerate(changes):
        copy = shutil.copytree(done.folder, tmp_path / str(number))
        edit_events(copy, lambda e: change(e) if e["event"] == "round" else e)  # noqa: B023
        refused(copy, what, words)
    copy = shutil.copytree(done.folder, tmp_path / "private")
    edit_json(copy / "privacy.json", lambda v: v.update(epsilon_total=0.01))
    refused(copy, "privacy", "privacy.json: epsilon_total: is 0.01")

"""Checks of docs/format.md, each broken once on a chain made by hand: both name the field.

After the one thing that is wrong, everything that follows from it is right again.
"""

from __future__ import annotations

import copy
import random
import re
import subprocess
import sys
from pathlib import Path

import agreed_mutants
import chain_mutants
import format_tables
import fuzz_chain
import hand_bytes
import numpy as np
import pytest
from broken_chains import BROKEN, HALF, OPEN, THREE, agreed_with, speaking
from hand_chain import ROOT, Hand, first_weights, make
from verify_chain import canonical, chain, encoding, rules
from verify_chain.encoding import UnknownRule, Wrong

from fedchain.errors import FedchainError
from fedchain.ledger.tools.chain_file import verify_file
from fedchain.transition import steps_of


def reasons(data: bytes, folder: Path) -> tuple[str, str]:
    """Return why each verifier refuses a chain; empty if it accepts it."""
    file = folder / "made.fedchain"
    file.write_bytes(data)
    try:
        chain.verify(data)
        theirs = ""
    except (Wrong, UnknownRule) as error:
        theirs = str(error)
    try:
        ours = verify_file(file, steps_of(trust_user_parts=False)).reason
    except FedchainError as error:
        ours = str(error)
    return theirs, ours


def test_both_accept_a_chain_made_by_hand(tmp_path):
    for agreed in (
        {},
        {"privacy__clip": None},
        {"privacy__clip": "inf"},
        {"ledger__work": "sampled"},
    ):
        assert reasons(make(Hand(agreed=agreed_with(**agreed))), tmp_path) == ("", "")
    unnamed = speaking(Hand(agreed=agreed_with(**OPEN)), **THREE)
    assert reasons(make(unnamed), tmp_path) == ("", "")


def test_copies_of_zero_count_and_copies_of_a_direction_do_not(tmp_path):
    assert reasons(make(speaking(Hand(), silent=(0, 1, 2, ROOT))), tmp_path) == ("", "")
    heard = {}

    def copied(kind: str, record: dict) -> None:
        if kind == "message":
            first = heard.setdefault(record["parent"], record)
            record |= {key: first[key] for key in ("exponent", "direction")}

    found = reasons(make(speaking(Hand(), silent=(), hook=copied)), tmp_path)
    assert all("messages: two have the same payload" in reason for reason in found)


@pytest.mark.parametrize("name", BROKEN)
def test_both_refuse_what_breaks_a_check_and_name_the_field(name, tmp_path):
    field, hand = BROKEN[name]
    for reason in reasons(make(copy.deepcopy(hand)), tmp_path):
        assert re.search(rf"\b({field})\b", reason), reason


def test_both_check_the_order_of_messages(tmp_path):
    def turned(kind: str, record: dict) -> None:
        if kind == "header" and record["number"] == 2:
            record["messages"].reverse()
            record["header"]["messages_root"] = hand_bytes.root_of(record["messages"])

    for reason in reasons(make(speaking(Hand(), hook=turned)), tmp_path):
        assert "messages: must stand in ascending order of their ids" in reason


WRONG = {
    "format": 1,
    "aggregation": 3,
    "update": [],
    "task": "x",
    "privacy": None,
    "privacy.kind": "x" * 65,
    "privacy.noise": [1.0, -1.0],
    "privacy.clip": 0,
    "groups": 3,
    "momentum": "x",
    "threat": [],
    "records": [[2, 1], [1, 1]],
    "root": 1,
    "commitment": "AB" * 32,
    "model": 3,
    "model.dimension": 2**32,
    "model.dtype": "int8",
    "model.layout": [["w", [-1]]],
    "ledger": None,
    "ledger.holders": True,
    "ledger.identity": "none",
    "ledger.identity_root": "00",
    "ledger.quorum": -1,
    "ledger.rounds": 0.5,
    "ledger.storage": "float32",
    "ledger.max_norm": 0,
    "ledger.work": "",
    "ledger.bits": 0x1D800000,
    "ledger.interval_ms": 0,
    "ledger.retarget_window": "1",
    "ledger.max_ahead_ms": 2.0**54,
}
"""A value of each key that is not allowed."""
OTHER = {
    "aggregation": {"kind": "l_nearest", "keep": 2},
    "update": {"kind": "gradient_descent", "learning_rate": 0.5},
    "task": {"kind": "made_up", "records": 17},
    "privacy": {"kind": "gaussian", "delta": 1e-6, "noise": [1.25, 1.5], "clip": 0.5},
    "privacy.kind": "skellam",
    "privacy.noise": [1.25],
    "privacy.clip": "inf",
    "groups": {"size": 3},
    "momentum": {"kind": "mean"},
    "threat": None,
    "records": [[3, 1], [5, 1], [9, 1]],
    "root": False,
    "commitment": "ba" * 32,
    "model.dimension": 4,
    "model.dtype": "float32",
    "model.layout": [],
    "ledger.holders": 4,
    "ledger.identity": "open",
    "ledger.identity_root": "11" * 32,
    "ledger.quorum": 2,
    "ledger.rounds": 5,
    "ledger.storage": "int8",
    "ledger.max_norm": 101,
    "ledger.work": "sampled",
    "ledger.bits": HALF,
    "ledger.interval_ms": 1001,
    "ledger.retarget_window": 50,
    "ledger.max_ahead_ms": 5001,
}
"""Another value of each key that is allowed; `format`, `model` and `ledger` have one alone."""


def test_the_table_of_the_format_the_lesson_and_these_tests_have_the_same_keys():
    keys = set(format_tables.agreed_rows())
    assert keys == set(WRONG) == set(rules.KEYS)
    assert keys == set(OTHER) | {"format", "model", "ledger"}


@pytest.mark.parametrize("key", WRONG)
@pytest.mark.parametrize("missing", [False, True])
def test_both_refuse_a_wrong_or_missing_value_of_what_is_agreed_and_name_the_key(
    key, missing, tmp_path
):
    def spoilt(kind: str, record: dict) -> None:
        if kind == "agreed":
            agreed_mutants.put(record, key, format_tables.DELETED if missing else WRONG[key])

    for reason in reasons(make(speaking(Hand(), hook=spoilt)), tmp_path):
        assert "rules: " in reason
        assert re.search(rf"\b{key if not missing else key.rpartition('.')[2]}\b", reason), reason


@pytest.mark.parametrize("key", ["extra", "model.extra", "ledger.extra"])
def test_both_refuse_a_key_that_nobody_knows(key, tmp_path):
    def added(kind: str, record: dict) -> None:
        if kind == "agreed":
            agreed_mutants.put(record, key, 1)

    for reason in reasons(make(speaking(Hand(), hook=added)), tmp_path):
        assert "rules: " in reason


@pytest.mark.parametrize("key", OTHER)
def test_blocks_do_not_stand_on_a_genesis_with_one_agreed_value_changed(key, tmp_path):
    def changed(kind: str, record: dict) -> None:
        if kind == "file":
            agreed = copy.deepcopy(hand.agreed)
            agreed_mutants.put(agreed, key, OTHER[key])
            agreed |= {"records": [], "root": False} if key == "ledger.identity" else {}
            record["rules"] = canonical.write(agreed).encode()
            first = first_weights(Hand(agreed=agreed))
            record["weights"] = encoding.write_tensors({"weights": first})

    hand = speaking(Hand(), hook=changed, **THREE)
    for reason in reasons(make(hand), tmp_path):
        assert re.search(r"parent|stands before its parent|chain_id", reason), reason


def test_a_chain_that_is_made_again_as_a_whole_with_another_agreed_value_is_a_right_chain(tmp_path):
    for key in ("privacy.noise", "threat", "commitment", "task", "ledger.max_norm"):
        hand = Hand()
        agreed_mutants.put(hand.agreed, key, OTHER[key])
        assert reasons(make(hand), tmp_path) == ("", "")


@pytest.mark.parametrize("memory", [b"", bytes(5), encoding.write_tensors({"m": np.ones(3)})])
def test_the_first_memory_is_empty(memory, tmp_path):
    def filled(kind: str, record: dict) -> None:
        if kind == "file":
            record["memory"] = memory

    for reason in reasons(make(Hand(hook=filled)), tmp_path):
        assert reason.startswith("file: ")
        assert "the first" in reason


@pytest.mark.parametrize("weights", ["records", {"kind": "records", "cap": "median"}, None])
@pytest.mark.parametrize("rule", [{"kind": "mean"}, {"kind": "l_nearest", "keep": 1}])
@pytest.mark.parametrize("speakers", [(0, 1, 2, ROOT), (ROOT,)])
def test_both_weight_messages_by_their_records_alike(weights, rule, speakers, tmp_path):
    hand = Hand(agreed=agreed_with(aggregation={**rule, "weights": weights}))
    assert reasons(make(speaking(hand, speakers=speakers)), tmp_path) == ("", "")


def test_weights_by_records_need_registered_ones(tmp_path):
    hand = Hand(agreed=agreed_with(aggregation={"kind": "mean", "weights": "records"}, **OPEN))
    for reason in reasons(make(speaking(hand, **THREE)), tmp_path):
        assert "weights: must be equal where identities are open" in reason


ROBUST = (
    {"kind": "fltrust"},
    {"kind": "centred_clipping", "steps": 2, "scale": "median_clip"},
    {"kind": "caf", "byzantine": 1, "first": [{"kind": "nnm", "byzantine": 1}]},
    {"kind": "average_of", "rules": [{"kind": "centred_clipping"}, {"kind": "trimmed_mean"}]},
)


@pytest.mark.parametrize("rule", ROBUST, ids=lambda rule: rule["kind"])
def test_both_accept_chains_with_robust_rules(rule, tmp_path):
    hand = Hand(agreed=agreed_with(aggregation=rule))
    assert reasons(make(speaking(hand, speakers=(0, 1, 2, ROOT))), tmp_path) == ("", "")


@pytest.mark.parametrize(
    "rule", [{"kind": "krum", "byzantine": 1}, {"kind": "mda", "byzantine": 2}], ids=str
)
def test_both_refuse_a_block_with_too_few_messages_for_its_rule(rule, tmp_path):
    hand = Hand(agreed=agreed_with(aggregation=rule))
    for reason in reasons(make(speaking(hand)), tmp_path):
        assert "messages: no step can be made from them" in reason


PARAMETERS = list(
    {
        row: (kind, row)
        for kind, rows in format_tables.parameter_rows().items()
        for row in rows.values()
    }.values()
)
"""Every parameter of the rules and updates of docs/format.md, with one kind that has it."""


def with_value(key: str, value: object, **changes: object) -> Hand:
    """Return a hand without blocks, and with one value of what is agreed."""

    def hook(kind: str, record: dict) -> None:
        if kind == "agreed":
            agreed_mutants.put(record, key, value)

    return Hand(parents=(), hook=hook, **changes)


@pytest.mark.parametrize(("kind", "row"), PARAMETERS, ids=lambda v: getattr(v, "key", v))
def test_both_read_the_bounds_of_a_parameter_as_their_table_states_them(kind, row, tmp_path):
    right, wrong = format_tables.values_of(row)
    (wrong if row.required else right).append(format_tables.DELETED)
    for value in [*right, *wrong]:
        hand = Hand()
        key = agreed_mutants.placed(random.Random(0), hand, kind, row.key)
        for reason in reasons(make(with_value(key, value, agreed=hand.agreed)), tmp_path):
            allowed = any(value is each for each in right)
            assert (reason == "") == allowed, (key, value, reason)
            assert allowed or re.search(rf"\b({row.key}|kind|learning_rate)\b", reason)


@pytest.mark.parametrize("key", format_tables.agreed_rows())
def test_both_read_the_bounds_of_an_agreed_key_as_their_table_states_them(key, tmp_path):
    right, wrong = format_tables.values_of(format_tables.agreed_rows()[key])
    for value in wrong:
        for reason in reasons(make(with_value(key, value)), tmp_path):
            assert reason.startswith(("rules: ", key.partition(".")[0])), (value, reason)
    for value in right:
        for reason in reasons(make(with_value(key, value)), tmp_path):
            assert not reason.startswith(f"rules: {key}: got"), (value, reason)


NESTED = b"[" * 900 + b"]" * 900
RATE = b'"update":{"kind":"momentum","learning_rate":0.5,"momentum":0.9}'
TEXTS = {
    "nested lists": (b'"groups":null', b'"groups":' + NESTED),
    "lists without end": (b'"groups":null', b'"groups":' + b"[" * 3000),
    "a rule of nested lists": (b'"aggregation":{', b'"aggregation":{"x":' + NESTED + b","),
    "a rate that is no number": (b'"learning_rate":0.5', b'"learning_rate":NaN'),
    "a rate beyond float64": (b'"learning_rate":0.5', b'"learning_rate":1e999'),
    "an update of lists": (RATE, b'"update":' + b"[" * 3000),
    "no interval": (b'"interval_ms":1000', b'"interval_ms":0'),
    "averages inside each other": (
        RATE,
        b'"update":' + b'{"kind":"averaged","of":' * 2 + RATE[9:] + b"}}",
    ),
}
"""Spellings of rules that once were read in two ways, or crashed a reader."""


@pytest.mark.parametrize("name", TEXTS)
def test_both_refuse_rules_that_once_crashed_a_reader(name, tmp_path):
    found, other = TEXTS[name]

    def spelled(text: bytes) -> bytes:
        assert found in text
        return text.replace(found, other)

    for reason in reasons(make(Hand(parents=(), text=spelled)), tmp_path):
        assert re.match(r"rules: |update: ", reason)
        assert "\n" not in reason


def test_the_fuzzer_finds_no_difference_and_says_so(tmp_path):
    script = Path(fuzz_chain.__file__)
    done = subprocess.run(
        [sys.executable, script, "--mutants", "40", "--seed", "7", "--keep", tmp_path / "kept"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 mutants" in done.stdout
    assert "0 with different verdicts" in done.stdout
    assert not (tmp_path / "kept").exists()


def test_some_hundred_mutants_meet_no_difference_and_most_reasons_to_refuse():
    found = fuzz_chain.counted(3, range(110))
    assert [str(outcome) for outcome in found.differing] == []
    assert found.words["sealed"] >= 0.3 * found.words["mutants"]
    assert found.words["accepted"] >= 15
    assert [name for name in found.reasons if name.startswith("not in the table")] == []
    assert len(found.reasons.keys() & set(fuzz_chain.all_reasons())) > 40


def test_the_fuzzer_reports_and_keeps_a_difference(monkeypatch, tmp_path):
    monkeypatch.setattr(rules, "check_together", lambda _: None)
    monkeypatch.setitem(rules.KEYS, "ledger.interval_ms", rules.whole(0, rules.MOST))
    monkeypatch.setattr(sys, "argv", ["fuzz_chain.py", "--keep", str(tmp_path / "kept")])
    made = chain_mutants.mutant(random.Random("0:1"))
    hand = Hand(parents=())
    agreed_mutants.put(hand.agreed, "ledger.interval_ms", 0)
    made = made._replace(data=make(hand))
    monkeypatch.setattr(chain_mutants, "mutant", lambda _: made)
    monkeypatch.setattr(fuzz_chain, "fuzzed", lambda seed, _: fuzz_chain.counted(seed, range(1)))
    with pytest.raises(SystemExit, match="1"):
        fuzz_chain.main()
    assert [file.name for file in (tmp_path / "kept").iterdir()] == ["0-0.fedchain"]


def test_broken_checks_have_the_reasons_that_the_format_lists(tmp_path):
    met = {
        fuzz_chain.reason_of(reasons(make(copy.deepcopy(hand)), tmp_path)[1])
        for _, hand in BROKEN.values()
    }
    assert met <= set(fuzz_chain.all_reasons())
    assert len(met) > 50


def test_a_mutant_follows_from_its_seed_alone():
    first, again = (chain_mutants.mutant(random.Random("0:3")) for _ in range(2))
    assert first == again

"""The browser's verifier, run by Node, says of every chain file what ``fedchain verify`` says."""

from __future__ import annotations

import copy
import os
import re
from dataclasses import replace

import chain_mutants
import format_tables
import fuzz_chain
import pytest
from broken_chains import BROKEN, OPEN, agreed_with, said
from browser_verifier import BrowserVerdict, BrowserVerifier, is_here
from hand_chain import ROOT, Hand, make
from small_runs import forking
from verify_chain.encoding import sha

import fedchain
from fedchain.ledger.chain.block import decode_start, encode_header
from fedchain.ledger.chain.message import Limits, decode_message, encode_message
from fedchain.ledger.tools import tampering
from fedchain.ledger.tools.chain_file import verify_file
from fedchain.results import exported_to
from fedchain.scenario import load
from fedchain.scenario.shipped import shipped_files
from fedchain.transition import steps_of


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the browser's verifier, in one process of Node for all tests here."""
    if not is_here():
        assert not os.environ.get("CI"), "Node or the packages of web/ are missing: npm ci"
        pytest.skip("Node or the packages of web/ are not here")
    with BrowserVerifier(tmp_path_factory.mktemp("judge")) as verifier:
        yield verifier


@pytest.fixture
def agrees(page, tmp_path):
    """Return a function that asks both verifiers, compares them, and returns the page's verdict."""

    def asked(data: bytes) -> BrowserVerdict:
        file = tmp_path / "chain.fedchain"
        file.write_bytes(data)
        ours, said = verify_file(file, steps_of(trust_user_parts=False)), page.verdict(data)
        found = (ours.ok, ours.block, ours.height, ours.blocks)
        assert (said.ok, said.block, said.height, said.blocks) == found, (said, ours)
        return said

    return asked


TWELVE = {**OPEN, "ledger__holders": 12, "model__dimension": 9, "model__layout": []}
FIRST = (
    [],
    [{"kind": "nnm", "byzantine": 1}],
    [{"kind": "norm_clipping"}, {"kind": "bucketing", "size": 2}],
    [{"kind": "bucketing"}, {"kind": "norm_clipping", "radius": 0.7}, {"kind": "nnm"}],
)
SCALES = ("restore", "median_clip", "unit", "restore")
ROOTED = ("fltrust",)


def rule_of(kind: str, place: int) -> dict:
    """Return a rule with some of its parameters; which ones follows from the place."""
    usual = {"first": FIRST[place], "scale": SCALES[place]}
    byzantine = {"byzantine": 1 + (place < 2)}
    own = {
        "l_nearest": {"keep": 4 + place},
        "krum": {"byzantine": 1, "keep": 1 + place},
        "trimmed_mean": {"trim": 2},
        "bulyan": {"byzantine": 2 * (place < 2)},
        "dnc": {**byzantine, "iterations": 1 + place % 2},
        "centred_clipping": {"steps": 1 + place, "radius": 3.0 if place == 1 else None},
        "geometric_median": {"steps": 5},
    }
    few = byzantine if kind in ("mean_around_median", "caf", "mda", "smea") else {}
    if kind == "average_of":
        inner = ({"kind": "dnc", "byzantine": 1, **usual}, {"kind": "centred_clipping", **usual})
        return {"kind": kind, "rules": list(inner)}
    return {"kind": kind, **usual, **own.get(kind, few)}


KINDS = sorted(
    kind for kind in format_tables.parameter_rows() if format_tables.stands_in_a_rule(kind)
)


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in format_tables.PRE_AGGREGATIONS]
)
def test_it_computes_the_models_of_every_rule_bit_for_bit(kind, agrees):
    for place in range(len(FIRST)):
        rule = rule_of(kind, place)
        if kind in ROOTED:  # a public root is registered
            hand = Hand(agreed=agreed_with(aggregation=rule))
            hand.speakers = (0, 1, 2, ROOT)
        else:
            hand = Hand(agreed=agreed_with(aggregation=rule, **TWELVE))
            hand.speakers, hand.silent = tuple(range(12)), (1,) * (place % 2)
        hand.agreed["model"]["dtype"] = ("float64", "float32")[place % 2]
        hand.agreed["ledger"]["storage"] = ("int16", "int8", "int32", "int16")[place]
        hand.parents = (0, 1)  # the second block has the memory of the first
        said = agrees(make(hand))
        assert (said.ok, said.blocks, said.not_checked) == (True, 2, [])
        assert "models" in said.checked


def test_it_computes_every_update_bit_for_bit(agrees):
    descent = {"kind": "gradient_descent", "learning_rate": 0.25}
    updates = [
        *chain_mutants.UPDATES,
        {"kind": "averaged", "of": {"kind": "distance_over_gradients"}},
        {"kind": "averaged", "of": descent, "decay": 0.25},  # the decay counts from round 2 on
    ]
    for place, update in enumerate(updates):
        hand = Hand(agreed=agreed_with(update=update))
        hand.agreed["model"]["dtype"] = ("float64", "float32")[place % 2]
        said = agrees(make(hand))
        assert (said.ok, said.blocks) == (True, 4)


@pytest.mark.parametrize("weights", ["records", {"kind": "records", "cap": "median"}])
def test_it_weights_messages_by_their_records(weights, agrees):
    for rule in ({"kind": "mean"}, {"kind": "l_nearest", "keep": 2}):
        for first in ([], [{"kind": "bucketing"}]):
            whole = {**rule, "weights": weights, "first": first}
            assert agrees(make(Hand(agreed=agreed_with(aggregation=whole)))).ok


def test_it_names_the_field_of_every_broken_check_and_the_block_that_verify_names(agrees):
    for name, (field, hand) in BROKEN.items():
        said = agrees(make(copy.deepcopy(hand)))
        assert re.search(rf"\b({field})\b", said.reason), (name, said.reason)


def test_it_says_what_it_has_not_checked(page):
    hand = Hand(agreed=agreed_with(aggregation={"kind": "my_lab.rules:midrange"}), parents=())
    said = page.verdict(make(hand))
    assert said.not_checked == ["aggregation: my_lab.rules:midrange"]
    assert "models" not in said.checked


class Export:
    """A chain file in parts, of which one may be changed."""

    def __init__(self, data: bytes) -> None:
        rules = 16 + int.from_bytes(data[12:16])
        weights = rules + 8 + int.from_bytes(data[rules : rules + 8])
        self.first_weight = weights - 8
        self.head_at, at = weights + 20, weights + 52
        self.data = bytearray(data[:-32])
        self.blocks: list[tuple[int, int]] = []
        while at < len(self.data):
            size = int.from_bytes(data[at + 8 : at + 16])
            self.blocks.append((at + 16, at + 16 + size))
            at += 16 + size

    def with_block(self, number: int, block: bytes) -> bytes:
        """Return the file with another block, its length and the digest right."""
        start, end = self.blocks[number]
        size = len(block).to_bytes(8)
        return sealed(bytes(self.data[: start - 8]) + size + block + bytes(self.data[end:]))

    def block(self, number: int) -> bytes:
        start, end = self.blocks[number]
        return bytes(self.data[start:end])

    def flipped(self, place: int) -> bytes:
        """Return the file with one bit changed, the digest right."""
        return sealed(
            bytes(self.data[:place]) + bytes([self.data[place] ^ 1]) + bytes(self.data[place + 1 :])
        )


def sealed(data: bytes) -> bytes:
    return data + sha(data)


def with_message(block: bytes, name: str) -> bytes:
    """Return a block whose first message has another value of a field."""
    size = int.from_bytes(block[364:368])
    first = decode_message(block[368 : 368 + size], Limits(messages=1, entries=1000))
    changed = encode_message(tampering._change_message(first, name))
    return block[:364] + len(changed).to_bytes(4) + changed + block[368 + size :]


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Return the exported chain of a small run with stale blocks."""
    folder = tmp_path_factory.mktemp("export")
    run = fedchain.run(forking(5), out=folder)
    exported_to(run.folder, folder / "chain.fedchain")
    return Export((folder / "chain.fedchain").read_bytes())


NOT_EXPORTED = {"sequence", "hash", "height", "parent", "address", "work", "messages", "seal"}


@pytest.mark.parametrize("field", tampering.DAMAGEABLE)
def test_it_names_the_block_that_verify_names_for_every_field_of_tamper(field, export, agrees):
    family, _, name = field.rpartition(".")
    if family == "index" or (family == "column" and name in NOT_EXPORTED):
        pytest.skip("stands in the database alone")
    number = len(export.blocks) // 2
    block = export.block(number)
    if field in tampering.HEADER_FIELDS:
        header = decode_start(block[:360]).header
        other = replace(header, **{field: tampering._change(getattr(header, field))})
        data = export.with_block(number, encode_header(other) + block[264:])
    elif family == "message":
        data = export.with_block(number, with_message(block, name))
    elif family == "column" and name == "arrived_ms":
        data = export.flipped(export.blocks[number][0] - 9)
    else:
        start = export.blocks[number][0]
        places = {"public_key": start + 264, "signature": start + 296, "head": export.head_at}
        places |= {"weights": start + 160, "memory": start + 192, "messages": start + 500}
        data = export.flipped(places[name])
    said = agrees(data)
    assert said.ok == (name == "arrived_ms")
    assert bool(said.block) == (name != "head")


def test_a_head_with_less_work_than_another_block_is_refused(export, agrees):
    name = sha(sha(export.block(0)[:264]))
    data = bytes(export.data[: export.head_at]) + name + bytes(export.data[export.head_at + 32 :])
    assert "less work" in agrees(sealed(data)).reason


def test_a_noise_of_negative_zero_is_another_spelling_and_refused(agrees):
    silent = {"noise": -0.0, "noise_step": 0}
    assert "noise: is -0" in agrees(make(said(0, silent, privacy__noise=[0]))).reason


def test_it_accepts_the_export_itself_and_refuses_other_first_weights(export, agrees):
    said = agrees(sealed(bytes(export.data)))
    assert said.ok
    assert said.blocks == len(export.blocks) > said.height
    assert not agrees(export.flipped(export.first_weight)).ok


def test_it_differs_in_no_mutant_and_meets_most_kinds_of_reasons(page, tmp_path):
    met = set()
    for outcome in fuzz_chain.outcomes(11, range(60), tmp_path):
        assert outcome.page is not None
        assert not outcome.differs, outcome
        met.add(fuzz_chain.reason_of(outcome.page.reason))
    assert len(met) > 20


SHORT = "breast_cancer"
NEED_DATA = {"mosd", "real_scans"}
"""Scenarios whose data do not come with fedchain."""


@pytest.mark.parametrize(
    "name",
    [
        name if name == SHORT else pytest.param(name, marks=pytest.mark.long)
        for name in sorted(shipped_files().keys() - NEED_DATA)
    ],
)
def test_it_agrees_with_verify_on_every_shipped_scenario(name, agrees, tmp_path):
    small = {"rounds": 2, "evaluate.every": 2, "attacks": [], "sweep": None}
    run = fedchain.run(load(name, set=small), out=tmp_path)
    exported_to(run.folder, tmp_path / "export")
    said = agrees((tmp_path / "export").read_bytes())
    assert said.ok
    assert said.not_checked == []

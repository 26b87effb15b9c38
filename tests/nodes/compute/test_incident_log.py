from __future__ import annotations

from dataclasses import replace

from ledger_world import make_world

from fedchain.nodes.compute import incident_log as findings
from fedchain.nodes.compute.incident_log import IncidentLog

WORLD = make_world()
GOOD = WORLD.messages(WORLD.chain_id, 1)[0]
HEADER = WORLD.block(WORLD.chain()).header


def test_refusals_are_counted_and_only_the_first_ones_kept(monkeypatch):
    monkeypatch.setattr(findings, "KEPT_REFUSALS", 3)
    found = IncidentLog()
    for number in range(8):
        found.refuse_message(1.0, replace(GOOD, norm=float(number)), "why")
    assert (found.refused, len(found.refusals)) == (8, 3)


def test_a_message_without_a_name_is_noted_all_the_same():
    found = IncidentLog()
    found.refuse_message(1.0, replace(GOOD, round=-1), "round: has no encoding")
    assert found.refusals[0].id == b""


def test_a_refused_block_is_known_again_for_a_while(monkeypatch):
    monkeypatch.setattr(findings, "KEPT_NAMES", 2)
    found = IncidentLog()
    headers = [replace(HEADER, nonce=nonce) for nonce in range(3)]
    for header in headers:
        found.ignore(header)
    assert [header.hash in found.ignored for header in headers] == [False, True, True]


def test_only_a_second_block_of_one_maker_on_one_parent_is_evidence():
    found = IncidentLog()
    found.saw(1.0, b"a", HEADER)
    found.saw(2.0, b"b", replace(HEADER, address=b"\x09" * 32))
    found.saw(3.0, b"c", replace(HEADER, parent=b"\x09" * 32))
    assert found.evidence == []
    found.saw(4.0, b"d", HEADER)
    (pair,) = found.evidence
    assert (pair.first, pair.second, pair.time_s, pair.maker) == (b"a", b"d", 4.0, HEADER.address)


def test_evidence_and_what_it_is_found_by_are_bounded(monkeypatch):
    monkeypatch.setattr(findings, "KEPT_REFUSALS", 2)
    monkeypatch.setattr(findings, "KEPT_NAMES", 4)
    found = IncidentLog()
    for number in range(9):
        found.saw(1.0, b"%d" % number, HEADER)
        found.saw(1.0, b"x%d" % number, replace(HEADER, parent=b"%032d" % number))
    assert len(found.evidence) == 2
    assert len(found._made) == 4

from __future__ import annotations

from dataclasses import replace

from ledger_world import make_world

from fedchain.ledger.chain.block import Block, sign_block, without_messages
from fedchain.nodes.compute import incident_log as findings
from fedchain.nodes.compute.incident_log import Evidence, IncidentLog

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


def block_of(miner: bytes, **changes: object) -> Block:
    return without_messages(WORLD.block(WORLD.chain(), miner=miner, **changes))


def test_only_a_second_block_of_one_maker_on_one_parent_is_evidence():
    found, chain = IncidentLog(), WORLD.chain()
    first, second = block_of(b"one"), block_of(b"one", time_ms=2000)
    WORLD.grow(chain, 1)
    found.saw(1.0, first)
    found.saw(2.0, block_of(b"two"))
    found.saw(3.0, without_messages(WORLD.block(chain, miner=b"one")))
    assert found.evidence == []
    found.saw(4.0, second)
    (pair,) = found.evidence
    assert (pair.first, pair.second, pair.time_s) == (first, second, 4.0)
    assert pair.holds


def test_without_the_signature_of_its_maker_a_block_is_no_evidence_against_it():
    good, second = block_of(b"one"), block_of(b"one", time_ms=2000)
    framed = [
        replace(second, signature=bytes(64)),
        replace(second, signature=good.signature),
        sign_block(second, bytes(32)),
        replace(sign_block(second, bytes(32)), public_key=good.public_key),
        replace(second, header=replace(second.header, time_ms=2001)),
        good,
        replace(good, signature=bytes(64)),
    ]
    for other in framed:
        assert not Evidence(time_s=0.0, first=good, second=other).holds
        assert not Evidence(time_s=0.0, first=other, second=good).holds
        found = IncidentLog()
        found.saw(1.0, good)
        found.saw(2.0, other)
        assert found.evidence == []


def test_a_refused_block_names_its_maker_only_if_the_maker_has_signed_it():
    found, good = IncidentLog(), block_of(b"one")
    found.refuse_block(1.0, good, "why")
    found.refuse_block(1.0, sign_block(good, bytes(32)), "why")
    found.refuse_block(1.0, replace(good, header=replace(good.header, nonce=-1)), "why")
    assert [each.maker for each in found.refusals] == [good.header.address, b"", b""]


def test_evidence_and_what_it_is_found_by_are_bounded(monkeypatch):
    monkeypatch.setattr(findings, "KEPT_REFUSALS", 2)
    monkeypatch.setattr(findings, "KEPT_NAMES", 4)
    found = IncidentLog()
    for number in range(9):
        found.saw(1.0, block_of(b"%d" % number))
        found.saw(1.0, block_of(b"%d" % number, time_ms=2000))
    assert len(found.evidence) == 2
    assert len(found._made) == 4

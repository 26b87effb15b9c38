from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from ledger_world import HOLDERS, MINERS, ROUNDS, address_of_miner, make_world, signed, step

from fedchain.ledger.chain.block import Block, header_prefix, sign_block
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.work import is_paid, search, target_from_compact
from fedchain.nodes.compute import compute_node
from fedchain.nodes.compute import incident_log as findings
from fedchain.nodes.compute.compute_node import ComputeNode
from fedchain.nodes.compute.hashing import Effort
from fedchain.nodes.payloads import DeadlinePassed, NonceFound, Objection, Searching, Send
from fedchain.timing import Stopwatch

WORLD = make_world()
ADDRESS = address_of_miner(b"node two")
RATE = 8.0
DEADLINE = 30.0


def make_node(world=WORLD, recall=lambda *_: None):
    chain = world.chain()
    effort = Effort(DEADLINE, RATE, HOLDERS, lambda *_: 0.5)
    node = ComputeNode(
        node=2,
        secret=MINERS[ADDRESS],
        chain=chain,
        pool=world.pool(chain),
        rules=world.rules,
        transition=step,
        effort=effort,
        recall=recall,
        watch=Stopwatch(),
    )
    return SimpleNamespace(node=node, chain=chain)


@pytest.fixture
def made():
    return make_node()


def hear(node, messages, now_s=1.0):
    return [send for message in messages for send in node.receive(message, now_s)]


def test_a_node_waits_at_genesis_for_its_deadline(made):
    (send,) = made.node.start()
    assert (send.payload, send.to) == (DeadlinePassed(WORLD.chain_id), 2)
    assert send.after_s == DEADLINE


def test_before_the_deadline_a_quorum_is_not_enough_and_everybody_is(made):
    *most, last = WORLD.messages(WORLD.chain_id, 1)
    assert hear(made.node, most) == []
    (send,) = made.node.receive(last, 1.0)
    assert len(send.payload.block.messages) == HOLDERS


def test_at_the_deadline_a_quorum_is_enough(made):
    messages = WORLD.messages(WORLD.chain_id, 1)[:2]
    hear(made.node, messages)
    (send,) = made.node.receive(DeadlinePassed(WORLD.chain_id), DEADLINE)
    assert send.payload.block.messages == messages


def test_after_the_deadline_the_message_that_makes_the_quorum_starts_the_work(made):
    first, second, *_ = WORLD.messages(WORLD.chain_id, 1)
    made.node.receive(first, 1.0)
    assert made.node.receive(DeadlinePassed(WORLD.chain_id), DEADLINE) == []
    (send,) = made.node.receive(second, 31.0)
    assert len(send.payload.block.messages) == 2


def test_the_deadline_of_another_head_changes_nothing(made):
    hear(made.node, WORLD.messages(WORLD.chain_id, 1)[:3])
    assert made.node.receive(DeadlinePassed(bytes(32)), DEADLINE) == []


def test_the_deadline_of_another_head_does_not_take_back_the_own(made):
    first, second, *_ = WORLD.messages(WORLD.chain_id, 1)
    made.node.receive(first, 1.0)
    for parent in (WORLD.chain_id, bytes(32)):
        assert made.node.receive(DeadlinePassed(parent), DEADLINE) == []
    assert len(made.node.receive(second, 31.0)) == 1


def test_work_begins_once_for_each_head(made):
    messages = WORLD.messages(WORLD.chain_id, 1)
    hear(made.node, messages[:2])
    assert len(made.node.receive(DeadlinePassed(WORLD.chain_id), DEADLINE)) == 1
    assert hear(made.node, messages[2:]) == []
    assert made.node.receive(DeadlinePassed(WORLD.chain_id), DEADLINE) == []


def test_an_invalid_message_is_refused_with_its_reason_and_does_not_count(made):
    good, other, *_ = WORLD.messages(WORLD.chain_id, 1)
    hear(made.node, [good, replace(other, norm=other.norm / 2)], 4.0)
    (refusal,) = made.node.incidents.refusals
    assert (refusal.time_s, "signature" in refusal.reason) == (4.0, True)
    assert made.node.receive(DeadlinePassed(WORLD.chain_id), DEADLINE) == []


def test_no_more_than_so_many_refusals_are_remembered(made, monkeypatch):
    monkeypatch.setattr(findings, "KEPT_REFUSALS", 3)
    good = WORLD.messages(WORLD.chain_id, 1)[0]
    hear(made.node, [replace(good, norm=float(n)) for n in range(1, 9)])
    assert len(made.node.incidents.refusals) == 3


def test_the_found_block_has_its_work_and_took_its_tries(made):
    (send,) = hear(made.node, WORLD.messages(WORLD.chain_id, 1), 2.5)
    block = send.payload.block
    assert isinstance(send.payload, NonceFound)
    assert is_paid("hashcash", block.header.hash, target_from_compact(block.header.bits))
    assert send.at_s == 2.5 + (block.header.nonce + 1) / RATE
    assert (block.header.address, block.header.time_ms) == (ADDRESS, 2500)


def test_a_long_search_is_cut_and_finds_the_same_nonce_after_the_same_time(monkeypatch):
    messages = WORLD.messages(WORLD.chain_id, 1)
    (at_once,) = hear(make_node().node, messages)
    monkeypatch.setattr(compute_node, "stretch", lambda _: 1)
    node = make_node().node
    (send,), cuts = hear(node, messages), 0
    while isinstance(send.payload, Searching):
        cuts += 1
        assert send.at_s == 1.0 + cuts / RATE
        (send,) = node.receive(send.payload, send.at_s)
    assert (send.payload, send.at_s) == (at_once.payload, at_once.at_s)
    assert cuts == at_once.payload.block.header.nonce > 0


def test_a_node_stops_its_search_when_another_node_has_found_the_block(monkeypatch):
    tried = []
    monkeypatch.setattr(compute_node, "stretch", lambda _: 4)
    monkeypatch.setattr(
        compute_node, "search", lambda _, first, most, __: tried.append((first, most))
    )
    made = make_node()
    (send,) = hear(made.node, WORLD.messages(WORLD.chain_id, 1))
    (send,) = made.node.receive(send.payload, send.at_s)
    made.node.receive(WORLD.block(made.chain), 3.0)
    assert made.node.receive(send.payload, send.at_s) == []
    assert tried == [(0, 4), (4, 4)]


def test_a_found_block_becomes_the_head_goes_to_everybody_and_starts_a_new_wait(made):
    (send,) = hear(made.node, WORLD.messages(WORLD.chain_id, 1))
    told, wait = made.node.receive(send.payload, 3.0)
    assert (told.payload.header, told.to) == (send.payload.block.header, "everybody")
    assert told.payload.forgery == ""  # the node has signed it
    assert made.chain.head == told.payload.header.hash
    assert wait.payload == DeadlinePassed(made.chain.head)


def test_work_on_a_head_that_is_passed_is_thrown_away(monkeypatch):
    monkeypatch.setattr(compute_node, "stretch", lambda _: 1)
    made = make_node()
    (searching,) = hear(made.node, WORLD.messages(WORLD.chain_id, 1))
    block = WORLD.block(made.chain)
    assert made.node.receive(block, 3.0)[0].payload == DeadlinePassed(block.header.hash)
    assert made.node.receive(searching.payload, 3.0) == []
    assert made.node.receive(NonceFound(searching.payload.block), 3.0) == []


def twins(made):
    """Return two blocks on genesis, the smaller hash first."""
    return sorted(
        (WORLD.block(made.chain, miner=miner) for miner in (b"\x01", b"\x02")),
        key=lambda block: block.header.hash,
    )


def test_a_node_without_messages_at_the_block_that_it_saw_first_turns_to_that_of_the_holders(made):
    # genesis -+- first     the node's head, seen first; no holder follows it
    #          |
    #          +- smaller   as much work and a smaller hash: all holders follow it
    smaller, first = twins(made)
    made.node.receive(first, 3.0)
    assert made.node.receive(smaller, 3.1) == []
    spoken = WORLD.messages(smaller.header.hash, 2)
    assert hear(made.node, spoken, 3.2) == []
    (work,) = made.node.receive(DeadlinePassed(first.header.hash), 33.0)
    assert work.payload.block.header.parent == smaller.header.hash
    assert work.payload.block.messages == spoken


def test_a_node_that_has_waited_in_vain_turns_also_to_a_block_that_comes_later(made):
    smaller, first = twins(made)
    made.node.receive(first, 3.0)
    assert made.node.receive(DeadlinePassed(first.header.hash), 33.0) == []
    (wait,) = made.node.receive(smaller, 40.0)
    assert wait.payload == DeadlinePassed(smaller.header.hash)
    assert made.node.receive(DeadlinePassed(first.header.hash), 41.0) == []
    assert len(hear(made.node, WORLD.messages(smaller.header.hash, 2), 42.0)) == 1


def test_a_node_with_a_quorum_stays_at_the_block_that_it_saw_first(made):
    smaller, first = twins(made)
    made.node.receive(first, 3.0)
    made.node.receive(smaller, 3.1)
    hear(made.node, WORLD.messages(first.header.hash, 2)[:2], 3.2)
    hear(made.node, WORLD.messages(smaller.header.hash, 2), 3.3)
    (work,) = made.node.receive(DeadlinePassed(first.header.hash), 33.0)
    assert work.payload.block.header.parent == first.header.hash


def test_a_node_that_works_when_the_deadline_passes_goes_on_with_it(made):
    smaller, first = twins(made)
    made.node.receive(first, 3.0)
    made.node.receive(smaller, 3.1)
    (found,) = hear(made.node, WORLD.messages(first.header.hash, 2), 3.2)
    assert made.node.receive(DeadlinePassed(first.header.hash), 33.0) == []
    made.node.receive(found.payload, 34.0)
    assert made.chain.link(made.chain.head).header.parent == first.header.hash


def test_messages_that_came_before_their_parent_are_used_when_it_comes(made):
    other = WORLD.chain()
    block = WORLD.grow(other, 1)[0]
    early = WORLD.messages(other.head, 2)
    assert hear(made.node, early) == []
    (work,) = made.node.receive(block, 3.0)
    assert work.payload.block.messages == early


def test_a_wrong_block_is_refused_and_the_head_stays(made):
    after = step(WORLD.state, WORLD.messages(WORLD.chain_id, 1))
    wrong = State(np.nextafter(after.weights, np.inf), after.memory)
    block = WORLD.block(made.chain, after=wrong)
    assert made.node.receive(block, 3.0) == [Send(Objection(block, 2), "everybody")]
    assert made.node.receive(block, 4.0) == []  # told once
    assert "weights are not the aggregate" in made.node.incidents.refusals[0].reason
    assert made.chain.head == WORLD.chain_id


def copies(block):
    """Return a block's header with what is not its own, as anybody can send it."""
    first, *rest = block.messages
    flipped = bytes([first.signature[0] ^ 1]) + first.signature[1:]
    return [
        replace(block, messages=()),
        replace(block, messages=(replace(first, signature=flipped), *rest)),
        replace(block, messages=(replace(first, public_key=b"short"), *rest)),
        replace(block, messages=(*block.messages, block.messages[-1])),
        replace(block, signature=bytes(64)),
        replace(block, signature=block.signature[1:]),
        sign_block(block, MINERS[ADDRESS]),
    ]


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("known", [True, False])
def test_a_header_with_other_messages_or_signature_says_nothing_against_its_block(
    made, number, known
):
    below, *_ = WORLD.grow(WORLD.chain(), 1)
    other = WORLD.chain()
    other.add(below, 9000)
    block = WORLD.block(other)
    if known:
        made.node.receive(below, 3.0)
    assert made.node.receive(copies(block)[number], 3.0) == []
    (refusal,) = made.node.incidents.refusals
    assert (refusal.what, refusal.id) == ("block", block.header.hash)
    what = [*["messages"] * 4, *["signature: is not"] * 2, "public_key: is not"]
    assert what[number] in refusal.reason
    assert refusal.maker == (block.header.address if number < 4 else b"")  # nobody is framed
    made.node.receive(block, 3.0)
    made.node.receive(below, 3.0)
    assert made.chain.head == block.header.hash
    assert len(made.node.incidents.refusals) == 1


def test_an_orphan_that_turns_out_wrong_is_refused_with_its_reason(made):
    other = WORLD.chain()
    first = WORLD.grow(other, 1)[0]
    after = step(other.state(other.head), WORLD.messages(other.head, 2))
    wrong = WORLD.block(other, after=State(np.nextafter(after.weights, np.inf), after.memory))
    assert made.node.receive(wrong, 3.0) == []
    assert made.node.incidents.refusals == []
    sends = made.node.receive(first, 4.0)
    assert Send(Objection(wrong, 2), "everybody") in sends
    (refusal,) = made.node.incidents.refusals
    assert (refusal.time_s, "weights are not" in refusal.reason) == (4.0, True)
    assert made.chain.height == 1


def test_a_block_is_never_older_than_the_median_below_it(made):
    for block in WORLD.grow(WORLD.chain(), 3):
        made.node.receive(block, 0.0)
    (send,) = hear(made.node, WORLD.messages(made.chain.head, 4), 0.0)
    assert send.payload.block.header.time_ms == made.chain.link(made.chain.head).median_ms + 1


def test_nothing_is_waited_for_after_the_last_round():
    world = make_world(rounds=1)
    made = make_node(world)
    assert made.node.receive(world.block(made.chain), 3.0) == []
    assert made.node.start() == []
    assert hear(made.node, world.messages(made.chain.head, 2)) == []
    assert ROUNDS > 2  # the messages themselves exist


@pytest.mark.parametrize("luck", [0, 1], ids=["any nonce", "nonce 0"])
def test_a_recalled_block_comes_at_its_time_again_without_hashing(monkeypatch, luck):
    found = lucky_block() if luck else hear(make_node().node, ALL)[0].payload.block
    nonce = found.header.nonce
    assert (nonce == 0) == bool(luck)
    monkeypatch.setattr(compute_node, "stretch", lambda _: 3)
    monkeypatch.setattr(compute_node, "TRIES", 6)
    monkeypatch.setattr(compute_node, "search", lambda *_: pytest.fail("hashed"))
    asked = {(WORLD.chain_id, ADDRESS): found}
    made = make_node(recall=lambda *at: asked.get(at))
    (send,), cuts = hear(made.node, ALL), 0
    while isinstance(send.payload, Searching):
        cuts += 1
        (send,) = made.node.receive(send.payload, send.at_s)
    assert send.payload == NonceFound(found)
    assert cuts == nonce // 3  # the same events as in the run that was interrupted
    assert send.at_s == 1.0 + (nonce + 1) / RATE


ALL = WORLD.messages(WORLD.chain_id, 1)


def lucky_block() -> Block:
    """A block whose first nonce has the work."""
    block = WORLD.block(WORLD.chain())
    target = target_from_compact(block.header.bits)
    for time_ms in range(1000, 2000):
        header = replace(block.header, address=ADDRESS, time_ms=time_ms, nonce=0)
        if search(header_prefix(header), 0, 1, target) == 0:
            return signed(header, block.messages)
    raise AssertionError

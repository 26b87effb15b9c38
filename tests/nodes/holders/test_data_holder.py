from __future__ import annotations

import pytest

from fedchain.ledger.chain.block import Block
from fedchain.nodes.holders.data_holder import KEPT_OBJECTIONS, DataHolder, Speak
from fedchain.nodes.payloads import Objection


class Client:
    """A light client that is told its head."""

    head, height = b"genesis", 0

    def has_work(self, header) -> bool:
        return True

    def add(self, header) -> bool:
        changed, (self.head, self.height) = header != (self.head, self.height), header
        return changed

    def refuse(self, name) -> bool:
        before, self.head, self.height = self.head, b"genesis", 0
        return before != self.head


def block(name: bytes, height: int, forgery: str = "") -> Block:
    made = Block((name, height), ())
    vars(made).update(forgery=forgery)
    return made


def objection(node: int, name: bytes = b"one") -> Objection:
    class Named(tuple):
        """A header that knows its hash."""

        hash = name

    return Objection(Block(Named(), ()), node)


@pytest.fixture
def holder() -> DataHolder:
    return DataHolder(node=7, client=Client(), rounds=5, judges=2)


def test_a_holder_wants_to_speak_at_genesis_and_at_every_new_head(holder):
    assert holder.start() == Speak(b"genesis", 1)
    assert holder.receive(block(b"one", 1)) == Speak(b"one", 2)
    assert holder.receive(block(b"one", 1)) is None  # no other head


def test_a_holder_follows_no_header_that_its_maker_has_not_signed(holder):
    assert holder.receive(block(b"one", 1, forgery="signature: is another's")) is None
    assert holder.client.head == b"genesis"
    assert holder.receive(block(b"one", 1)) == Speak(b"one", 2)


def test_a_holder_does_not_want_to_speak_at_a_head_that_has_gone(holder):
    intent = holder.start()
    assert holder.client.head == intent.parent
    holder.receive(block(b"one", 1))
    assert holder.client.head != intent.parent


def test_after_the_last_round_a_holder_rests(holder):
    assert holder.receive(block(b"last", 5)) is None


def test_what_a_holder_does_not_know_changes_nothing(holder):
    assert holder.receive("anything") is None


def test_a_head_that_most_other_full_nodes_refuse_is_left(holder):
    intent = holder.receive(block(b"one", 1))
    assert holder.receive(objection(0)) is None
    assert holder.receive(objection(0)) is None  # one voice, however often it repeats itself
    assert holder.receive(objection(1)) == Speak(b"genesis", 1)
    assert holder.client.head != intent.parent


def test_a_flood_of_objections_is_bounded_and_takes_nobody_elses_voice_away(holder):
    holder.receive(block(b"one", 1))
    holder.receive(objection(0))
    for number in range(3 * KEPT_OBJECTIONS):
        assert holder.receive(objection(5, b"made up %d" % number)) is None
    assert sum(map(len, holder._objections.values())) == KEPT_OBJECTIONS + 1
    assert holder.receive(objection(1)) == Speak(b"genesis", 1)
    assert holder.client.head == b"genesis"

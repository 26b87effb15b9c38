from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

import pytest

from fedchain.ledger.block import Block
from fedchain.nodes.attendance import Attendance
from fedchain.nodes.data_holder import (
    BUDGET_SPENT,
    GRADIENT_S,
    KEPT_OBJECTIONS,
    NO_DIRECTION,
    TOO_FEW,
    DataHolder,
    GradientDone,
)
from fedchain.nodes.findings import Objection
from fedchain.privacy.budget import Budget
from fedchain.privacy.mechanisms import gaussian
from fedchain.secure_aggregation.assembler import Step


class Client:
    """A light client that is told its head."""

    head, height = b"genesis", 0

    def add(self, header) -> bool:
        self.head, self.height = header
        return True

    def refuse(self, name) -> bool:
        before, self.head, self.height = self.head, b"genesis", 0
        return before != self.head


def block(name: bytes, height: int) -> Block:
    return Block((name, height), ())


@pytest.fixture
def holder():
    mechanism = gaussian(2, 10, epsilon=1.0, clip=0.1, spare_releases=0)
    begun = []
    budgets = defaultdict(lambda: Budget(mechanism))
    made = DataHolder(
        7,
        Client(),
        lambda round_: 40 + round_ % 2,
        budgets.__getitem__,
        lambda *at: begun.append(at),
        lambda *_: Attendance(),
        lambda *_: ["message"],
        5,
        2,
    )
    return SimpleNamespace(node=made, begun=begun, budgets=budgets)


def test_a_holder_begins_at_genesis_and_is_done_a_gradient_later(holder):
    (send,) = holder.node.start()
    assert (send.payload, send.to, send.after_s) == (GradientDone(b"genesis"), 7, GRADIENT_S)
    assert holder.begun == [(41, b"genesis", 1)]


def test_a_gradient_that_is_done_becomes_one_message_and_one_release(holder):
    (send,) = holder.node.receive(GradientDone(b"genesis"), 1.0)
    assert (send.payload, send.to) == ("message", "compute")
    assert holder.budgets[41].releases == 1


def test_a_gradient_at_a_head_that_has_gone_is_never_released(holder):
    holder.node.receive(block(b"one", 1), 0.5)
    assert holder.node.receive(GradientDone(b"genesis"), 1.0) == []
    assert holder.budgets[41].releases == 0


def test_after_a_fork_the_second_answer_is_a_second_release(holder):
    holder.node.receive(GradientDone(b"genesis"), 1.0)
    holder.node.receive(block(b"fork", 0), 1.5)
    holder.node.receive(GradientDone(b"fork"), 2.5)
    assert holder.budgets[41].releases == 2


def test_a_holder_whose_budget_is_spent_stays_silent_and_says_why(holder):
    for name in (b"one", b"two", b"three"):
        holder.node.receive(block(name, 2), 0.0)
        sends = holder.node.receive(GradientDone(name), 1.0)
    assert sends == []
    assert holder.node.silent == {41: BUDGET_SPENT}
    assert holder.budgets[41].releases == 2


def test_no_direction_costs_no_release(holder):
    holder.node._release = lambda *_: ()
    assert holder.node.receive(GradientDone(b"genesis"), 1.0) == []
    assert holder.node.silent == {41: NO_DIRECTION}
    assert holder.budgets[41].releases == 0


def test_after_the_last_round_a_holder_rests(holder):
    assert holder.node.receive(block(b"last", 5), 9.0) == []


def test_whoever_sits_there_in_a_round_pays_for_its_release(holder):
    for height in (0, 1, 2):
        name = b"%d" % height
        holder.node.receive(block(name, height), 0.0)
        holder.node.receive(GradientDone(name), 1.0)
    assert {number: budget.releases for number, budget in holder.budgets.items()} == {41: 2, 40: 1}


def objection(node: int, name: bytes = b"one") -> Objection:
    class Named(tuple):
        """A header that knows its hash."""

        _hash = name

    return Objection(Block(Named(), ()), node)


def test_a_head_that_most_other_full_nodes_refuse_is_left_before_the_gradient_is_done(holder):
    holder.node.receive(block(b"one", 1), 0.0)
    assert holder.node.receive(objection(0), 0.1) == []
    assert holder.node.receive(objection(0), 0.2) == []  # one voice, whatever it repeats
    (send,) = holder.node.receive(objection(1), 0.3)
    assert send.payload == GradientDone(b"genesis")
    assert holder.node.receive(GradientDone(b"one"), 1.0) == []
    assert sum(budget.releases for budget in holder.budgets.values()) == 0


def test_a_flood_of_objections_is_bounded_and_takes_nobody_elses_voice_away(holder):
    holder.node.receive(block(b"one", 1), 0.0)
    holder.node.receive(objection(0), 0.1)
    for number in range(3 * KEPT_OBJECTIONS):
        assert holder.node.receive(objection(5, b"made up %d" % number), 0.2) == []
    assert sum(map(len, holder.node._objections.values())) == KEPT_OBJECTIONS + 1
    assert holder.node.receive(objection(1), 0.3) != []
    assert holder.node.client.head == b"genesis"


def failing(number: int, *, counts: bool, last: int = 3) -> Attendance:
    again = 2.5 if number < last else None
    return Attendance(number, {1: Step.NUMBERS}, opens=False, counts=counts, again_s=again)


def test_a_group_of_which_too_few_are_there_tries_again_and_then_speaks(holder):
    holder.node._attend = lambda *at: Attendance() if at[-1] == 2 else failing(1, counts=False)
    (again,) = holder.node.receive(GradientDone(b"genesis"), 1.0)
    assert (again.payload, again.to, again.after_s) == (GradientDone(b"genesis", 2), 7, 2.5)
    assert holder.budgets[41].releases == 0
    (send,) = holder.node.receive(again.payload, 3.5)
    assert (send.payload, send.to) == ("message", "compute")
    assert holder.budgets[41].releases == 1


def test_an_attempt_that_fails_after_shares_were_said_is_a_release_and_is_counted_once(holder):
    holder.node._attend = lambda *at: Attendance() if at[-1] == 2 else failing(1, counts=True)
    for _ in range(2):  # the head went away and came back
        (again,) = holder.node.receive(GradientDone(b"genesis"), 1.0)
    assert holder.budgets[41].releases == 1
    holder.node.receive(again.payload, 3.5)
    assert holder.budgets[41].releases == 2


def test_after_its_last_attempt_a_group_is_silent_and_says_why(holder):
    holder.node._attend = lambda *at: failing(at[-1], counts=False)
    assert holder.node.receive(GradientDone(b"genesis", 3), 1.0) == []
    assert holder.node.silent == {41: TOO_FEW}


def test_attempts_end_with_the_budget(holder):
    holder.node._attend = lambda *at: failing(at[-1], counts=True, last=9)
    for number in (1, 2, 3):
        sends = holder.node.receive(GradientDone(b"genesis", number), 1.0)
    assert sends == []
    assert holder.node.silent == {41: BUDGET_SPENT}
    assert holder.budgets[41].releases == 2


def test_a_group_that_would_try_again_at_a_head_that_has_gone_does_not(holder):
    holder.node._attend = lambda *at: failing(at[-1], counts=False)
    (again,) = holder.node.receive(GradientDone(b"genesis"), 1.0)
    holder.node.receive(block(b"one", 1), 2.0)
    assert holder.node.receive(again.payload, 3.5) == []

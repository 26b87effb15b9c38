from __future__ import annotations

from types import SimpleNamespace

import pytest

from fedchain.ledger.block import Block
from fedchain.nodes.data_holder import (
    BUDGET_SPENT,
    GRADIENT_S,
    NO_DIRECTION,
    DataHolder,
    GradientDone,
)
from fedchain.privacy.budget import Budget
from fedchain.privacy.mechanisms import gaussian


class Client:
    """A light client that is told its head."""

    head, height = b"genesis", 0

    def add(self, header) -> bool:
        self.head, self.height = header
        return True


def block(name: bytes, height: int) -> Block:
    return Block((name, height), ())


@pytest.fixture
def holder():
    mechanism = gaussian(2, 10, epsilon=1.0, clip=0.1, spare_releases=0)
    begun = []
    made = DataHolder(
        7, Client(), Budget(mechanism), lambda *at: begun.append(at), lambda *_: "message", 5
    )
    return SimpleNamespace(node=made, begun=begun)


def test_a_holder_begins_at_genesis_and_is_done_a_gradient_later(holder):
    (send,) = holder.node.start()
    assert (send.payload, send.to, send.after_s) == (GradientDone(b"genesis"), 7, GRADIENT_S)
    assert holder.begun == [(b"genesis", 1)]


def test_a_gradient_that_is_done_becomes_one_message_and_one_release(holder):
    (send,) = holder.node.receive(GradientDone(b"genesis"), 1.0)
    assert (send.payload, send.to) == ("message", "compute")
    assert holder.node.budget.releases == 1


def test_a_gradient_at_a_head_that_has_gone_is_never_released(holder):
    holder.node.receive(block(b"one", 1), 0.5)
    assert holder.node.receive(GradientDone(b"genesis"), 1.0) == []
    assert holder.node.budget.releases == 0


def test_after_a_fork_the_second_answer_is_a_second_release(holder):
    holder.node.receive(GradientDone(b"genesis"), 1.0)
    holder.node.receive(block(b"fork", 0), 1.5)
    holder.node.receive(GradientDone(b"fork"), 2.5)
    assert holder.node.budget.releases == 2


def test_a_holder_whose_budget_is_spent_stays_silent_and_says_why(holder):
    for name in (b"one", b"two", b"three"):
        holder.node.receive(block(name, 1), 0.0)
        sends = holder.node.receive(GradientDone(name), 1.0)
    assert sends == []
    assert holder.node.silent == BUDGET_SPENT
    assert holder.node.budget.releases == 2


def test_no_direction_costs_no_release(holder):
    holder.node._release = lambda *_: None
    assert holder.node.receive(GradientDone(b"genesis"), 1.0) == []
    assert holder.node.silent == NO_DIRECTION
    assert holder.node.budget.releases == 0


def test_after_the_last_round_a_holder_rests(holder):
    assert holder.node.receive(block(b"last", 5), 9.0) == []

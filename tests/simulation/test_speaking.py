"""What becomes of a holder's intent to speak: its budget, its group, its messages."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
from small_runs import simulate, small

from fedchain.nodes.holders.data_holder import (
    BUDGET_SPENT,
    GRADIENT_S,
    NOT_FINITE,
    TOO_FEW,
    Speak,
)
from fedchain.nodes.holders.dropouts import DropoutOutcome
from fedchain.privacy.budget import Budget
from fedchain.privacy.mechanisms import gaussian
from fedchain.secure_aggregation.assembler import Step

GENESIS = b"genesis"


@dataclass
class Service:
    """A release service that computes nothing; two releases are what a budget allows."""

    budgets: dict[int, Budget]
    outcomes: dict[int, DropoutOutcome] = field(default_factory=dict)
    messages: tuple[Any, ...] = ("message",)

    def budget(self, participant: int) -> Budget:
        return self.budgets[participant]

    def attempt(self, participant: int, parent: bytes, round_: int, number: int) -> DropoutOutcome:
        return self.outcomes.get(number, DropoutOutcome())

    def release(self, participant: int, parent: bytes, round_: int) -> tuple[Any, ...]:
        return self.messages


class Speaking:
    """Slot 4 of a simulation whose chain stands still, and what leaves it."""

    def __init__(self, simulation) -> None:
        mechanism = gaussian(2, 10, epsilon=1.0, clip=0.1, spare_releases=0)
        self.service = Service(defaultdict(lambda: Budget(mechanism)))
        self.simulation, self.slot = simulation, simulation.holder_slots[4]
        self.sent = []
        simulation._releases = self.service
        self._post, simulation._transport.post = simulation._transport.post, self.post

    def post(self, node, sends, now_s) -> None:
        """Queue the timers of a holder, and keep what it sends to others."""
        self._post(node, [send for send in sends if send.to == node], now_s)
        self.sent += [send for send in sends if send.to != node]

    def due(self, parent: bytes = GENESIS, attempt: int = 1) -> list[tuple[float, Speak]]:
        """Let the gradient of slot 4 be ready at 1 s; return the attempts that follow."""
        self.slot.client.head = parent
        self.simulation._speak(self.slot, Speak(parent, 1, attempt), 1.0)
        queue = self.simulation._transport.queue
        return [
            (event.time_s, event.payload) for event in [queue.take() for _ in range(len(queue))]
        ]

    @property
    def releases(self) -> int:
        return self.service.budgets[4].releases


@pytest.fixture
def speaking(tmp_path):
    made = simulate(small(), tmp_path)
    yield Speaking(made.simulation)
    made.close()


def failed(number: int, *, is_release: bool, last: int = 3) -> DropoutOutcome:
    again = 2.5 if number < last else None
    return DropoutOutcome(
        number=number,
        lost={1: Step.NUMBERS},
        reconstructs=False,
        is_release=is_release,
        again_s=again,
    )


def test_an_intent_is_due_when_its_gradient_is_computed(speaking):
    speaking.simulation._plan(speaking.slot, Speak(GENESIS, 1), 0.5)
    event = speaking.simulation._transport.queue.take()
    assert event == (0.5 + GRADIENT_S, speaking.slot.node, Speak(GENESIS, 1))


def test_a_gradient_that_is_due_becomes_one_message_and_one_release(speaking):
    assert speaking.due() == []
    assert [(send.payload, send.to) for send in speaking.sent] == [("message", "compute")]
    assert speaking.releases == 1


def test_after_a_fork_the_second_answer_is_a_second_release(speaking):
    # genesis     answered first
    # fork        the head of another branch, which is answered too
    speaking.due()
    speaking.due(b"fork")
    assert speaking.releases == 2


def test_a_holder_whose_budget_is_spent_stays_silent_and_says_why(speaking):
    for parent in (b"one", b"two", b"three"):
        speaking.due(parent)
    assert len(speaking.sent) == speaking.releases == 2
    assert speaking.simulation.silent == {4: BUDGET_SPENT}


def test_no_direction_costs_no_release(speaking):
    speaking.service.messages = ()
    speaking.due()
    assert (speaking.sent, speaking.releases) == ([], 0)
    assert speaking.simulation.silent == {4: NOT_FINITE}


@pytest.mark.parametrize(("counts", "releases"), [(False, 0), (True, 1)])
def test_a_group_of_which_too_few_are_there_tries_again_and_then_speaks(speaking, counts, releases):
    speaking.service.outcomes = {1: failed(1, is_release=counts)}
    for _ in range(2):  # the head went away and came back: the attempt counts once
        assert speaking.due() == [(3.5, Speak(GENESIS, 1, 2))]
    assert (speaking.sent, speaking.releases) == ([], releases)
    assert speaking.due(attempt=2) == []
    assert len(speaking.sent) == 1
    assert speaking.releases == releases + 1


def test_after_its_last_attempt_a_group_is_silent_and_says_why(speaking):
    speaking.service.outcomes = {3: failed(3, is_release=False)}
    assert speaking.due(attempt=3) == []
    assert speaking.simulation.silent == {4: TOO_FEW}


def test_attempts_end_with_the_budget(speaking):
    speaking.service.outcomes = {n: failed(n, is_release=True, last=9) for n in (1, 2, 3)}
    for number in (1, 2):
        assert len(speaking.due(attempt=number)) == 1
    assert speaking.due(attempt=3) == []
    assert speaking.simulation.silent == {4: BUDGET_SPENT}
    assert speaking.releases == 2


def test_a_holder_alone_is_always_there(tmp_path):
    made = simulate(small(), tmp_path)
    assert made.simulation._releases.attempt(1, GENESIS, 1, 1) == DropoutOutcome()
    made.close()


def test_whoever_sits_on_a_slot_in_a_round_pays_for_its_release(tmp_path):
    made = simulate(small(**{"nodes.cohort": 7}), tmp_path)
    simulation, slot = made.simulation, made.simulation.holder_slots[2]
    asked = [made.setup.sampling.holders_of(round_)[2] for round_ in (1, 2, 3)]
    assert [simulation._participant(slot, Speak(b"", t)) for t in (1, 2, 3)] == asked
    assert len(set(asked)) > 1
    made.close()

"""Rehearsal of an attack: calls it twice with the same view, and its poison with the same records.

Whether an attack is called once or again depends on the engine and on interruptions; so it must be
a function of what it is given.
"""

from __future__ import annotations

import functools
from typing import cast

import numpy as np

from fedchain.arrays import Array, read_only
from fedchain.attacks import Rows, View, attacks
from fedchain.errors import PartError
from fedchain.learning.task import Records
from fedchain.ledger.chain.state import State
from fedchain.nodes.holders.adversary import Adversary, check_finite
from fedchain.nodes.holders.colluders import poison_of, poisoned_task
from fedchain.nodes.holders.sent import quantised_rows
from fedchain.randomness import stream
from fedchain.scenario import HolderAttack, attackers_of
from fedchain.simulation.setup import RunSetup
from fedchain.transition import agreed_rule

CALLED_AGAIN = "when it is called again with the same"


def rehearse_attack(setup: RunSetup, index: int) -> None:
    """Try one attack of the scenario, by its index in ``attacks``.

    Raises:
        PartError: the attack or its poison has a mistake.
    """
    attack = setup.scenario.attacks[index]
    if not isinstance(attack, HolderAttack):
        return
    entries = dict(enumerate(setup.scenario.attacks))
    holders = attackers_of(entries, setup.scenario.nodes.holders, setup.scenario.seed)[index]
    if not holders:
        return
    poison, kind = poison_of(attack.part), attack.part.kind
    if poison is not None:
        _rehearse_poison(setup, index, min(holders), poison.kind)
    nodes, asked = setup.scenario.nodes, setup.sampling.holders_of(attack.from_round)
    cohort = {holder for each in asked for holder in nodes.members_of(each)}
    present = sorted(cohort.intersection(holders)) or [min(holders)]
    made = [_sent(setup, index, present) for _ in range(2)]
    if made[0].tobytes() != made[1].tobytes():
        raise PartError(
            f"attack {kind}: sends other rows {CALLED_AGAIN} view; keep nothing between calls, and "
            "draw from view.generators: a resumed run does not call it again"
        )


def _sent(setup: RunSetup, index: int, holders: list[int]) -> Array:
    """Return what an attack sends, given a view that it cannot change."""
    attack, view = setup.scenario.attacks[index], _view(setup, index, holders)
    with np.errstate(over="ignore", invalid="ignore"):
        made = cast(Rows, attacks.build(attack.part, view).astype(view.own.dtype))
    grouped = setup.scenario.nodes.groups is not None
    check_finite(made, view, attack.part.kind, holders, grouped=grouped)
    return made


def _view(setup: RunSetup, index: int, holders: list[int]) -> View:
    """Return a made-up view of the first round of an attack; its arrays are read-only."""
    scenario = setup.scenario.model_copy(update={"aggregation": agreed_rule(setup.rules)})
    attack = scenario.attacks[index]
    assert isinstance(attack, HolderAttack)
    columns, draws = len(setup.state.weights), stream(0, "rehearsal of an attack")
    asked = scenario.nodes.asked * len(scenario.nodes.members_of(0))
    common = draws.standard_normal(columns)
    honest = common + draws.standard_normal((max(0, asked - len(holders)), columns))
    clean = common + 0.1 * draws.standard_normal((len(holders), columns))
    own = (clean + draws.standard_normal(clean.shape)).astype(np.float32)
    state = State(read_only(setup.state.weights.copy()), {})
    adversary = Adversary(scenario, 1)
    known = honest if attack.knowledge != "own" else honest[:0]
    beside = known if len(known) else own
    storage = scenario.ledger.storage
    return View(
        round=attack.from_round,
        state=state,
        own=read_only(own),
        clean=read_only(clean),
        honest=read_only(known),
        holders=len(honest) + len(holders),
        rule=adversary.rule_at(state),
        response=adversary.rule_at(
            state, beside=functools.partial(quantised_rows, beside, storage)
        ),
        previous=lambda: read_only(np.zeros((0, columns))),
        generators=tuple(stream(scenario.seed, "attack", k, attack.from_round) for k in holders),
    )


def _rehearse_poison(setup: RunSetup, index: int, holder: int, kind: str) -> None:
    """Make the poisoned records of a holder twice, and see whether its own records stay."""
    task = poisoned_task(setup.task, setup.scenario)
    number = setup.scenario.nodes.holders * (1 + index) + holder
    before = _bytes_of(task.holders[holder])
    first, second = (_bytes_of(task.holders[number]) for _ in range(2))
    if _bytes_of(task.holders[holder]) != before:
        raise PartError(
            f"poison {kind}: changes the records that it is given, and the holder would learn "
            "from them in other rounds; return dataclasses.replace(records, ..)"
        )
    if first != second:
        raise PartError(
            f"poison {kind}: gives other records {CALLED_AGAIN} ones; draw only from the generator"
        )


def _bytes_of(records: Records) -> tuple[bytes, ...]:
    return records.inputs.tobytes(), records.targets.tobytes()

"""Everything that a scenario fixes before the first event: the task, the noise, the genesis."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Matrix, read_only
from fedchain.attacks import attacks
from fedchain.events import Send
from fedchain.learning.task import Task, tasks
from fedchain.learning.weights import flat_weights, layout
from fedchain.ledger.block import Block
from fedchain.ledger.rules import Rules, genesis
from fedchain.ledger.state import State
from fedchain.ledger.work import Work, works
from fedchain.network.topology import topologies
from fedchain.nodes.identity import Identities
from fedchain.nodes.release import Attack
from fedchain.privacy.mechanisms import Mechanism, mechanisms
from fedchain.randomness import stream
from fedchain.scenario import Scenario
from fedchain.transition import canonical_json

MAX_NORM = 1e9
"""Largest s_k that a chain accepts."""
MAX_AHEAD_MS = 7_200_000
"""How far a block's time may run ahead of a node's clock: two hours, as Bitcoin has it."""


@dataclass(frozen=True)
class World:
    """The parts of one run, ready; all of it follows from the scenario."""

    scenario: Scenario
    """What was asked."""
    task: Task
    """Data, model, loss, metrics."""
    mechanism: Mechanism
    """The noise, solved for the whole run."""
    identities: Identities
    """Every holder's keys."""
    rules: Rules
    """What genesis fixes."""
    work: Work
    """Proof of work and its difficulty."""
    state: State
    """The initial weights; no update remembers anything yet."""
    genesis: Block
    """The first block."""
    delays: Matrix
    """Seconds from node to node, compute nodes first, shape (nodes, nodes)."""

    @property
    def compute(self) -> range:
        """Numbers of the compute nodes."""
        return range(self.scenario.nodes.compute)

    @property
    def holders(self) -> range:
        """Numbers of the data holders in the network; holder k is node ``compute + k``."""
        first = self.scenario.nodes.compute
        return range(first, first + self.scenario.nodes.holders)

    def recipients(self, sender: int, send: Send) -> range | tuple[int, ...]:
        """Return the nodes that a send is for."""
        if isinstance(send.to, int):
            return (send.to,)
        everybody = range(len(self.delays))
        group = everybody if send.to == "everybody" else self.compute
        return tuple(node for node in group if node != sender)

    def attack_on(self, holder: int, round_: int) -> tuple[str, Attack | None]:
        """Return name and function of what a holder sends instead in a round, if anything."""
        for attack in self.scenario.attacks:
            if holder in attack.holders and attack.active(round_):
                return attack.part.kind, functools.partial(attacks.build, attack.part)
        return "", None


def world_of(scenario: Scenario) -> World:
    """Build every part of a scenario.

    Args:
        scenario: checked.

    Returns:
        The parts; the same scenario gives the same genesis, bit for bit.

    Raises:
        DataError: the task's data cannot be read.
        ValueError: parameters that only their part can judge.
    """
    seed, nodes, rounds = scenario.seed, scenario.nodes, scenario.rounds
    task = tasks.build(scenario.task, nodes.holders, seed)
    model = task.model()
    state = State(read_only(flat_weights(model).astype(scenario.ledger.weights)), {})
    mechanism = mechanisms.build(scenario.privacy, rounds, len(state.weights))
    identities = Identities(seed, nodes.holders, rounds, nodes.identity == "registered")
    work = works.build(scenario.ledger.work)
    rules = Rules(
        aggregation=canonical_json(scenario.aggregation),
        update=canonical_json(scenario.update),
        dimension=len(state.weights),
        layout=layout(model),
        dtype=scenario.ledger.weights,
        holders=nodes.holders,
        identity=nodes.identity,
        identity_root=identities.root,
        quorum=quorum_of(scenario),
        rounds=rounds,
        storage=scenario.ledger.storage,
        max_norm=MAX_NORM,
        bits=work.bits,
        interval_ms=work.interval_ms,
        retarget_window=work.retarget_window,
        max_ahead_ms=MAX_AHEAD_MS,
    )
    everybody = nodes.compute + nodes.holders
    delays = topologies.build(scenario.network, everybody, stream(seed, "network"))
    first = genesis(rules, state)
    return World(
        scenario, task, mechanism, identities, rules, work, state, first, read_only(delays)
    )


def quorum_of(scenario: Scenario) -> int:
    """Return the fewest messages of a block: the quorum's share of the holders, rounded up."""
    return max(1, int(np.ceil(scenario.ledger.quorum * scenario.nodes.holders - 1e-9)))

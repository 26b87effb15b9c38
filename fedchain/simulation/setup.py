"""Setup of a run: all parts that a scenario fixes before the first event, from task to genesis."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from fedchain.arrays import read_only
from fedchain.errors import ScenarioError
from fedchain.learning.evaluation import flat_weights, layout
from fedchain.learning.task import Task, tasks
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.canonical import canonical_text
from fedchain.ledger.chain.chain import REMEMBERED_HEIGHTS, Chain
from fedchain.ledger.chain.crypto import public_key_of
from fedchain.ledger.chain.mempool import Mempool
from fedchain.ledger.chain.message import identity_of
from fedchain.ledger.chain.rules import ZERO, Rules, genesis
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.chain.work import Work, work_of, works
from fedchain.ledger.storage.writer import RetentionPolicy
from fedchain.network.spreading import Graph
from fedchain.network.topology import topologies
from fedchain.nodes.compute.compute_node import ComputeNode
from fedchain.nodes.compute.hashing import Effort, expected_hashing_s
from fedchain.nodes.compute.strategy import Place, schedule_of
from fedchain.nodes.holders.data_holder import DataHolder
from fedchain.nodes.holders.identity import Identities, Sampling
from fedchain.nodes.holders.light_client import KEPT_HEADERS, LightClient
from fedchain.privacy.mechanisms import Mechanism, mechanisms
from fedchain.randomness import digest, stream, uniforms
from fedchain.registry import plain_value
from fedchain.scenario import Scenario
from fedchain.timing import Stopwatch
from fedchain.transition import Steps, canonical_json, check_quorum

MAX_NORM = 1e9
"""Largest norm s_k of a message that a chain accepts."""
MAX_AHEAD_MS = 7_200_000
"""How far a block's time may be ahead of a node's clock, milliseconds: two hours, as in Bitcoin."""


@dataclass(frozen=True, kw_only=True)
class RunSetup:
    """The parts of one run. All of them follow from the scenario."""

    scenario: Scenario
    """The scenario of the run."""
    task: Task
    """The data, model, loss and metrics."""
    mechanism: Mechanism
    """The mechanism, with noise that is calibrated for the whole run."""
    sampling: Sampling
    """The participants of each round."""
    identities: Identities
    """The keys of the participants."""
    rules: Rules
    """The rules of the chain, which the genesis block fixes."""
    work: Work
    """Proof of work and its difficulty."""
    state: State
    """The initial state: the first weights, and an empty memory of the update."""
    genesis: Block
    """The genesis block."""
    graph: Graph
    """The network: its nodes (first the compute nodes, then the data holders' slots) and links."""

    @property
    def compute_ids(self) -> range:
        """Ids of the compute nodes, from 0."""
        return range(self.scenario.nodes.miners)

    @property
    def holder_slots(self) -> range:
        """Node ids of the data holders' slots in the network; slot k is node ``miners + k``."""
        first = self.scenario.nodes.miners
        return range(first, first + self.scenario.nodes.asked)


def build_setup(scenario: Scenario) -> RunSetup:
    """Build every part of a scenario; the same scenario gives the same genesis, bit for bit.

    Raises:
        DataError: the task's data cannot be read.
        ValueError: a part refuses its parameters; only the part itself can check them.
    """
    seed, nodes = scenario.seed, scenario.nodes
    task = tasks.build(scenario.task, nodes.holders, seed)
    model = task.model()
    state = State(read_only(flat_weights(model).astype(scenario.ledger.weights)), {})
    sampling = sampling_of(scenario)
    mechanism = mechanism_of(scenario, len(state.weights))
    work = works.build(scenario.ledger.work)
    numbers = functools.cache(
        lambda participant: sum(task.holders[k].count for k in nodes.members_of(participant))
    )
    identities = Identities(seed, sampling, numbers if nodes.identity == "registered" else None)
    rules = _rules_of(scenario, work, model, mechanism, numbers, identities.root)
    check_quorum(rules)
    everybody, generator = nodes.miners + nodes.asked, stream(seed, "network")
    return RunSetup(
        scenario=scenario,
        task=task,
        mechanism=mechanism,
        sampling=sampling,
        identities=identities,
        rules=rules,
        work=work,
        state=state,
        genesis=genesis(rules, state),
        graph=topologies.build(scenario.network, nodes.miners, everybody, generator),
    )


def _rules_of(
    scenario: Scenario,
    work: Work,
    model: nn.Module,
    mechanism: Mechanism,
    numbers: Callable[[int], int],
    identity_root: bytes,
) -> Rules:
    """Return the rules of the chain, to which genesis commits."""
    everybody = range(scenario.nodes.participants if scenario.nodes.identity == "registered" else 0)
    terms, given = mechanism.terms, plain_value(scenario.privacy.parameters)
    agreed = {
        "task": scenario.task.plain(),
        "privacy": {k: v for k, v in given.items() if k != "clip"} | {"releases": terms.releases},
        "groups": plain_value(scenario.nodes.groups),
        **dict.fromkeys(("momentum", "threat")),
    }
    return Rules(
        mechanism=mechanism.name,
        noise=(mechanism.noise_multiplier,),
        clip=terms.clip if terms.clip_quantile is None else None,
        agreed=canonical_text(agreed),
        records=tuple(sorted(map(numbers, everybody))),
        commitment=ZERO,
        aggregation=canonical_json(scenario.aggregation),
        update=canonical_json(scenario.update),
        dimension=len(flat_weights(model)),
        layout=layout(model),
        dtype=scenario.ledger.weights,
        holders=scenario.nodes.asked,
        identity=scenario.nodes.identity,
        identity_root=identity_root,
        quorum=quorum_of(scenario),
        rounds=scenario.rounds,
        storage=scenario.ledger.storage,
        max_norm=MAX_NORM,
        work=work.kind,
        bits=work.bits,
        interval_ms=work.interval_ms,
        retarget_window=work.retarget_window,
        max_ahead_ms=MAX_AHEAD_MS,
    )


def build_data_holders(setup: RunSetup) -> tuple[DataHolder, ...]:
    """Return the data holders of a round, one for each slot, each with a light client."""
    keep, scenario = deepest_fork(setup.scenario), setup.scenario
    return tuple(
        DataHolder(
            node=node,
            client=LightClient(setup.genesis.header, setup.work.kind, keep),
            rounds=scenario.rounds,
            judges=scenario.nodes.miners - 1,
        )
        for node in setup.holder_slots
    )


def build_compute_nodes(
    *,
    setup: RunSetup,
    steps: Steps,
    verdict_cache: VerdictCache,
    recall: Callable[[bytes, bytes], Block | None] | None,
    slowest_s: Callable[[], float],
    watch: Stopwatch,
) -> tuple[ComputeNode, ...]:
    """Return the compute nodes of a run, each with a chain of the genesis block alone.

    The nodes share the caches of steps and verdicts. ``slowest_s`` returns the longest delay
    between two compute nodes, which dishonest nodes know.
    """
    seed, rules, shares = setup.scenario.seed, setup.rules, setup.scenario.nodes.shares
    secrets = [digest(seed, "compute node", node) for node in setup.compute_ids]
    keep = max(REMEMBERED_HEIGHTS, deepest_fork(setup.scenario))
    # At the initial difficulty all nodes together find a block per interval, on average.
    tries_per_second = 1000.0 * work_of(setup.work.bits) / setup.work.interval_ms

    def build(node: int) -> ComputeNode:
        chain = Chain(
            genesis_block=setup.genesis,
            genesis_state=setup.state,
            rules=rules,
            transition=steps,
            verdict_cache=verdict_cache,
            keep=keep,
        )
        effort = Effort(
            deadline_s=setup.scenario.ledger.deadline_s,
            hashes_per_second=tries_per_second * shares[node],
            expected=len(setup.holder_slots),
            draw=uniforms(seed, "work", node),
        )
        return ComputeNode(
            node=node,
            secret=secrets[node],
            chain=chain,
            pool=Mempool(rules, setup.genesis.header.hash, chain.height_of, verdict_cache),
            rules=rules,
            transition=steps,
            effort=effort,
            recall=recall,
            watch=watch,
            schedule=schedule_of(
                setup.scenario, node, lambda: _place_of(setup, node, secrets, slowest_s())
            ),
        )

    return tuple(build(node) for node in setup.compute_ids)


def _place_of(setup: RunSetup, node: int, secrets: Sequence[bytes], slowest_s: float) -> Place:
    """Return what a dishonest compute node knows."""
    return Place(
        node=node,
        seed=setup.scenario.seed,
        quorum=setup.rules.quorum,
        shares=dict(enumerate(setup.scenario.nodes.shares)),
        secret=secrets[node],
        makers={identity_of(public_key_of(secret)): n for n, secret in enumerate(secrets)},
        slowest_s=slowest_s,
        key_of=lambda holder, round_: setup.identities.of(holder, round_).public_key,
    )


def check_hashing(setup: RunSetup) -> None:
    """Raise ScenarioError if this machine is expected to hash for longer than a run allows."""
    most = setup.work.most_hashing_s
    if most is None or (expected := expected_hashing_s(setup.scenario)) <= most:
        return
    words = f"{setup.rules.rounds} blocks are expected to take {expected:.3g} s of hashing here"
    text = f"{words}, got {most:g}; allow more, lower difficulty_bits, or take kind: sampled"
    raise ScenarioError([], f"ledger.work.most_hashing_s: {text}")


def deepest_fork(scenario: Scenario) -> int:
    """Return the largest depth of a fork below the head, in blocks, that honest nodes can follow.

    While the network is connected, forks are short. During a partition each part builds a branch
    of its own. The bound is ``KEPT_HEADERS`` plus twice the number of blocks that are
    expected in the longest partition: twice, since chance may yield more than expected.
    """
    longest = max((cut.to_s - cut.from_s for cut in scenario.gossip.partitions), default=0.0)
    interval_s = works.build(scenario.ledger.work).interval_ms / 1000.0
    return KEPT_HEADERS + int(2.0 * longest / interval_s)


def retention_of(scenario: Scenario) -> RetentionPolicy:
    """Return the policy that says which states and directions the ledger keeps on disk."""
    weights, messages = scenario.disk.keep_weights, scenario.disk.keep_messages
    every = weights if isinstance(weights, int) else int(weights == "all")
    return RetentionPolicy(every, 0 if messages == "all" else messages)


def sampling_of(scenario: Scenario) -> Sampling:
    """Return the sampling, which draws the participants of each round."""
    nodes = scenario.nodes
    return Sampling(scenario.seed, nodes.participants, nodes.asked, scenario.rounds)


def mechanism_of(scenario: Scenario, dimension: int) -> Mechanism:
    """Build the mechanism, with noise that is calibrated for the whole run.

    If holders form groups, the members of a group share the noise of their sum. The dimension is
    the number of weights d.

    Raises:
        ValueError: the mechanism refuses its parameters; only the mechanism can check them.
        PartError: a user-defined mechanism fails, or cannot do what its ``terms`` promise.
    """
    part, groups = scenario.privacy, scenario.nodes.groups
    shares = () if groups is None else (groups.counted_on,)
    return mechanisms.build(part, sampling_of(scenario).most_releases, dimension, *shares)


def quorum_of(scenario: Scenario) -> int:
    """Return the fewest messages of a block: the quorum times the number asked, rounded up."""
    return min(
        scenario.nodes.asked,
        max(1, int(np.ceil(scenario.ledger.quorum * scenario.nodes.asked - 1e-9))),
    )

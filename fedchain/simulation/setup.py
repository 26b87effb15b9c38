"""Setup of a run: it builds all parts of a scenario before the first event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from fedchain.agreement import mechanism_of, registered_records, rules_of, sampling_of
from fedchain.arrays import read_only
from fedchain.commitment import held_data, secrets_of
from fedchain.errors import ScenarioError
from fedchain.learning.evaluation import flat_weights, layout
from fedchain.learning.task import Task, tasks
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.chain import REMEMBERED_HEIGHTS, Chain
from fedchain.ledger.chain.crypto import public_key_of
from fedchain.ledger.chain.mempool import Mempool
from fedchain.ledger.chain.message import identity_of
from fedchain.ledger.chain.rules import Rules, genesis
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.chain.work import Work, work_of, works
from fedchain.ledger.storage.writer import RetentionPolicy
from fedchain.network.spreading import Graph
from fedchain.network.topology import topologies
from fedchain.nodes.compute.compute_node import ComputeNode
from fedchain.nodes.compute.hashing import Effort, expected_hashing_s
from fedchain.nodes.compute.strategy import Place, schedule_of
from fedchain.nodes.holders.colluders import with_poison_metrics
from fedchain.nodes.holders.data_holder import KEPT_HEADERS, DataHolder, LightClient
from fedchain.nodes.holders.identity import Identities, Sampling
from fedchain.nodes.holders.trail import REMEMBERED_ROUNDS
from fedchain.privacy.mechanisms import Mechanism
from fedchain.randomness import digest, stream, uniforms
from fedchain.reuse import once
from fedchain.scenario import Scenario, provenance_of
from fedchain.timing import Stopwatch
from fedchain.transition import Steps, check_quorum


@dataclass(frozen=True, kw_only=True)
class RunSetup:
    """The parts of one run, built from its scenario."""

    scenario: Scenario
    """The scenario of the run."""
    task: Task
    """The data, model, loss and metrics."""
    mechanism: Mechanism
    """The privacy mechanism; its noise is calibrated for the whole run."""
    sampling: Sampling
    """The participants of each round."""
    identities: Identities
    """The keys of the participants."""
    secret: bytes = field(repr=False)
    """The secret root, 32 bytes, from which noise and keys are drawn."""
    hidden: bool
    """Whether the secret root comes from a secret file; otherwise it comes from the seed."""
    rules: Rules
    """The rules of the chain."""
    work: Work
    """Kind and difficulty of the proof of work."""
    state: State
    """The initial weights and an empty memory of the update rule."""
    genesis: Block
    """The genesis block."""
    graph: Graph
    """The network: compute nodes, then the data holders' slots, and the links between them."""

    @property
    def compute_ids(self) -> range:
        """Ids of the compute nodes, from 0."""
        return range(self.scenario.nodes.miners)

    @property
    def holder_slots(self) -> range:
        """Node ids of the slots of data holders in the network, after the ids of compute nodes.

        The last slot is that of the public root, if there is one.
        """
        first = self.scenario.nodes.miners
        return range(first, first + self.scenario.slots)


def build_setup(scenario: Scenario, secret: bytes | None = None) -> RunSetup:
    """Build every part of a run. The same arguments give the same genesis block, bit for bit.

    Args:
        scenario: a checked scenario.
        secret: 32 secret bytes from which noise and keys are drawn; None: the seed is used.

    Raises:
        DataError: the task's data cannot be read.
        ValueError: a part refuses its parameters.
    """
    seed, nodes = scenario.seed, scenario.nodes
    recipe = scenario.task, nodes.holders, seed
    key = *recipe, provenance_of(scenario)  # data files may have changed since an earlier run
    task = once("task", key, lambda: tasks.build(*recipe))
    model = task.model()
    state = State(read_only(flat_weights(model).astype(scenario.ledger.weights)), {})
    sampling = sampling_of(scenario)
    mechanism = mechanism_of(scenario, len(state.weights))
    held = once("held data", key, lambda: held_data(task))
    counts = registered_records(scenario, held.counts)
    rules = rules_of(scenario, mechanism, layout(model), counts)
    check_quorum(rules)
    root, commitment = secrets_of(scenario, rules, held.digest, secret)
    registered = nodes.identity == "registered"
    identities = Identities(root, sampling, counts.__getitem__ if registered else None)
    rules = replace(rules, commitment=commitment, identity_root=identities.root)
    everybody, generator = nodes.miners + scenario.slots, stream(seed, "network")
    return RunSetup(
        scenario=scenario,
        task=with_poison_metrics(task, scenario),
        mechanism=mechanism,
        sampling=sampling,
        identities=identities,
        secret=root,
        hidden=secret is not None,
        rules=rules,
        work=works.build(scenario.ledger.work),
        state=state,
        genesis=genesis(rules, state),
        graph=topologies.build(scenario.network, nodes.miners, everybody, generator),
    )


def build_data_holders(setup: RunSetup) -> tuple[DataHolder, ...]:
    """Return the data holders, one for each slot of the network, each with a light client."""
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

    ``recall`` is described in ``ComputeNode``. ``slowest_s`` returns the longest delay between two
    compute nodes, simulated seconds.
    """
    seed, rules, shares = setup.scenario.seed, setup.rules, setup.scenario.nodes.shares
    secrets = [digest(setup.secret, "compute node", node) for node in setup.compute_ids]
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
    """Raise ScenarioError if hashing is expected to take longer than the scenario allows."""
    most = setup.work.most_hashing_s
    if most is None or (expected := expected_hashing_s(setup.scenario)) <= most:
        return
    words = f"{setup.rules.rounds} blocks are expected to take {expected:.3g} s of hashing here"
    text = f"{words}, got {most:g}; allow more, lower difficulty_bits, or take kind: sampled"
    raise ScenarioError([], f"ledger.work.most_hashing_s: {text}")


def deepest_fork(scenario: Scenario) -> int:
    """Return the largest depth of a fork that honest nodes can follow, in blocks below the head.

    The depth is ``KEPT_HEADERS`` plus twice the expected number of blocks during the longest
    partition.
    """
    # Each part of a partitioned network builds its own branch. By chance a branch may have more
    # blocks than expected, so the expected number is doubled.
    longest = max((cut.to_s - cut.from_s for cut in scenario.gossip.partitions), default=0.0)
    interval_s = works.build(scenario.ledger.work).interval_ms / 1000.0
    return KEPT_HEADERS + int(2.0 * longest / interval_s)


def deepest_read(scenario: Scenario) -> int:
    """Return the largest depth from which a run reads messages, in blocks below the head."""
    # With momentum, holders on the deepest fork also need their last messages from further below.
    further = 0 if scenario.nodes.momentum is None else REMEMBERED_ROUNDS
    return deepest_fork(scenario) + further


def retention_of(scenario: Scenario) -> RetentionPolicy:
    """Return which states and directions the ledger keeps on disk."""
    weights, messages = scenario.disk.keep_weights, scenario.disk.keep_messages
    every = weights if isinstance(weights, int) else int(weights == "all")
    return RetentionPolicy(every, 0 if messages == "all" else messages)

"""Stages: the time of each stage of a round, measured with a few of a scenario's records."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from fedchain.agreement import sampling_of
from fedchain.arrays import Vector
from fedchain.engines.engine import Source, cores
from fedchain.engines.threads import threads
from fedchain.learning.evaluation import Evaluations, flat_weights
from fedchain.learning.task import Task
from fedchain.ledger.chain.crypto import HASH, InclusionProof, public_key_of
from fedchain.nodes.compute.hashing import expected_hashing_s
from fedchain.nodes.holders.holder_pool import chunk_size, chunks_of
from fedchain.nodes.holders.identity import Identities, RoundKey, Sampling
from fedchain.nodes.holders.release import ReleaseContext, ReleaseRequest
from fedchain.privacy.mechanisms import Mechanism
from fedchain.scenario import Scenario

TIMES = 3
"""Number of measurements of each part. The first one is ignored."""
TRIED_KEYS = 64
"""Number of keys that are made to measure how long a key takes."""


def stages_s(
    source: Source, weights: Vector, *, examples: float, held_out: int
) -> dict[str, float]:
    """Return the wall time of each stage of a round, seconds.

    Args:
        source: scenario, mechanism and task, with a few of the records.
        weights: the model's weights.
        examples: mean number of examples of a holder in the scenario.
        held_out: number of held-out examples in the scenario.
    """
    scenario, task = source.scenario, source.gradients.task
    workers = min(cores(scenario.engine.parameters.get("workers")), cores(None))
    return {
        **_releases_s(source, workers, examples),
        "accounting": _accounting_s(source.mechanism),
        "work": expected_hashing_s(scenario) / scenario.rounds,
        # Evaluation occupies one of the cores during the next gradients.
        "evaluation": _evaluation_s(scenario, task, weights) * held_out / workers,
    }


def keys_s(scenario: Scenario) -> float:
    """Return the time in which a run makes and registers the keys of all rounds, seconds."""
    if scenario.nodes.identity != "registered":
        return 0.0
    few = Sampling(seed=0, holders=TRIED_KEYS, asked=TRIED_KEYS, rounds=1)
    began = time.perf_counter()
    Identities(bytes(HASH), few, lambda _: 1)
    each_s = (time.perf_counter() - began) / TRIED_KEYS
    return each_s * scenario.slots * scenario.rounds


def requests_of(scenario: Scenario, participants: Sequence[int]) -> list[ReleaseRequest]:
    """Return one request per participant, with as many bytes as in a run."""
    nodes, zero = scenario.nodes, bytes(HASH)
    leaves = scenario.slots * scenario.rounds
    proof = InclusionProof(0, leaves, (zero,) * (leaves - 1).bit_length())
    key = RoundKey(zero, public_key_of(zero), proof if nodes.identity == "registered" else None)
    at = ReleaseContext(secret=zero, chain_id=zero, parent=zero, round=1, holder=0)
    return [ReleaseRequest(replace(at, holder=each), key) for each in participants]


def _evaluation_s(scenario: Scenario, task: Task, weights: Vector) -> float:
    """Return the time of a round's measurements, seconds for each held-out example."""
    with closing(Evaluations(task)) as evaluations:
        measured = [evaluations.measure(b"", weights).result().seconds for _ in range(TIMES)][1:]
    return statistics.fmean(measured) / task.held_out.examples / scenario.evaluate.every


def _accounting_s(mechanism: Mechanism) -> float:
    """Return the wall time of the epsilon that a round states, seconds.

    In each round, the participant with the most releases has made one more.
    """
    spent = []
    for count in range(mechanism.terms.releases, mechanism.terms.releases - TIMES, -1):
        began = time.perf_counter()
        mechanism.epsilon_bound(max(1, count))
        spent.append(time.perf_counter() - began)
    return min(spent)


def _releases_s(source: Source, workers: int, examples: float) -> dict[str, float]:
    """Return the wall time of a round's releases, seconds, by stage."""
    scenario, gradients = source.scenario, source.gradients
    task, members = gradients.task, scenario.nodes.members_of
    cohort = sampling_of(scenario).holders_of(1)[: scenario.nodes.asked]  # without a public root
    asked = requests_of(scenario, cohort)
    size = gradients.method, gradients.dimension, len(members(0))
    chunks = chunks_of(asked, chunk_size(*size, examples=gradients.examples))
    few, weights = chunks[:workers], flat_weights(task.model())
    spent = dict.fromkeys(("gradients", "noise", "signing"), 0.0)
    with closing(threads(source, workers=workers)) as engine:
        for lap in range(TIMES):
            parent = bytes([lap]) * HASH
            new = [[replace(r, context=replace(r.context, parent=parent)) for r in c] for c in few]
            # The first turn includes work that is done once per parent block. The second turn
            # stands for all further chunks.
            for turns in (1, math.ceil(len(chunks) / workers) - 1):
                batches = list(engine.map(weights, new))
                for stage in spent if lap else ():
                    each = statistics.fmean(batch.seconds[stage] for batch in batches)
                    spent[stage] += turns * each / (TIMES - 1)
    holders = [k for chunk in few for each in chunk for k in members(each.context.holder)]
    local = scenario.local
    most = math.inf if local is None or local.batch is None else local.batch
    tried = statistics.fmean(task.holders[k].examples for k in holders)
    spent["gradients"] *= min(examples, most) / min(tried, most)
    return spent

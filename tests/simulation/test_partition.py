from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_runs import simulate
from whole_numbers import WHOLE, whole_numbers

from fedchain.ledger.chain.block import sign_block
from fedchain.ledger.chain.crypto import public_key_of
from fedchain.ledger.chain.message import identity_of
from fedchain.runs.running import run
from fedchain.scenario import from_mapping, load
from fedchain.simulation.transport import Event

SCENARIO = Path(__file__).parents[2] / "scenarios" / "partition.yaml"
NO_FAULTS = {"gossip.loss": 0.0, "gossip.churn": None, "gossip.partitions": []}


@pytest.fixture(scope="module")
def healed(tmp_path_factory):
    """A fifth lost, nodes away three tenths of the time, halves apart for a third of the run."""
    changes = {"rounds": 36, "gossip.partitions.0.to_s": 850.0, "privacy": WHOLE}
    with whole_numbers():
        made = simulate(load(SCENARIO, set=changes), tmp_path_factory.mktemp("partition"))
        list(made.simulation.rounds())
    yield made
    made.close()


def test_after_healing_every_compute_node_has_one_head_and_so_has_every_holder(healed):
    nodes, chain = healed.simulation.compute_nodes, healed.simulation.chain
    assert {node.chain.head for node in nodes} == {chain.head}
    assert {slot.client.head for slot in healed.simulation.holder_slots} == {chain.head}
    assert chain.height == 36


def test_both_halves_went_on_while_they_were_apart_and_one_lost_its_blocks(healed):
    # genesis - .. -+- .. - block - block - ..    one half, with more work: at least five blocks
    #               |
    #               +- block - block - block     the other half: stale when the two meet
    chain, apart = healed.simulation.chain, range(500_000, 850_000)
    times = [chain.link(name).header.time_ms for name in chain.path()]
    winners = sum(time in apart for time in times)
    assert winners >= 5
    assert max(node.chain.deepest for node in healed.simulation.compute_nodes) >= 3
    assert chain.stale >= 3


def test_no_message_of_the_winning_branch_is_missing_at_any_node(healed):
    chain, step = healed.simulation.chain, healed.simulation._steps
    for node in healed.simulation.compute_nodes:
        assert node.chain.path() == chain.path()
    for below, name in zip(chain.path(), chain.path()[1:], strict=False):
        block = healed.store.block(name)
        assert len(block.messages) >= healed.setup.rules.quorum
        after = step(healed.simulation.blocks.state(below), block.messages)
        assert after.weights_hash == block.header.weights_hash
        ids = [message.id for message in block.messages]
        assert ids == sorted(set(ids))


def test_what_comes_too_late_is_no_offence(healed):
    assert all(node.incidents.refused == 0 for node in healed.simulation.compute_nodes)


def test_every_node_has_sent_and_received_something(healed):
    traffic = healed.simulation.figures()["traffic"]
    assert [entry["node"] for entry in traffic["nodes"]] == list(range(6))
    assert all(entry["sent"] > 0 < entry["received"] for entry in traffic["nodes"])
    totals = [*traffic["nodes"], traffic["holders"]]
    sent, received = (sum(entry[way] for entry in totals) for way in ("sent", "received"))
    assert received < sent  # what was lost has been sent, and never came


@pytest.mark.long
def test_the_model_is_as_good_as_without_faults(tmp_path):
    """Five seeds each: the means differ by less than the spread of single runs."""
    faults, none = scores_of(tmp_path / "faults"), scores_of(tmp_path / "none", **NO_FAULTS)
    assert abs(faults.mean() - none.mean()) < np.ptp(none), (faults, none)


def scores_of(folder, **changes):
    """Return the accuracies of five seeds, whose runs must have finished."""
    runs = [run(load(SCENARIO, set={"seed": seed, **changes}), folder) for seed in range(5)]
    assert all(each.manifest["status"] == "finished" for each in runs)
    return np.array([each.summary()["metrics"]["accuracy"] for each in runs])


APART = {
    "version": 1,
    "name": "apart",
    "rounds": 14,
    "task": {"kind": "breast_cancer"},
    "nodes": {"holders": 8, "compute": 5},
    "network": {
        "kind": "random_regular",
        "degree": 4,
        "latency_ms": {"kind": "lognormal", "median": 80.0, "sigma": 0.5},
    },
    "gossip": {"partitions": [{"from_s": 40.0, "to_s": 120.0}]},
    "privacy": WHOLE,
    "aggregation": {"kind": "l_nearest", "keep": 3, "scale": "median_clip"},
    "update": {"kind": "gradient_descent", "learning_rate": 1.0},
    "ledger": {
        "work": {"kind": "hashcash", "difficulty_bits": 4, "interval_s": 10.0},
        "quorum": 0.3,
        "deadline_s": 10.0,
    },
}
SPAM = {"kind": "spam", "nodes": [3]}
WITHHOLDING = {"kind": "withholding", "nodes": [4]}


def heads_of(folder, seed, attacks, **changes):
    """Return the height and all heads of a run in which a network falls into two halves."""
    with whole_numbers():
        scenario = from_mapping({**APART, "seed": seed, "attacks": attacks}, set=changes)
        made = simulate(scenario, folder)
        list(made.simulation.rounds())
    simulation = made.simulation
    made.close()
    honest = (node for node in simulation.compute_nodes if node.schedule.honest)
    heads = {node.chain.head for node in honest}
    return simulation.chain.height, heads, {slot.client.head for slot in simulation.holder_slots}


@pytest.mark.parametrize("kinds", [[SPAM], [WITHHOLDING], [SPAM, WITHHOLDING]])
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 30))]
)
def test_spam_and_withholding_in_a_partition_end_no_run(seed, kinds, tmp_path):
    # With 4 bits one made-up block in 16 meets the target by chance, and nobody has its weights.
    height, heads, followed = heads_of(tmp_path, seed, kinds)
    assert height == 14
    assert len(heads) == 1
    assert followed == heads


def test_a_holder_follows_a_paid_header_only_if_somebody_has_its_weights(tmp_path):
    # Sampled work has no nonce, so every header looks paid.
    changes = {"ledger.work": {"kind": "sampled", "difficulty_bits": 4, "interval_s": 10.0}}
    with whole_numbers():
        made = simulate(from_mapping(APART, set={**changes, "rounds": 3}), tmp_path)
        list(made.simulation.rounds())
    simulation, slot = made.simulation, made.simulation.holder_slots[0]
    block = made.store.block(simulation.chain.head)
    header = replace(
        block.header,
        height=4,
        parent=block.header.hash,
        weights_hash=bytes(32),
        address=identity_of(public_key_of(bytes(32))),
    )
    made_up = sign_block(replace(block, header=header), bytes(32))
    assert slot.client.has_work(header)
    for known, height in ((block, 3), (made_up, 3)):
        assert simulation.blocks.has_weights(known) == (known is block)
        simulation._act_on_holder(Event(1e6, slot.node, known))
        assert slot.client.height == height
    simulation.compute_nodes[3].claims[header.hash] = made_up, made.setup.state
    simulation._act_on_holder(Event(1e6, slot.node, made_up))
    assert slot.client.height == 4  # its maker claims a state, so that it can be computed on
    made.close()

"""Two runs that differ in anything share no secret draw; the commitment tells data only in part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from group_runs import grouped
from small_runs import simulate, small

from fedchain import load, randomness
from fedchain.commitment import held_data, secrets_of
from fedchain.learning.task import Records, Subspace
from fedchain.learning.tasks.nothing import none
from fedchain.ledger.chain.rules import encode_rules
from fedchain.nodes.holders import group_pool
from fedchain.nodes.holders.colluders import Colluders
from fedchain.nodes.holders.release import ReleaseContext, secret_key
from fedchain.simulation.setup import RunSetup, build_setup

ROUNDS = 2
SECRET = bytes(range(32))
OTHERS = {
    "seed": {"seed": 1},
    "data": {"task.held_out": 0.26},
    "split": {"task.split": {"kind": "dirichlet", "alpha": 5.0}},
    "loss": {"task.loss": {"kind": "focal"}},
    "a parameter of the loss": {"task.loss": {"kind": "focal", "gamma": 1.0}},
    "model": {"task.model": {"kind": "mlp", "hidden": [2]}},
    "augmented": {"task": {"kind": "subset", "of": {"kind": "breast_cancer"}}},
    "epsilon": {"privacy.epsilon": 8.0},
    "clip": {"privacy.clip": 0.5},
    "automatic clip": {"privacy.clip": "automatic"},
    "unit": {"privacy.unit": "holder"},
    "sampling": {"privacy.sampling_rate": 0.5},
    "mechanism": {"privacy": {"kind": "laplace", "epsilon": 8.0, "clip": 1.0}},
    "accountant": {"privacy.accountant": "rdp"},
    "spare releases": {"privacy.spare_releases": 5},
    "rule": {"aggregation.keep": 6},
    "update": {"update.learning_rate": 0.2},
    "identities": {"nodes.identity": "open"},
}
"""Scenarios that share a seed with ``small`` and differ in one thing."""


def keys_of(setup: RunSetup) -> set[bytes]:
    """Return the keys of all secret draws that any of a run's holders makes from genesis on."""
    at = setup.genesis.header.hash
    found = {setup.secret}
    for holder in range(setup.scenario.nodes.holders):
        for round_ in range(1, ROUNDS + 1):
            # A draw at the genesis of the other run would be the worst case, so both get one.
            here = ReleaseContext(
                secret=setup.secret, chain_id=at, parent=bytes(32), round=round_, holder=holder
            )
            found |= {secret_key(purpose, here) for purpose in ("noise", "records", "clip")}
            found.add(setup.identities.of(holder, round_).secret)
            for purpose in ("share", "masks", "sybil"):
                found.add(randomness.digest(setup.secret, purpose, holder, round_))
        found.add(randomness.digest(setup.secret, "channel", holder))
    return found | {randomness.digest(setup.secret, "compute node", node) for node in range(3)}


@pytest.fixture(scope="module")
def base() -> RunSetup:
    return build_setup(small(ROUNDS))


@pytest.mark.parametrize("what", OTHERS)
def test_runs_that_differ_share_no_key_of_a_secret_draw_though_their_seed_is_the_same(base, what):
    other = build_setup(small(ROUNDS, **OTHERS[what]))
    assert other.rules.commitment != base.rules.commitment
    assert not keys_of(base) & keys_of(other)


def test_who_attacks_changes_no_key_but_those_of_holders_with_poisoned_records(base):
    poisoned = {"kind": "poisoned", "records": {"kind": "label_flip"}, "holders": [8]}
    other = build_setup(small(ROUNDS, attacks=[poisoned | {"from_round": 2}]))
    assert other.secret == base.secret
    colluders = Colluders(other.scenario)
    assert colluders.secret_of(base.secret, [8], 1) == base.secret
    assert colluders.secret_of(base.secret, [7], 2) == base.secret
    twin = {**poisoned, "records": {"kind": "label_flip"}, "factor": 2.0}
    further = Colluders(small(ROUNDS, attacks=[twin]))
    roots = {each.secret_of(base.secret, [8], 2) for each in (colluders, further)}
    assert len(roots | {base.secret}) == 3
    flips = [{"kind": "sign_flip", "holders": who} for who in ([0], [0, 7])]
    flips.append(flips[0] | {"knowledge": "omniscient"})
    in_groups = [Colluders(small(ROUNDS, attacks=[flip])) for flip in flips]
    assert len({each.secret_of(base.secret, [0, 1], 1) for each in in_groups}) == 3
    assert in_groups[0].secret_of(base.secret, [2, 3], 1) == base.secret


def test_the_same_scenario_has_the_same_keys(base):
    again = build_setup(small(ROUNDS, name="again", **{"evaluate.every": 2, "gossip.loss": 0.1}))
    assert again.genesis == base.genesis
    assert keys_of(again) == keys_of(base)


def test_no_message_of_one_run_speaks_for_a_holder_of_the_other(tmp_path):
    spoken = []
    for name, changed in {"one": {}, "other": {"task.loss": {"kind": "focal"}}}.items():
        made = simulate(small(ROUNDS, **changed), tmp_path / name)
        list(made.simulation.rounds())
        said = [message for block in made.store.blocks() for message in block.messages]
        spoken.append({message.public_key for message in said})
        node, chain_id = made.simulation.compute_nodes[0], made.setup.genesis.header.hash
        if name == "one":
            first = said[0]
        else:
            refused = len(node.incidents.refusals)
            assert first.chain_id != chain_id
            node.receive(first, 0.0)
            assert len(node.incidents.refusals) == refused + 1
            assert not node.incidents.evidence
        made.close()
    assert spoken[0]
    assert not spoken[0] & spoken[1]


def test_every_secret_draw_of_a_run_comes_from_its_root_and_every_public_one_from_the_seed(
    tmp_path, monkeypatch
):
    drawn: dict[type, set[str]] = {int: set(), bytes: set()}
    true = randomness._hash_of

    def spied(seed, names):
        if names and isinstance(names[0], str):
            drawn[type(seed)].add(names[0])
        return true(seed, names)

    monkeypatch.setattr(randomness, "_hash_of", spied)
    group_pool._channel.cache_clear()
    sybils = [{"kind": "sign_flip", "holders": [8], "names": 3}]
    following = {"privacy.clip_quantile": 0.5, "privacy.sampling_rate": 0.5}
    runs = {
        "alone": small(ROUNDS, attacks=sybils, **{"nodes.identity": "open", **following}),
        "groups": grouped(ROUNDS, {"size": 5, "honest": 0.8, "dropout": 0.2, "away": 0.05}),
    }
    for name, scenario in runs.items():
        made = simulate(scenario, tmp_path / name)
        list(made.simulation.rounds())
        made.close()
    assert drawn[bytes] == {
        "identity", "compute node", "noise", "records", "clip", "sybil", "share", "masks", "channel"
    }  # fmt: skip
    assert drawn[int] >= {"secret root", "blind", "network", "work", "lost", "split", "held out"}
    assert not drawn[int] & drawn[bytes]


def test_nothing_of_the_secret_or_the_root_is_shown(base):
    made = build_setup(small(ROUNDS), SECRET)
    context = ReleaseContext(
        secret=made.secret, chain_id=bytes(32), parent=bytes(32), round=1, holder=0
    )
    for shown in (repr(made), repr(context)):
        assert repr(made.secret) not in shown
        assert made.secret.hex() not in shown
    assert made.hidden
    assert not base.hidden


def test_a_secret_changes_every_key_and_the_commitment_but_no_public_draw(base):
    one, other = (build_setup(small(ROUNDS), bits) for bits in (SECRET, SECRET[::-1]))
    assert not keys_of(one) & keys_of(other)
    assert not keys_of(one) & keys_of(base)
    assert len({each.rules.commitment for each in (one, other, base)}) == 3
    assert one.graph.seconds.tobytes() == base.graph.seconds.tobytes()
    assert one.state.weights.tobytes() == base.state.weights.tobytes()
    assert build_setup(small(ROUNDS), SECRET).genesis == one.genesis


def test_the_commitment_is_a_hash_of_blind_data_and_seed(base):
    data = held_data(base.task).digest
    plain = hashlib.sha256(data + bytes(8)).digest()
    assert base.rules.commitment != plain
    _, committed = secrets_of(base.scenario, base.rules, data, None)
    assert committed == base.rules.commitment  # whoever guesses seed and records can confirm them
    _, hidden = secrets_of(base.scenario, base.rules, data, SECRET)
    assert hidden != committed


def records(count: int = 3, **changed) -> Records:
    inputs = np.arange(count * 4, dtype=np.float32).reshape(count, 4)
    return replace(Records(inputs, np.arange(count)), **changed)


ONE = records()
DIFFERENT = {
    "an input": records(inputs=np.where(ONE.inputs == 5, np.float32(5.5), ONE.inputs)),
    "a target": records(targets=np.array([0, 1, 3])),
    "the shape": records(inputs=ONE.inputs.reshape(3, 2, 2)),
    "the type": records(inputs=ONE.inputs.astype(np.float64)),
    "the order": records(inputs=ONE.inputs[::-1]),
    "the records of the examples": records(record=np.array([0, 0, 1])),
    "one record fewer": records(2),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_the_digest_of_the_data_depends_on(base, what):
    first, second = (replace(base.task, holders=(held,)) for held in (ONE, DIFFERENT[what]))
    assert held_data(first).digest != held_data(second).digest


def test_the_digest_depends_on_whose_the_records_are_and_on_public_ones_that_steer(base):
    mine, other = records(2), records(3)
    tasks = [replace(base.task, holders=held) for held in ((mine, other), (other, mine), (mine,))]
    tasks.append(replace(tasks[0], subspace=Subspace(records(1), 1)))
    assert len({held_data(task).digest for task in tasks}) == 4


def test_equal_data_have_one_digest_wherever_they_lie_in_memory(base):
    spread = records(inputs=np.asfortranarray(ONE.inputs))
    tasks = [replace(base.task, holders=(held,)) for held in (ONE, spread)]
    assert held_data(tasks[0]) == held_data(tasks[1])
    assert held_data(none(0, 0)).counts == ()


def test_records_that_are_built_when_they_are_read_are_built_once_each(base):
    built: list[int] = []

    class Lazy(Sequence):
        def __len__(self):
            return 1000

        def __getitem__(self, holder):
            if not 0 <= holder < 1000:
                raise IndexError
            built.append(holder)
            return records(1 + holder % 3)

    found = held_data(replace(base.task, holders=Lazy()))
    assert built == list(range(1000))
    assert found.counts == tuple(1 + holder % 3 for holder in range(1000))


def test_the_page_of_the_format_defines_the_commitment_and_the_secret_root():
    """Everything below follows docs/format.md, and shares no code with fedchain but the data."""

    def named(source: bytes, *steps: tuple[str, bytes]) -> bytes:
        said = [b"|%b:%d:%b" % (kind.encode(), len(body), body) for kind, body in steps]
        return hashlib.sha256(b"fedchain" + source + b"".join(said)).digest()

    def array(numbers) -> bytes:
        if numbers is None:
            return b"|"
        return f"{numbers.dtype.str}{numbers.shape}|".encode() + numbers.tobytes("C")

    for secret in (None, bytes(range(32))):
        made = build_setup(load("breast_cancer", seed=7), secret)
        text = json.loads(encode_rules(made.rules))
        text["commitment"] = text["ledger"]["identity_root"] = 64 * "0"
        agreed = json.dumps(text, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
        held = b"".join(
            array(each)
            for own in made.task.holders
            for each in (own.inputs, own.targets, own.record)
        )
        data = hashlib.sha256(b"fedchain:data" + held).digest()
        names = ("int", b"7"), ("bytes", agreed.encode()), ("bytes", data)
        source = b":7" if secret is None else b"|bytes:32:" + secret
        blind = named(source, ("str", b"blind"), *names)
        opened = hashlib.sha256(blind + data + (7).to_bytes(8, "big")).digest()
        assert opened == made.rules.commitment
        assert named(source, ("str", b"secret root"), *names) == made.secret

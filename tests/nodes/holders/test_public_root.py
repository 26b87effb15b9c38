"""The public root: what it sends, who pays nothing for it, and who cannot speak in its place."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from group_runs import FIVE, SHARED
from small_runs import simulate, small
from whole_numbers import whole_numbers

from fedchain import run
from fedchain.agreement import quorum_of
from fedchain.audits.runs_for_audit import releases_of
from fedchain.commands.explorer import look
from fedchain.engines import Source
from fedchain.ledger.chain.declared import PUBLIC
from fedchain.ledger.chain.message import sign_message
from fedchain.ledger.chain.state import State
from fedchain.nodes.holders.adversary import Adversary
from fedchain.nodes.holders.momentum import published_vector
from fedchain.nodes.holders.public_root import RootedPool
from fedchain.nodes.holders.release import ReleaseContext, ReleaseRequest
from fedchain.nodes.holders.sent import quantised_rows, root_in
from fedchain.results import MessageRecord, RefusalRecord
from fedchain.simulation.setup import build_setup

ROOT = 10
"""Id of the public root, after those of ten holders."""
TASK = {"kind": "public_root", "of": {"kind": "breast_cancer"}, "records": 40, "steps": 1}
ANSWERED = {
    "holders": {},
    "cohorts": {"nodes.cohort": 4, "aggregation.keep": 3},
    "groups": {"nodes.groups": FIVE, "privacy": SHARED, "aggregation": {"kind": "mean"}},
    "momentum": {"nodes.momentum": {"kind": "mean"}},
    "clips that follow": {"privacy.clip_quantile": 0.5},
    "filter": {"privacy": {"kind": "privacy_filter", "epsilon": 30.0, "delta": 1e-3, "clip": 1.0}},
}


def rooted(rounds: int = 2, **overrides):
    return small(rounds, **{"task": TASK, "attacks": [], **overrides})


def played(folder, *sent, silent=None, **overrides):
    """Run a scenario, in which (time, payload) reach all compute nodes besides.

    The holder ``silent`` sends nothing of its own.
    """
    made = simulate(rooted(**overrides), folder)
    service, release = made.simulation._releases, made.simulation._releases.release
    service.release = lambda who, *at: () if who == silent else release(who, *at)
    for _, payload in sent:
        told = MessageRecord(
            round=1, block=payload.parent.hex(), holder=0, id=payload.id.hex(), norm=1.0,
            cosine=None, used=False, reason="late", epsilon=1.0, attack="", late=True, members=1,
        )  # fmt: skip
        made.simulation._recorder.note([told])
    for time_s, payload in sent:
        for node in range(3):
            made.simulation._transport.queue.put(time_s, node, payload)
    told = [message for _, messages in made.simulation.rounds() for message in messages]
    reasons = {
        said.reason for _, said in made.simulation.tracker.new() if isinstance(said, RefusalRecord)
    }
    made.close()
    chain = made.simulation.chain
    blocks = [chain.block(name).messages for name in chain.path()[1:]]
    return SimpleNamespace(
        setup=made.setup, told=told, reasons=reasons, blocks=blocks, simulation=made.simulation
    )


def asked_at(setup, participants) -> list[ReleaseRequest]:
    at = ReleaseContext(
        secret=setup.secret, chain_id=setup.genesis.header.hash, parent=b"p" * 32, round=1, holder=0
    )
    return [ReleaseRequest(replace(at, holder=k), setup.identities.of(k, 1)) for k in participants]


def test_the_root_sends_the_mean_gradient_of_its_records_without_clip_and_noise():
    setup = build_setup(rooted(**{"privacy.clip": 1e-3, "ledger.storage": "int32"}))
    pool = Source(setup.scenario, setup.mechanism, setup.task).backend("cpu")
    weights = np.random.default_rng(0).normal(size=31)
    (message,) = pool(weights, asked_at(setup, [ROOT])).messages
    root = setup.task.root
    assert root.count == 40
    values = root.inputs.astype(np.float64)
    errors = 1 / (1 + np.exp(-(values @ weights[:30] + weights[30]))) - root.targets
    slow = np.append(errors @ values, errors.sum()) / 40
    assert message.declaration == PUBLIC
    np.testing.assert_allclose(published_vector(message), slow, atol=1e-5 * np.abs(slow).max())


def test_holders_send_the_same_with_and_without_a_root_in_the_pool():
    setup = build_setup(rooted())
    pool = Source(setup.scenario, setup.mechanism, setup.task).backend("cpu")
    assert isinstance(pool, RootedPool)
    alone = pool._pool(setup.state.weights, asked_at(setup, range(10)))
    together = pool.twin()(setup.state.weights, asked_at(setup, range(11)))
    assert [each.id for each in together.messages[:ROOT]] == [each.id for each in alone.messages]
    assert together.seconds["gradients"] > 0


@pytest.fixture(scope="module")
def alike():
    with whole_numbers():
        yield


@pytest.mark.parametrize("kind", ANSWERED)
def test_every_block_has_one_message_of_the_root_and_no_budget_pays_for_it(kind, tmp_path):
    found = played(tmp_path, **ANSWERED[kind])
    nodes = found.setup.scenario.nodes
    for messages in found.blocks:
        said = [message.declaration for message in messages]
        assert said.count(PUBLIC) == 1
        assert len(said) == nodes.asked + 1
    of_root = [each for each in found.told if each.holder == nodes.participants]
    assert [(each.members, each.epsilon, each.late) for each in of_root] == [(0, None, False)] * 2
    assert max(found.simulation.releases) < nodes.participants
    assert all(each.epsilon is not None for each in found.told if each.members)
    assert found.reasons == set()


def test_the_root_speaks_when_the_budgets_of_all_holders_are_spent(tmp_path):
    made = simulate(rooted(), tmp_path)
    service = made.simulation._releases
    for number in range(30):
        parent = bytes([number]) * 32
        service.budget(ROOT).spend(parent, number)
        if service.budget(3).noise_step(parent, number) is not None:
            service.budget(3).spend(parent, number)
    assert service.budget(3).noise_step(b"n" * 32, 31) is None
    assert service.budget(ROOT).noise_step(b"n" * 32, 31) == 0
    assert service.counts.keys() == {3}
    made.close()


def test_a_quorum_counts_the_root_besides_the_holders():
    shares = {0.8: 9, 0.75: 9, 0.3: 4, 1.0: 11}
    assert {q: quorum_of(rooted(**{"ledger.quorum": q})) for q in shares} == shares


def test_a_holder_cannot_speak_as_the_root(alike, tmp_path):
    honest = played(tmp_path / "honest")
    identity = honest.setup.identities.of(0, 1)
    (own,) = (m for m in honest.blocks[0] if m.public_key == identity.public_key)
    false = sign_message(replace(own, declaration=PUBLIC, signature=b""), identity.secret)
    found = played(tmp_path / "false", (0.5, false))
    (reason,) = found.reasons
    assert "with 0 records is not registered for round 1" in reason
    assert [m.id for m in found.blocks[0]] == [m.id for m in honest.blocks[0]]


def test_nobody_silences_the_root_by_sending_what_it_will_send(alike, tmp_path):
    # Records, weights and code are public, so its message can be computed before it is sent.
    honest = played(tmp_path / "honest")
    (public,) = (m for m in honest.blocks[0] if m.declaration == PUBLIC)
    identity = honest.setup.identities.of(0, 1)
    (own,) = (m for m in honest.blocks[0] if m.public_key == identity.public_key)
    copied = {name: getattr(public, name) for name in ("exponent", "direction", "norm")}
    copy = sign_message(replace(own, **copied, signature=b""), identity.secret)
    found = played(tmp_path / "copied", (0.5, copy), silent=0)
    assert copy.payload == public.payload
    assert found.reasons == set()
    assert {copy.id, public.id} <= {message.id for message in found.blocks[0]}


def test_attackers_never_take_the_root_for_a_holder(alike, tmp_path):
    found = played(tmp_path)
    attack = {"kind": "sign_flip", "holders": [9], "knowledge": "omniscient"}
    adversary = Adversary(rooted(attacks=[attack]), keep=16)
    by_key = {found.setup.identities.of(k, 1).public_key: k for k in range(11)}
    cohort = {by_key[message.public_key]: message for message in found.blocks[0]}
    seen = adversary._seen(0, cohort, SimpleNamespace())
    assert {by_key[message.public_key] for message in seen} == set(range(10))
    assert [by_key[message.public_key] for message in root_in(cohort)] == [ROOT]


@pytest.mark.parametrize(("weights", "counted"), [("records", 3), ("equal", 4)])
def test_attackers_try_the_rule_with_the_root_which_has_no_records(weights, counted):
    attack = {"kind": "sign_flip", "holders": [9]}
    adversary = Adversary(
        rooted(attacks=[attack], aggregation={"kind": "mean", "weights": weights}), keep=16
    )
    rows, root = np.random.default_rng(0).normal(size=(3, 31)), np.full((1, 31), 5.0)
    state = State(np.zeros(31), {})
    for beside in (None, lambda: quantised_rows(rows[1:], "int32")):
        rule = adversary.rule_at(state, quantised_rows(root, "int32"), beside)
        tried = rule(rows if beside is None else rows[:1])
        expected = (rows.sum(axis=0) + (counted - 3) * root[0]) / counted
        np.testing.assert_allclose(tried, expected, atol=1e-3)


def test_no_attempt_of_the_root_fails_where_groups_lose_members(tmp_path):
    groups = {**FIVE, "away": 0.9, "attempts": 1}
    made = simulate(rooted(**{**ANSWERED["groups"], "nodes.groups": groups}), tmp_path)
    service = made.simulation._releases
    tries = {who: [service.attempt(who, bytes([k]) * 32, 1, 1) for k in range(9)] for who in (0, 2)}
    assert not all(each.reconstructs for each in tries[0])
    assert all(each.reconstructs and not each.lost for each in tries[2])  # 2 groups, then the root
    made.close()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    attack = {"kind": "sign_flip", "holders": [8, 9]}
    found = rooted(1, attacks=[attack], aggregation={"kind": "fltrust"})
    return run(found, tmp_path_factory.mktemp("runs"), workers=1)


def test_no_audit_looks_at_the_root(done):
    assert {each.holder for each in releases_of(done)} == set(range(8))


def test_a_run_tells_the_root_from_holders_and_its_records_from_protected_ones(done):
    (row,) = done.metrics
    assert (row["messages"], row["root"], row["byzantine"]) == (11, 1, 2)
    shares = {each["holder"]: each["share"] for each in done.messages}
    assert shares[ROOT] == 0.0
    captured = (shares[8] + shares[9]) / sum(shares.values())
    assert row["byzantine_share"] == pytest.approx(captured, abs=1e-8)
    said = json.loads((done.folder / "privacy.json").read_text())
    assert (said["public_records"], len(said["releases"]), sum(said["releases"])) == (40, 10, 10)
    assert "40 rows are declared public and belong to no holder" in said["warnings"][-1]
    seen, lines = look(done.folder, "node", "root")
    assert [each["members"] for each in seen["messages"]] == [0]
    assert lines[0] == "root: 1 releases, 0 used, epsilon -"

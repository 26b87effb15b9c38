"""Adversaries in whole runs: what they see, what they change, and that nothing else changes."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Callable

import adversaries
import numpy as np
import pytest
from adversaries import SEEING
from fresh_processes import fresh_processes
from group_runs import grouped
from small_runs import forking, simulate, small

from fedchain.errors import PartError
from fedchain.ledger.chain.message import Message
from fedchain.ledger.storage.store import Store
from fedchain.nodes.holders.adversary import vectors_of
from fedchain.results import LEDGER, Run
from fedchain.runs.callbacks import Callback
from fedchain.runs.running import resume, run
from fedchain.scenario import Scenario, load


@pytest.fixture
def views():
    adversaries.VIEWS.clear()
    yield adversaries.VIEWS
    adversaries.VIEWS.clear()


def first_round(folder, **overrides) -> tuple[dict[int, Message], object]:
    """Return the messages of round 1 by holder, and the setup of the run."""
    made = simulate(small(1, **overrides), folder)
    list(made.simulation.rounds())
    block = made.simulation.chain.block(made.simulation.chain.path()[1])
    keys = {made.setup.identities.of(holder, 1).public_key: holder for holder in range(10)}
    made.close()
    return {keys[message.public_key]: message for message in block.messages}, made.setup


@pytest.mark.parametrize(
    "attack",
    [
        {"kind": "sign_flip", "holders": [2, 5]},
        {"kind": "norm_inflation", "holders": [2, 5], "factor": 1e8},
        {"kind": "poisoned", "holders": [2, 5]},
        {"kind": "adversaries:alie", "holders": [2, 5], "knowledge": "omniscient"},
    ],
    ids=lambda attack: attack["kind"],
)
@pytest.mark.parametrize("task", [{"kind": "breast_cancer"}, {"kind": "digits"}], ids=str)
def test_no_honest_message_changes_when_others_attack(task, attack, tmp_path):
    quiet, _ = first_round(tmp_path / "quiet", task=task, attacks=[])
    loud, _ = first_round(tmp_path / "loud", task=task, attacks=[attack])
    assert [k for k in range(10) if quiet[k].content != loud[k].content] == [2, 5]
    assert all(quiet[k].declaration == loud[k].declaration for k in range(10))


@pytest.mark.parametrize("knowledge", ["own", "heard", "omniscient"])
def test_an_adversary_sees_what_its_knowledge_says_and_decides_once_for_all(
    knowledge, views, tmp_path
):
    attack = {"kind": "adversaries:spy", "holders": [8, 3, 6], "knowledge": knowledge}
    told, setup = first_round(tmp_path, attacks=[attack])
    (view,) = views
    seen = {"own": [], "heard": [0, 1, 2], "omniscient": [0, 1, 2, 4, 5, 7, 9]}[knowledge]
    honest = vectors_of([told[k] for k in seen], len(setup.state.weights))
    np.testing.assert_array_equal(view.honest, honest)
    sent = vectors_of([told[k] for k in (3, 6, 8)], len(setup.state.weights))
    np.testing.assert_allclose(view.own, sent, rtol=0, atol=1e-4 * np.abs(sent).max())
    assert (view.round, len(view.generators)) == (1, 3)
    np.testing.assert_array_equal(view.state.weights, setup.state.weights)
    assert np.isfinite(view.rule(np.concatenate([view.honest, view.own]))).all()


def test_adversaries_see_one_block_at_a_time_and_only_the_cohort(views, tmp_path):
    attack = {"kind": "adversaries:spy", "share": 0.5, "knowledge": "omniscient"}
    sampled = {"nodes.holders": 20, "nodes.cohort": 8, "aggregation": {"kind": "mean"}}
    run(small(6, attacks=[attack], **sampled), tmp_path, workers=1)
    assert {view.round for view in views} <= set(range(1, 7))
    assert {len(view.own) + len(view.honest) for view in views} == {8}
    assert len({len(view.own) for view in views}) > 1


def test_an_attack_begins_and_ends(tmp_path):
    attack = {"kind": "sign_flip", "count": 3, "from_round": 2, "to_round": 4}
    found = run(small(6, attacks=[attack]), tmp_path, workers=1)
    told = {(m["round"], m["holder"]) for m in found.messages if m["attack"]}
    assert {round_ for round_, _ in told} == {2, 3, 4}
    assert len({holder for _, holder in told}) == 3


def test_equal_vectors_of_an_adversary_all_count(tmp_path):
    attack = {"kind": "adversaries:mimic", "share": 0.4, "knowledge": "omniscient"}
    told, setup = first_round(tmp_path, attacks=[attack])
    assert len(told) == 10
    rows = vectors_of(list(told.values()), len(setup.state.weights))
    cosines = rows @ rows.T / np.outer(*[np.linalg.norm(rows, axis=1)] * 2)
    assert (cosines > 1 - 1e-6).sum() == 5**2 + 5
    assert len({message.payload for message in told.values()}) == 10


def test_a_user_writes_an_omniscient_attack_in_one_file_and_one_line(tmp_path, monkeypatch):
    (tmp_path / "my_attack.py").write_text(
        "import numpy as np\n"
        "def little(view, *, z: float = 1.5):\n"
        '    """A little is enough (Baruch et al. 2019): every coordinate moves by z sd."""\n'
        "    sent = view.honest.mean(axis=0) - z * view.honest.std(axis=0)\n"
        "    return np.tile(sent, (len(view.own), 1))\n"
    )
    (tmp_path / "mine.yaml").write_text(
        "version: 1\nname: mine\nrounds: 3\n"
        "task: {kind: breast_cancer}\nnodes: {holders: 10}\n"
        "privacy: {kind: none}\naggregation: {kind: mean, scale: unit}\n"
        "ledger: {work: {kind: hashcash, difficulty_bits: 6}}\n"
        "attacks: [{kind: 'my_attack:little', share: .4, knowledge: omniscient}]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = run(load(tmp_path / "mine.yaml"), tmp_path, workers=1)
    told = {m["id"]: m["attack"] for m in found.messages}
    assert set(told.values()) == {"", "my_attack:little"}
    with Store.open(found.folder / LEDGER) as store:
        for block in list(store.blocks())[1:]:
            lies = [bool(told[message.id.hex()]) for message in block.messages]
            sent = vectors_of(block.messages, len(block.messages[0].direction))
            honest, attacked = sent[np.invert(lies)], sent[lies]
            assert attacked.shape[0] == 4
            wanted = honest.mean(axis=0) - 1.5 * honest.std(axis=0)
            np.testing.assert_allclose(attacked, np.tile(wanted, (4, 1)), atol=1e-3)


def test_an_attack_that_sends_no_number_ends_the_run_and_names_its_holder(tmp_path):
    attacks = [{"kind": "norm_inflation", "holders": [1], "factor": 1e300}]
    with pytest.raises(PartError, match=r"norm_inflation: makes holder 1 send -?inf in round 1"):
        run(small(2, attacks=attacks), tmp_path, workers=1)


def seeing(rounds: int = 12) -> Scenario:
    return forking(rounds, attacks=SEEING, aggregation={"kind": "mean", "scale": "unit"})


def seeing_in_groups() -> Scenario:
    attacks = [
        {"kind": "adversaries:mimic", "holders": [1, 8], "knowledge": "omniscient"},
        {"kind": "random_direction", "holders": [2]},
        {"kind": "poisoned", "holders": [3], "records": {"kind": "label_flip"}, "factor": 3.0},
    ]
    losing = {"size": 5, "honest": 0.8, "dropout": 0.2, "away": 0.1, "attempts": 4}
    return grouped(6, losing, attacks=attacks, **{"nodes.holders": 15})


ENGINES = [
    pytest.param("processes", id="processes"),
    pytest.param(
        "ray",
        marks=pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="ray is absent"),
    ),
]


@pytest.mark.parametrize(
    "scenario", [seeing, pytest.param(seeing_in_groups, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("engine", ENGINES)
def test_adversaries_decide_the_same_on_every_engine(scenario, engine, tmp_path):
    made = [
        run(scenario(), tmp_path / kind, engine=kind, workers=workers)
        for kind, workers in (("threads", 1), ("threads", 3), (engine, 2))
    ]
    assert len({found.manifest["head"] for found in made}) == 1
    assert {m["attack"] for m in made[0].messages} > {""}


class Stops(Callback):
    """Interrupts a run at a round, or kills its process."""

    def __init__(self, at_round: int, stop: Callable[[], None]) -> None:
        self._at_round, self._stop = at_round, stop

    def on_round_end(self, ended):
        if ended.record.round == self._at_round:
            self._stop()


def interrupted():
    raise KeyboardInterrupt


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def without_wall_time(found: Run) -> list[dict[str, object]]:
    return [{k: v for k, v in e.items() if k != "seconds"} for e in found.events]


def resumed_until_killed(folder, at_round: int) -> None:
    resume(folder, workers=1, callbacks=[Stops(at_round, killed)], trust_user_parts=True)


@pytest.mark.parametrize("scenario", [seeing, seeing_in_groups])
def test_runs_with_adversaries_end_alike_when_they_are_killed_and_resumed(scenario, tmp_path):
    done = run(scenario(), tmp_path / "done", workers=2)
    if scenario is seeing:
        assert done.manifest["stale_blocks"] > 0
    with pytest.raises(KeyboardInterrupt):
        run(scenario(), tmp_path, workers=1, callbacks=[Stops(2, interrupted)])
    (folder,) = tmp_path.glob("small-*")
    child = fresh_processes().Process(target=resumed_until_killed, args=(folder, 4))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    again = resume(folder, trust_user_parts=True)
    assert again.manifest["head"] == done.manifest["head"]
    assert without_wall_time(again) == without_wall_time(done)


def test_what_is_remembered_changes_no_decision(tmp_path, monkeypatch):
    heads = []
    for kept in (8, 1):
        monkeypatch.setattr("fedchain.simulation.release_service.KEPT_PARENTS", kept)
        heads.append(run(seeing(), tmp_path / str(kept), workers=1).manifest["head"])
    assert heads[0] == heads[1]

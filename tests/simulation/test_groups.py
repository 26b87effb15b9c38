"""Runs whose holders form groups: what the chain, the results and the words say."""

from __future__ import annotations

import json
import math

import pytest
from command_line import call
from group_runs import FIVE, SHARED, grouped
from small_runs import FORKING, SLOW, simulate

from fedchain import load
from fedchain.agreement import mechanism_of
from fedchain.forecasts.forecast import forecast
from fedchain.nodes.holders.data_holder import TOO_FEW
from fedchain.privacy.accounting import gaussian_epsilon
from fedchain.privacy.guarantee import outnumbered
from fedchain.results import Run
from fedchain.runs.callbacks import Callback
from fedchain.runs.manifest import as_json
from fedchain.runs.privacy_statement import attackers_in, privacy_statement
from fedchain.runs.running import resume, run

LOSING = {**FIVE, "away": 0.1}
FLIPPED = [{"kind": "norm_inflation", "holders": [7], "factor": 100.0}]


def scenario(rounds: int = 5, **overrides):
    return grouped(rounds, LOSING, **{"attacks": FLIPPED, "evaluate.samples": 0, **overrides})


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Run:
    return run(scenario(), tmp_path_factory.mktemp("groups"))


def without_wall_time(found: Run) -> list[dict[str, object]]:
    return [{k: v for k, v in e.items() if k != "seconds"} for e in found.events]


def test_the_chain_carries_one_message_a_group_and_verifies(done):
    assert done.manifest["status"] == "finished"
    assert {m["holder"] for m in done.messages} == {0, 1}
    assert all(r["messages"] == 2 for r in done.metrics)
    assert done.verify().ok


def test_groups_are_named_as_such_where_a_run_is_looked_into(done):
    def shown(*asked: str) -> str:
        made = call("inspect", done.folder, *asked)
        return made.out + made.err

    assert "group 1: " in shown("node", "g1")
    assert "write g3 for group 3" in shown("node", "h1")
    assert " g0 " in shown("round", "2")
    assert " g0 " in shown("block", "2")


def test_a_message_is_told_with_its_survivors_and_with_the_attack_inside(done):
    members = {m["members"] for m in done.messages}
    assert members <= {4, 5}
    assert len(members) == 2
    for message in done.messages:
        assert message["attack"] in ({""} if message["holder"] == 0 else {"", "norm_inflation"})
    assert any(m["attack"] for m in done.messages)


@pytest.mark.parametrize(
    ("engine", "workers"),
    [
        ("threads", 1),
        ("threads", 3),
        pytest.param("processes", 2, marks=pytest.mark.long),
    ],
)
def test_engines_and_workers_change_nothing(done, tmp_path, engine, workers):
    again = run(scenario(), tmp_path, engine=engine, workers=workers)
    assert again.manifest["head"] == done.manifest["head"]
    assert without_wall_time(again) == without_wall_time(done)


class Stop(Callback):
    """Interrupts a run in its third round."""

    def on_run_begin(self, folder, setup):
        self.folder = folder

    def on_round_end(self, ended):
        if ended.record.round == 3:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_to_the_same_head(done, tmp_path):
    stop = Stop()
    with pytest.raises(KeyboardInterrupt):
        run(scenario(), tmp_path, callbacks=[stop])
    resumed = resume(stop.folder)
    assert resumed.manifest["head"] == done.manifest["head"]
    assert without_wall_time(resumed) == without_wall_time(done)


def test_every_member_is_said_to_have_made_the_releases_of_its_group(done):
    said = json.loads((done.folder / "privacy.json").read_text())
    assert len(said["releases"]) == 10
    assert len(set(said["releases"][:5])) == len(set(said["releases"][5:])) == 1
    assert said["groups"] == {
        "size": 5,
        "honest": 4,
        "dropouts": 1,
        "threshold": 4,
        "counted_on": 3,
    }
    worst = said["releases"][said["worst_holder"]]
    exact = gaussian_epsilon(1e-3, math.sqrt(worst) / said["noise_multiplier"])
    assert said["epsilon_total"] == pytest.approx(exact, rel=1e-3)


def test_the_guarantee_says_against_whom_and_on_what_conditions(done):
    words = json.loads((done.folder / "privacy.json").read_text())["guarantee"]
    for phrase in (
        "compute nodes, readers of the chain, the assembler of its group and up to 1 of the other "
        "members of its group",
        "it suffices if 4 members of the group are honest, 1 of whom may be lost, so that 3 of "
        "them carry it",
        "No holder is protected by noise of its own alone",
        "releases of the group that made the most",
    ):
        assert phrase in words
    rows = dict(forecast(scenario()).rows)
    assert rows["who"].startswith("10 data holders in 2 groups of 5, 3 compute nodes")
    assert rows["groups"].startswith(
        "a sum needs 4 of 5 members; noise is calibrated to 3: 4 honest, less 1 that may be lost"
    )
    assert "up to 1 of the other members" in rows["guarantee"]


def outnumbered_words(honest: float, attackers: tuple[int, ...] = (25, 26, 27), **groups):
    attacks = [{"kind": "sign_flip", "holders": list(attackers)}]
    values = {"nodes.groups": {"size": 5, "honest": honest, **groups}, "attacks": attacks}
    loaded = load("groups_and_attackers", set=values)
    mechanism = mechanism_of(loaded, 650)
    words = outnumbered(mechanism, loaded.rounds, loaded.nodes.groups, attackers_in(loaded))
    return words, mechanism, loaded


def test_a_group_with_more_attackers_than_assumed_is_warned_of_with_its_true_epsilon():
    (words,), mechanism, loaded = outnumbered_words(1.0)
    stated, fewer = mechanism.epsilon_after(40), math.sqrt(2 / 5)
    true = gaussian_epsilon(1e-5, math.sqrt(40) / (mechanism.noise_multiplier * fewer))
    assert true > 1.7 * stated
    assert words == (
        "nodes.groups.honest: 1 assumes 5 honest members in every group, but attackers leave 2 of "
        f"5 in group 5: epsilon of its members is {true:.4g}, not {stated:.4g}; assume 2"
    )
    assert words.partition(": epsilon of")[0] in str(forecast(loaded).values["warnings"])


def test_a_group_whose_honest_members_may_all_be_lost_has_no_epsilon():
    (words,), *_ = outnumbered_words(1.0, (24, 25, 26, 27), size=6, dropout=0.34)
    assert "attackers leave 2 of 6 in group 4: epsilon of its members is inf, not" in words


def test_a_group_with_as_many_attackers_as_assumed_is_not_warned_of():
    assert outnumbered_words(0.4)[0] == []
    sparse = load("groups", set={"nodes.groups": {"size": 10, "honest": 1.0}})
    assert attackers_in(sparse) == set()


def test_the_statement_of_a_run_has_the_warning(tmp_path):
    done = run(scenario(2, **{"nodes.groups": {"size": 5, "honest": 1.0}}), tmp_path)
    warnings = json.loads((done.folder / "privacy.json").read_text())["warnings"]
    assert any(w.startswith("nodes.groups.honest: 1 assumes 5 honest members") for w in warnings)


def test_an_attempt_that_fails_late_costs_a_release_that_no_message_shows(tmp_path):
    losing = {**FIVE, "away": 0.3, "attempts": 20}
    spare = {"privacy": {**SHARED, "spare_releases": 40}, "nodes.compute": 1}  # no stale block
    made = simulate(grouped(6, losing, **spare), tmp_path)
    messages = [m for _, told in made.simulation.rounds() for m in told]
    released = made.simulation.releases
    made.close()
    spoken = [sum(m.holder == number for m in messages) for number in (0, 1)]
    assert spoken == [6, 6]
    assert sum(released.values()) > 12
    statement = json.loads(as_json(privacy_statement(made.setup, released)))
    assert max(statement["releases"]) == max(released.values())


def test_a_group_that_stays_too_small_stalls_a_run_that_needs_it(tmp_path):
    made = run(grouped(3, {**FIVE, "away": 0.9, "attempts": 2}, name="stalled"), tmp_path)
    assert made.manifest["status"] == "stalled"
    assert made.manifest["height"] == 0
    assert TOO_FEW in (made.folder / "run.log").read_text()


def test_groups_answer_forks_with_fresh_masks_and_pay_for_them(tmp_path):
    forks = {"ledger.work": FORKING, "network": SLOW, "privacy": {**SHARED, "spare_releases": 12}}
    pairs = {"size": 2, "honest": 1.0}
    for seed in range(20):  # one of three has a fork that costs a release, at the least
        made = simulate(grouped(12, pairs, seed=seed, **forks), tmp_path / str(seed))
        records = [record for record, _ in made.simulation.rounds()]
        made.close()
        assert records[-1].round == 12
        if made.simulation.chain.stale and max(made.simulation.releases.values()) > 12:
            return
    pytest.fail("no fork was answered")


def test_where_some_groups_are_asked_each_is_asked_whole(tmp_path):
    made = run(grouped(6, FIVE, **{"nodes.cohort": 1, "name": "some"}), tmp_path)
    assert made.manifest["status"] == "finished"
    assert [r["messages"] for r in made.metrics] == [1] * 6
    assert {m["holder"] for m in made.messages} == {0, 1}
    assert "sampling amplifies nothing" in (made.folder / "privacy.json").read_text()

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from fresh_processes import fresh_processes
from group_runs import FIVE, SHARED
from small_runs import EPSILON, FORKING, SLOW, SPENDING, forking, small
from whole_numbers import WHOLE, whole_numbers

import fedchain
from fedchain.errors import RunError, ScenarioError
from fedchain.learning.evaluation import Evaluations
from fedchain.ledger.storage.store import Store
from fedchain.nodes.holders.data_holder import BUDGET_SPENT
from fedchain.privacy.accounting import gaussian_epsilon
from fedchain.results import LEDGER, Run, RunFolder
from fedchain.runs.callbacks import Callback
from fedchain.runs.running import resume, run
from fedchain.scenario import from_mapping, run_name
from fedchain.simulation.setup import build_setup
from fedchain.timing import STAGES


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Run:
    return run(forking(), tmp_path_factory.mktemp("done"), workers=1)


class Stop(Callback):
    """Interrupts a run before a round, counted from 0: by default before the first."""

    def __init__(self, after: int = 0) -> None:
        self.left = after

    def on_run_begin(self, folder, setup):
        self._stop()

    def on_round_end(self, ended):
        self._stop()

    def _stop(self):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def without_wall_time(found: Run) -> list[dict[str, object]]:
    return [{k: v for k, v in e.items() if k != "seconds"} for e in found.events]


def test_a_run_ends_finished_and_its_ledger_holds(done):
    assert done.manifest["status"] == "finished"
    verification = done.verify()
    assert verification.ok
    assert verification.height == 12
    assert verification.block == done.manifest["head"]


def test_the_main_chain_is_told_and_every_stale_block_is_kept(done):
    assert [row["height"] for row in done.metrics] == list(range(1, 13))
    with Store.open(done.folder / LEDGER, writable=False) as store:
        assert len(store) == 12 + done.summary()["stale_blocks"]


def test_the_same_scenario_gives_the_same_events_for_any_number_of_workers(done, tmp_path):
    again = run(forking(), tmp_path, workers=2)
    assert without_wall_time(again) == without_wall_time(done)


def test_another_seed_gives_another_head(done, tmp_path):
    other = run(forking(seed=1), tmp_path)
    assert other.manifest["head"] != done.manifest["head"]


def test_releases_of_the_messages_on_the_wire_equal_those_of_the_budgets(done):
    stated = json.loads((done.folder / "privacy.json").read_text())
    sent = [0] * 10
    for identity in {(m["holder"], m["id"]) for m in done.messages}:
        sent[identity[0]] += 1
    assert sent == stated["releases"]
    assert max(sent) == done.manifest["epsilon"]["worst_holder_releases"]
    assert stated["epsilon_total"] == done.manifest["epsilon"]["total"]


def test_epsilon_grows_with_every_release_and_never_passes_what_was_asked(done):
    spent = [row["epsilon"] for row in done.metrics]
    assert spent == sorted(spent)
    assert spent[0] < spent[-1] <= EPSILON


def test_sign_flippers_are_rejected_in_most_rounds(tmp_path):
    with whole_numbers():
        told = run(small(privacy=WHOLE), tmp_path).messages
    attacked = [m for m in told if m["attack"]]
    assert {(m["holder"], m["round"]) for m in attacked} == {
        (holder, round_) for holder in (8, 9) for round_ in range(3, 7)
    }
    assert sum(m["used"] for m in attacked) < len(attacked) / 2


def test_the_model_learns(done):
    assert done.metrics[-1]["accuracy"] > 0.85  # .957 with a deviation of .008 over other noise


def test_the_summary_has_everything_that_a_script_reads(done):
    summary = done.summary()
    assert {"run", "status", "rounds", "height", "head", "metrics"} < summary.keys()
    assert {"accuracy", "loss", "baselines"} <= summary["metrics"].keys()
    assert set(summary["epsilon"]) == {"per_release", "total", "delta", "worst_holder_releases"}
    assert {"total", *STAGES} == summary["seconds"].keys()
    assert summary["peak_rss_mb"] > 50
    json.dumps(summary, allow_nan=False)


def test_a_finished_run_is_found_again_and_not_repeated(done):
    before = (done.folder / "events.ndjson").stat().st_mtime_ns
    again = run(forking(), done.folder.parent)
    assert again.folder == done.folder
    assert (done.folder / "events.ndjson").stat().st_mtime_ns == before


def test_an_unfinished_run_says_how_to_go_on(done, tmp_path):
    class Stop(Callback):
        def on_round_end(self, ended):
            if ended.record.round == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(forking(), tmp_path, callbacks=[Stop()])
    folder = tmp_path / run_name(forking())
    assert Run.open(folder).manifest["status"] == "interrupted"
    with pytest.raises(RunError, match="fedchain resume"):
        run(forking(), tmp_path)
    resumed = resume(folder)
    assert resumed.manifest["status"] == "finished"
    assert without_wall_time(resumed) == without_wall_time(done)


class StopAt(Callback):
    """Interrupts a run after a round."""

    def __init__(self, at_round: int) -> None:
        self._at_round = at_round

    def on_round_end(self, ended):
        if ended.record.round == self._at_round:
            raise KeyboardInterrupt


DISK = [{}, {"disk.keep_weights": 5, "disk.keep_messages": 4}]


def test_what_is_kept_on_disk_changes_no_block_and_no_figure_also_after_an_interruption(tmp_path):
    """So many rounds that directions go from the disk while it runs; resuming makes them again."""
    found = []
    for number, kept in enumerate(DISK):
        scenario = forking(84, **kept)
        with pytest.raises(KeyboardInterrupt):
            run(scenario, tmp_path / str(number), callbacks=[StopAt(82)])
        folder = tmp_path / str(number) / run_name(scenario)
        with Store.open(folder / LEDGER, writable=False) as store:
            assert (store.keeping.below > 0) == ("disk.keep_messages" in kept)
        resumed = resume(folder)
        verdict = resumed.verify()
        assert verdict.ok
        assert ("steps below height 81" in str(verdict)) == ("disk.keep_messages" in kept)
        found.append(without_wall_time(resumed))
    assert all(figures == found[0] for figures in found)


def test_a_chain_without_messages_keeps_what_all_its_blocks_share_when_it_is_pruned(tmp_path):
    blocks = {
        "version": 1,
        "name": "blocks",
        "rounds": 40,
        "task": {"kind": "none"},
        "nodes": {"compute": 3},
        "ledger": {"work": {"kind": "hashcash", "difficulty_bits": 4}},
        "disk": {"keep_messages": 4},
    }
    done = run(from_mapping(blocks), tmp_path)
    verdict = done.verify()
    assert verdict.ok, verdict.reason
    with Store.open(done.folder / LEDGER) as store:
        assert store.keeping.below == 37
        assert done.verify().ok  # opening deletes what a pruning left, and this one left nothing


class _Signal(Callback):
    """Tells the parent process that a round is over."""

    def __init__(self, reached, at_round: int) -> None:
        self._reached, self._at_round = reached, at_round

    def on_round_end(self, ended):
        if ended.record.round == self._at_round:
            self._reached.set()


def _resume_and_tell(folder: Path, reached, at_round: int) -> None:
    resume(folder, workers=2, callbacks=[_Signal(reached, at_round)])


def _interrupted_at_once(out: Path) -> Path:
    class Stop(Callback):
        def on_run_begin(self, folder, setup):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(forking(), out, callbacks=[Stop()])
    return out / run_name(forking())


@pytest.mark.long  # tests/runs/test_killed.py kills a few times, with everything at once
def test_a_run_that_is_killed_at_twenty_random_moments_reaches_the_same_head(done, tmp_path):
    fresh = _interrupted_at_once(tmp_path / "fresh")
    folder = shutil.copytree(fresh, tmp_path / "killed" / fresh.name)
    processes = fresh_processes()
    moments, height, kills = np.random.default_rng(0), 0, 0
    while kills < 20:
        height = min(height + int(moments.integers(1, 4)), 8)  # twelve are soon over
        reached = processes.Event()
        child = processes.Process(target=_resume_and_tell, args=(folder, reached, height))
        child.start()
        assert reached.wait(60)
        child.join(float(moments.uniform(0.0, 0.01)))  # somewhere in the round that follows
        assert child.is_alive()
        child.kill()
        child.join()
        kills += 1
        assert len(Run.open(folder).metrics) >= height
        if height == 8 or kills == 20:
            resumed = resume(folder)
            assert resumed.manifest["head"] == done.manifest["head"]
            assert without_wall_time(resumed) == without_wall_time(done)
            assert resumed.verify().ok
            shutil.rmtree(folder)
            shutil.copytree(fresh, folder)
            height = 0


def test_two_processes_cannot_write_one_run(done, tmp_path):
    class Intrude(Callback):
        def on_run_begin(self, folder, setup):
            with pytest.raises(RunError, match="another process"):
                RunFolder(folder).lock()

        def on_round_end(self, ended):
            pass

    run(small(rounds=1), tmp_path, callbacks=[Intrude()])


def test_a_bad_parameter_that_only_its_part_can_judge_leaves_nothing_behind(tmp_path):
    odd = small(network={"kind": "random_regular", "degree": 3}, **{"nodes.holders": 10})
    with pytest.raises(ScenarioError, match="must be even"):
        run(odd, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_holder_whose_budget_ends_falls_silent_and_the_run_says_so(tmp_path):
    short = forking(rounds=20, **{"privacy.spare_releases": 0, "ledger.work.interval_s": 0.05})
    stopped = run(short, tmp_path)
    assert stopped.manifest["status"] == "budget_exhausted"
    assert stopped.manifest["epsilon"]["total"] <= EPSILON
    assert stopped.verify().ok


def test_a_run_stops_with_the_first_spent_budget_where_that_is_asked_for(tmp_path):
    fast = {"privacy.spare_releases": 0, "ledger.work.interval_s": 0.05}
    fast |= {"aggregation": {"kind": "mean"}, "ledger.quorum": 0.3, "nodes.cohort": 5}
    with whole_numbers():
        runs = {
            word: run(forking(20, privacy=WHOLE, **fast, **{"nodes.on_exhausted": word}), tmp_path)
            for word in ("leave", "stop")
        }
    left, stopped = (runs[word].manifest for word in ("leave", "stop"))
    assert stopped["status"] == "budget_exhausted"
    assert 0 < stopped["height"] < left["height"]
    assert len(stopped["silent"][BUDGET_SPENT]) == 1 <= len(left["silent"][BUDGET_SPENT])
    for made in runs.values():
        said = json.loads((made.folder / "privacy.json").read_text())
        assert max(said["releases"]) <= said["releases_allowed"]
        allowed = gaussian_epsilon(1e-3, math.sqrt(said["releases_allowed"]) / 2.0)
        assert said["epsilon_total"] == pytest.approx(allowed, rel=1e-6)


def test_a_resume_on_a_machine_with_other_initial_weights_is_refused(tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        run(small(), tmp_path, callbacks=[Stop()])
    folder = tmp_path / run_name(small())
    monkeypatch.setattr("fedchain.agreement.MAX_NORM", 1.0)
    with pytest.raises(RunError, match=r"computes genesis .* \(ledger.max_norm"):
        resume(folder)


def test_a_finished_folder_of_another_scenario_is_not_taken_for_this_one(tmp_path, monkeypatch):
    first = run(small(rounds=1), tmp_path)
    assert run(small(rounds=1), tmp_path).manifest["head"] == first.manifest["head"]
    monkeypatch.setattr("fedchain.scenario.provenance.NAMED_DIGITS", 0)  # all names are alike
    first.folder.rename(tmp_path / run_name(small(rounds=1)))
    assert run(small(rounds=1), tmp_path).manifest["head"] == first.manifest["head"]
    with pytest.raises(RunError, match="has the run of another scenario, seed, code or data under"):
        run(small(rounds=2), tmp_path)
    assert run(small(rounds=2), tmp_path, force=True).manifest["height"] == 2


def test_without_privacy_nothing_is_claimed(tmp_path):
    plain = run(small(rounds=2, privacy={"kind": "none"}), tmp_path)
    assert plain.summary()["epsilon"]["total"] is None
    assert "no privacy" in json.loads((plain.folder / "privacy.json").read_text())["guarantee"]


def test_every_kind_of_identity_network_update_and_storage_runs(tmp_path):
    for number, overrides in enumerate(
        (
            {"nodes.identity": "open", "network": {"kind": "ring"}},
            {"update": {"kind": "momentum", "learning_rate": 0.1}, "ledger.storage": "int8"},
            {"ledger.weights": "float32", "aggregation": {"kind": "mean"}},
            {"privacy": {"kind": "knorm", "epsilon": 8.0, "clip": 1.0, "delta": 1e-3}},
        )
    ):
        found = run(small(rounds=2, **overrides), tmp_path / str(number))
        assert found.manifest["status"] == "finished"
        assert found.verify().ok


ADAM = {"kind": "adam", "learning_rate": 0.1}
AROUND = {"kind": "averaged", "of": {"kind": "filtered", "of": ADAM}, "decay": 0.75}


UNTUNED = {"update": {"kind": "distance_over_gradients"}, "privacy.clip": "automatic"}
TOGETHER = {
    "update": UNTUNED["update"],
    "nodes.groups": FIVE,
    "privacy": {**SHARED, "clip": "automatic"},
    "aggregation": {"kind": "mean"},
    "attacks": [],
}

FILTER = {"ledger.work": FORKING, "network": SLOW, "privacy": {**SPENDING, "growth": 2}}


@pytest.mark.parametrize(
    "parts",
    [{"update": AROUND}, UNTUNED, TOGETHER, FILTER],
    ids=["around", "untuned", "together", "privacy filter"],
)
def test_updates_end_at_one_head_in_every_engine_and_after_an_interruption(parts, tmp_path):
    scenario = small(rounds=5, **parts)
    done = run(scenario, tmp_path / "threads", workers=2)
    assert done.verify().ok
    head = done.manifest["head"]
    assert run(scenario, tmp_path / "one", workers=1).manifest["head"] == head
    if parts is TOGETHER:  # a process takes seconds to start
        far = run(scenario, tmp_path / "far", engine="processes", workers=1)
        assert far.manifest["head"] == head
    with pytest.raises(KeyboardInterrupt):
        run(scenario, tmp_path / "cut", callbacks=[Stop(after=3)])
    assert resume(tmp_path / "cut" / run_name(scenario)).manifest["head"] == head


def test_what_is_measured_is_the_average_where_the_update_keeps_one(tmp_path):
    scenario = small(rounds=4, update={"kind": "averaged", "of": ADAM, "from_round": 2})
    done, evaluations = run(scenario, tmp_path), Evaluations(build_setup(scenario).task)
    with Store.open(done.folder / "ledger", writable=False) as store:
        state = store.state(store.head)
    average, last = (
        evaluations.measure(b"", weights).result().metrics["loss"]
        for weights in (state.memory["average"], state.weights)
    )
    evaluations.close()
    assert done.summary()["metrics"]["loss"] == average != last


def test_the_public_names_are_importable_and_documented():
    for name in fedchain.__all__:
        assert getattr(fedchain, name).__doc__
    with pytest.raises(AttributeError, match="no attribute"):
        _ = fedchain.nothing


def test_a_run_that_would_hash_for_too_long_does_not_start(tmp_path):
    work = {"kind": "hashcash", "difficulty_bits": 40, "most_hashing_s": 5.0}
    words = r"most_hashing_s: 6 blocks .* s of hashing here, got 5;"
    with pytest.raises(ScenarioError, match=words):
        run(small(**{"ledger.work": work}), tmp_path)
    assert not list(tmp_path.iterdir())
    work["difficulty_bits"] = 4
    assert run(small(rounds=2, **{"ledger.work": work}), tmp_path).manifest["status"] == "finished"

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import call

from fedchain.errors import RunRefused
from fedchain.results import Run, RunFolder
from fedchain.timing import STAGES
from fedchain.update import Updated

SCENARIO = """
version: 1
name: tiny
rounds: 3
task: {kind: breast_cancer}
nodes: {holders: 5, compute: 3}
privacy: {kind: gaussian, epsilon: 8.0, delta: 1e-4, clip: 1.0}
aggregation: {kind: l_nearest, keep: 4}
update: {kind: momentum, learning_rate: 0.1}
ledger: {work: {kind: hashcash, difficulty_bits: 4}}
attacks: [{kind: sign_flip, holders: [4], from_round: 2}]
"""
NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
NO_PERMISSION = OSError(errno.EACCES, os.strerror(errno.EACCES))


@pytest.fixture(scope="module")
def scenario(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("scenario") / "tiny.yaml"
    file.write_text(SCENARIO)
    return file


@pytest.fixture(scope="module")
def done(scenario, tmp_path_factory) -> SimpleNamespace:
    out = tmp_path_factory.mktemp("runs")
    told = call("run", scenario, "--out", out, "--format", "json")
    return SimpleNamespace(out=out, told=told, folder=next(out.glob("tiny-*")))


def only_run(out: Path) -> Path:
    (folder,) = out.glob("tiny-*")
    return folder


def without_wall_time(folder: Path) -> list[dict[str, object]]:
    return [{k: v for k, v in e.items() if k != "seconds"} for e in Run.open(folder).events]


def assert_resumable(folder: Path, done: SimpleNamespace) -> None:
    told = call("resume", folder, "--format", "json")
    assert (told.code, json.loads(told.out)["status"]) == (0, "finished")
    assert without_wall_time(folder) == without_wall_time(done.folder)
    assert call("verify", folder).code == 0


def test_a_run_in_json_prints_one_object_and_nothing_else(done):
    assert (done.told.code, done.told.err) == (0, "")
    summary = json.loads(done.told.out)
    assert (summary["run"], summary["status"]) == (str(done.folder), "finished")
    assert (summary["rounds"], summary["height"]) == (3, 3)
    assert len(summary["head"]) == 64
    assert set(summary["epsilon"]) == {"per_release", "total", "delta", "worst_holder_releases"}
    assert 0 < summary["epsilon"]["per_release"] < summary["epsilon"]["total"] <= 8.0
    assert {"accuracy", "loss", "baselines"} <= summary["metrics"].keys()
    assert "majority" in summary["metrics"]["baselines"]
    assert set(summary["seconds"]) == {"total", *STAGES}
    assert summary["seconds"]["total"] >= sum(summary["seconds"][stage] for stage in STAGES)
    assert summary["peak_rss_mb"] > 50


def test_a_rule_of_ones_own_that_fails_later_is_one_line_and_says_how_to_begin_anew(
    done, scenario, tmp_path, monkeypatch
):
    rule = (
        "from fedchain.update import Updated\n"
        "def mine(weights, memory, gradient, round_):\n"
        "    return (Updated if round_ < 3 else updates)(weights, {})\n"
    )
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "update_lab.py").write_text(rule)
    monkeypatch.syspath_prepend(lab)
    changed = ["--set", "update.kind=update_lab:mine", "--set", "rounds=3"]
    told = call("run", scenario, "--out", tmp_path, *changed)
    words = "update update_lab:mine: NameError: name 'updates' is not defined ("
    (line,) = [line for line in told.err.splitlines() if line.startswith(words)]
    assert (told.code, "Traceback" in told.err) == (1, False)
    assert line.endswith("update_lab.py, line 3)")
    folder = only_run(tmp_path)
    assert "mend the part, and run the scenario again: a run goes on (fedchain res" in told.err
    imported = sys.modules["update_lab"]
    monkeypatch.setattr(imported, "updates", Updated, raising=False)
    told = call("resume", folder)
    assert (told.code, "update_lab:mine; add --trust-user-parts" in told.err) == (2, True)
    told = call("resume", folder, "--trust-user-parts", "--format", "json")
    assert (told.code, json.loads(told.out)["status"]) == (0, "finished")


def test_a_finished_run_is_told_again_and_left_alone(done, scenario):
    before = {file: file.stat().st_mtime_ns for file in done.folder.rglob("*") if file.is_file()}
    for again in (
        call("run", scenario, "--out", done.out, "--format", "json"),
        call("resume", done.folder, "--format", "json"),
    ):
        assert (again.code, json.loads(again.out)) == (0, json.loads(done.told.out))
        assert "nothing was run" in again.err
    for again, more in (
        (call("run", scenario, "--out", done.out), "; --force runs it again"),
        (call("resume", done.folder), ""),
    ):
        ended = Run.open(done.folder).manifest["ended"]
        assert again.err == f"{done.folder}: finished on {ended}, nothing was run{more}\n"
    after = {file: file.stat().st_mtime_ns for file in done.folder.rglob("*") if file.is_file()}
    assert after == before


def test_to_tell_a_finished_run_again_loads_nothing_that_a_run_needs(done, scenario, monkeypatch):
    for module in ("running", "preparation", "genesis"):
        monkeypatch.setitem(sys.modules, f"fedchain.runs.{module}", None)
    assert call("run", scenario, "--out", done.out).code == 0
    assert call("resume", done.folder).code == 0


def test_a_finished_run_is_found_without_checking_its_scenario_again(done, scenario, monkeypatch):
    def check(*_):
        raise RunRefused("checked")

    monkeypatch.setattr("fedchain.scenario.checking.check_scenario", check)
    assert call("run", scenario, "--out", done.out).code == 0
    for more in (("--set", "rounds=4"), ("--seed", 1), ("--name", "other"), ("--dry-run",)):
        assert call("run", scenario, "--out", done.out, *more).err.endswith("checked\n")
    assert call("run", scenario, "--out", done.out / "elsewhere").err.endswith("checked\n")


def test_a_damaged_manifest_is_refused_with_the_key_that_it_lacks(done, tmp_path):
    folder = tmp_path / done.folder.name
    shutil.copytree(done.folder, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    for key in ("baselines", "status", "digest"):
        left = {name: value for name, value in manifest.items() if name != key}
        (folder / "manifest.json").write_text(json.dumps({**left, **INTERRUPTED[key]}))
        told = call("resume", folder, "--format=plain")
        assert (told.code, told.out) == (2, "")
        assert f"manifest.json: has no {key}, which every run of this version writes" in told.err


INTERRUPTED = {"baselines": {}, "status": {}, "digest": {"status": "interrupted"}}
"""What else is changed in a manifest, so that a key is read."""


def test_progress_goes_to_stderr_and_the_result_to_stdout(scenario, tmp_path):
    told = call("run", scenario, "--out", tmp_path, "--format", "plain", "--set", "rounds=2")
    assert told.code == 0
    assert "5 holders (1 sign_flip)" in told.err
    assert "status    finished, 2 of 2 rounds" in told.out
    assert "status" not in told.err
    assert "\x1b" not in told.out
    assert f"fedchain verify {only_run(tmp_path)}" in told.out


def test_a_dry_run_leaves_nothing(scenario, tmp_path):
    out = tmp_path / "runs"
    told = call("run", scenario, "--out", out, "--dry-run", "--format", "json", "--seed", "7")
    assert told.code == 0
    words = json.loads(told.out)
    assert (words["status"], words["rounds"]) == ("dry run", 3)
    assert words["run"].endswith("-s7")
    assert not out.exists()


def test_a_bad_scenario_is_exit_2_and_leaves_nothing(scenario, tmp_path):
    for override in ("aggregation.keep=6", "rounds=0", "privacy.epsilon=0", "privacy.epsilon=.nan"):
        told = call("run", scenario, "--out", tmp_path / "runs", "--set", override)
        assert (told.code, told.out) == (2, "")
        assert override.split("=")[0] in told.err
    assert call("run", tmp_path / "missing.yaml", "--out", tmp_path / "runs").code == 2
    assert not (tmp_path / "runs").exists()


def full_on_write_of(monkeypatch, name: str, error: OSError) -> None:
    """Let no file of this name be written whole any more."""
    replaced = Path.replace

    def replace(self, target):
        if Path(target).name == name:
            raise error
        return replaced(self, target)

    monkeypatch.setattr(Path, "replace", replace)


def break_store(monkeypatch, error):
    from fedchain.ledger.storage import database

    written = database.write_block

    def write_block(connection, row, messages):
        if row.height == 2:
            raise sqlite3.OperationalError("database or disk is full")
        written(connection, row, messages)

    monkeypatch.setattr(database, "write_block", write_block)


def break_blobs(monkeypatch, error):
    from fedchain.ledger.storage.blobs import Blobs

    calls = []
    put = Blobs.put

    def counted(self, *contents):
        calls.append(contents)
        if len(calls) == 2:
            raise error
        return put(self, *contents)

    monkeypatch.setattr(Blobs, "put", counted)


def break_events(monkeypatch, error):
    from fedchain.results import events

    class Torn:
        """Takes half of the second write."""

        def __init__(self, file):
            self.file, self.calls = file, 0

        def write(self, data):
            self.calls += 1
            if self.calls == 2:
                self.file.write(data[: len(data) // 2])
                raise error
            return self.file.write(data)

        def close(self):
            self.file.close()

    started = events.EventLog.__init__

    def start(self, path):
        started(self, path)
        self._file = Torn(self._file)

    monkeypatch.setattr(events.EventLog, "__init__", start)


def break_log(monkeypatch, error):
    from fedchain.results import folder

    def full(self):
        raise error

    # The log alone is full, until the store is too.
    monkeypatch.setattr(folder._LogFile, "flush", full)
    break_store(monkeypatch, error)


@pytest.mark.parametrize(
    "broken",
    [
        break_store,
        break_blobs,
        break_events,
        break_log,
        lambda patch, error: full_on_write_of(patch, "privacy.json", error),
        lambda patch, error: full_on_write_of(patch, "messages.csv", error),
    ],
    ids=["database", "blobs", "events", "log", "privacy", "tables"],
)
@pytest.mark.parametrize("error", [NO_SPACE, NO_PERMISSION], ids=["full", "forbidden"])
def test_a_disk_that_cannot_be_written_ends_with_words_and_a_run_that_can_be_resumed(
    broken, error, scenario, done, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        broken(patch, error)
        told = call("run", scenario, "--out", tmp_path, "--format", "json")
    assert (told.code, told.out) == (1, "")
    assert "Traceback" not in told.err
    first, *more = json.loads(told.err)["error"].splitlines()
    assert error.strerror in first or "disk is full" in first
    folder = only_run(tmp_path)
    assert more == [f"go on with: fedchain resume {folder}"]
    assert Run.open(folder).manifest["status"] == "failed"
    assert_resumable(folder, done)


def test_a_manifest_that_cannot_be_written_at_the_end_is_no_success(
    scenario, done, tmp_path, monkeypatch
):
    from fedchain.runs import running

    with monkeypatch.context() as patch:
        whole = running.sample_pictures

        def then_full(*arguments):
            yield from whole(*arguments)
            full_on_write_of(patch, "manifest.json", NO_SPACE)

        patch.setattr(running, "sample_pictures", then_full)
        told = call("run", scenario, "--out", tmp_path, "--format", "json")
    assert (told.code, told.out) == (1, "")
    assert "manifest.json: cannot be written: No space left" in told.err
    assert_resumable(only_run(tmp_path), done)


@pytest.mark.parametrize("what", ["manifest.json", "scenario.yaml", "ledger.sqlite"])
def test_a_disk_that_is_full_before_the_run_begins_leaves_nothing(
    what, scenario, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        full_on_write_of(patch, what, NO_SPACE)
        if what == "ledger.sqlite":
            full = sqlite3.OperationalError("disk full")
            patch.setattr("fedchain.ledger.storage.database.create", raises(full))
        told = call("run", scenario, "--out", tmp_path, "--format", "json")
    assert (told.code, told.out) == (1, "")
    assert len(told.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def raises(error):
    def fail(*_, **__):
        raise error

    return fail


def test_an_out_that_is_a_file_is_named(scenario, tmp_path):
    (tmp_path / "runs").touch()
    told = call("run", scenario, "--out", tmp_path / "runs")
    assert told.code == 2
    assert "Traceback" not in told.err
    assert str(tmp_path / "runs") in told.err


def test_an_unfinished_run_is_not_begun_again_but_resumed(scenario, done, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        break_store(patch, NO_SPACE)
        call("run", scenario, "--out", tmp_path)
    told = call("run", scenario, "--out", tmp_path)
    assert told.code == 2
    assert f"fedchain resume {only_run(tmp_path)}" in told.err
    assert_resumable(only_run(tmp_path), done)


def test_ctrl_c_is_exit_130_and_the_run_can_be_resumed(scenario, done, tmp_path, monkeypatch):
    from fedchain.runs import rounds as playing

    true, rounds = playing.stop_if_asked, itertools.count(1)

    def stop():
        if next(rounds) == 2:
            signal.raise_signal(signal.SIGINT)
        true()

    with monkeypatch.context() as patch:
        patch.setattr(playing, "stop_if_asked", stop)
        told = call("run", scenario, "--out", tmp_path, "--format", "json")
    folder = only_run(tmp_path)
    assert (told.code, told.out) == (130, "")
    assert told.err == f"interrupted; go on with: fedchain resume {folder}\n"
    assert Run.open(folder).manifest["status"] == "interrupted"
    assert_resumable(folder, done)


def test_ctrl_c_before_the_folder_is_there_leaves_nothing(scenario, tmp_path, monkeypatch):
    monkeypatch.setattr("fedchain.runs.genesis.build_setup", raises(KeyboardInterrupt()))
    told = call("run", scenario, "--out", tmp_path)
    assert (told.code, told.err.splitlines()[-1]) == (130, "interrupted; nothing was begun")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_polite_kill_or_a_closed_terminal_saves_the_run_and_is_exit_130(
    number, scenario, tmp_path
):
    heard = f"import signal; signal.signal({int(number)}, signal.SIG_DFL)"  # nohup ignores one
    command = [sys.executable, "-c", f"{heard}; from fedchain.commands import main; main()"]
    slow = ["--set", "rounds=400", "--set", "privacy.epsilon=100", "--format", "json"]
    windows = sys.platform == "win32"  # where Ctrl-Break is as polite as one can be
    process = subprocess.Popen(
        [*command, "run", str(scenario), "--out", str(tmp_path), *slow],
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if windows else 0,
    )
    deadline = time.monotonic() + 600
    while not list(tmp_path.glob("tiny-*/events.ndjson")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.CTRL_BREAK_EVENT if windows else number)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 130
    assert b"go on with: fedchain resume" in err
    assert Run.open(only_run(tmp_path)).manifest["status"] == "interrupted"


def test_strict_is_exit_6_when_a_budget_ends_before_the_rounds_do(scenario, tmp_path, monkeypatch):
    from fedchain.privacy.budget import Budget

    step = Budget.noise_step
    monkeypatch.setattr(
        Budget, "noise_step", lambda self, *at: step(self, *at) if self.releases < 2 else None
    )
    for strict, code in (([], 0), (["--strict"], 6)):
        told = call("run", scenario, "--out", tmp_path, "--format", "json", *strict)
        assert told.code == code
        assert json.loads(told.out)["status"] == "budget_exhausted"
        assert json.loads(told.out)["epsilon"]["worst_holder_releases"] == 2
    assert call("resume", only_run(tmp_path), "--strict").code == 6


def test_a_run_without_a_quorum_is_exit_1_with_a_reason(scenario, tmp_path, monkeypatch):
    messages_of = "fedchain.nodes.holders.holder_pool.messages_of"
    monkeypatch.setattr(messages_of, lambda rows, *_: [None] * len(rows))
    told = call("run", scenario, "--out", tmp_path, "--format", "json")
    assert told.code == 1
    silent = "h0, h1, h2, h3, h4: gradient is not finite"
    assert f"no quorum came together; {silent}" in told.err
    summary = json.loads(told.out)
    assert (summary["status"], summary["height"], summary["head"]) == ("stalled", 0, None)
    assert summary["epsilon"]["total"] == 0.0
    assert summary["silent"] == {"gradient is not finite": [f"h{k}" for k in range(5)]}
    assert silent in (only_run(tmp_path) / "run.log").read_text()
    told = call("resume", only_run(tmp_path))
    assert f"silent    {silent}" in told.out


def test_force_begins_anew_and_gives_the_same_again(scenario, done, tmp_path):
    copy = tmp_path / done.folder.name
    shutil.copytree(done.folder, copy)
    (copy / "stray").touch()
    told = call("run", scenario, "--out", tmp_path, "--force", "--format", "json")
    assert told.code == 0
    assert not (copy / "stray").exists()
    assert without_wall_time(copy) == without_wall_time(done.folder)
    assert [path.name for path in tmp_path.iterdir()] == [copy.name]


def test_force_does_not_touch_a_run_that_another_process_has(scenario, done, tmp_path):
    copy = tmp_path / done.folder.name
    shutil.copytree(done.folder, copy)
    other = RunFolder(copy)
    other.lock()
    told = call("run", scenario, "--out", tmp_path, "--force")
    other.unlock()
    assert told.code == 2
    assert "another process is running it" in told.err
    assert call("verify", copy).code == 0


def test_two_that_begin_the_same_run_do_not_destroy_each_other(
    scenario, done, tmp_path, monkeypatch
):
    from fedchain.runs import genesis

    copy = tmp_path / done.folder.name
    build = genesis.build_setup

    def overtaken(*arguments):
        shutil.copytree(done.folder, copy)
        return build(*arguments)

    monkeypatch.setattr(genesis, "build_setup", overtaken)
    told = call("run", scenario, "--out", tmp_path)
    assert told.code == 2
    assert "another process has just begun it" in told.err
    assert without_wall_time(copy) == without_wall_time(done.folder)
    assert [path.name for path in tmp_path.iterdir()] == [copy.name]


def test_a_run_whose_scenario_was_edited_is_not_resumed(done, tmp_path):
    copy = tmp_path / done.folder.name
    shutil.copytree(done.folder, copy)
    folder = RunFolder(copy)
    folder.write_manifest({**folder.manifest, "status": "interrupted"})
    resolved = copy / "resolved.yaml"
    assert "8.0" in resolved.read_text()
    resolved.write_text(resolved.read_text().replace("8.0", "80.0"))
    told = call("resume", copy)
    assert told.code == 2
    assert "resolved.yaml was changed" in told.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such mask")
def test_a_folder_has_the_permissions_that_the_users_mask_gives(scenario, tmp_path):
    before = os.umask(0o027)
    try:
        call("run", scenario, "--out", tmp_path, "--set", "rounds=1", "--set", "attacks=[]")
    finally:
        os.umask(before)
    assert only_run(tmp_path).stat().st_mode & 0o777 == 0o750


def test_resuming_what_is_no_run_is_exit_2(tmp_path):
    told = call("resume", tmp_path)
    assert told.code == 2
    assert "not a run folder" in told.err


def test_explain_in_json_is_one_object_and_agrees_with_the_run(scenario, done):
    told = call("explain", scenario, "--format", "json")
    assert told.code == 0
    said, summary = json.loads(told.out), json.loads(done.told.out)
    assert {"noise_multiplier", "epsilon"} <= said.keys()
    assert said["epsilon"]["per_release"] == summary["epsilon"]["per_release"]
    assert said["epsilon"]["delta"] == summary["epsilon"]["delta"]
    stated = json.loads((done.folder / "privacy.json").read_text())
    assert said["noise_multiplier"] == stated["noise_multiplier"]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("privacy.epsilon=1e-300", "privacy.epsilon: must be between 0.0001 and 10000, or .inf"),
        ("privacy.epsilon=1e300", "privacy.epsilon: must be between 0.0001 and 10000, or .inf"),
        ("privacy.delta=1e-15", "privacy.delta: must be at least 1e-11, got 1e-15"),
        ("privacy.delta=0.5", "privacy.delta: must be at most 0.1, got 0.5"),
        ("privacy.clip=1e300", "privacy.clip: must be at most 1000000"),
        ("privacy.spare_releases=1000000000000", "privacy.spare_releases: must be at most 1000000"),
        ("privacy.sampling_rate=1e-9", "privacy.sampling_rate: must be at least 0.0001"),
        ("network={kind: random_regular, degree: 99}", "the number of other nodes"),
        ("network={kind: random_regular, degree: 3}", "must be even"),
    ],
)
def test_what_no_machine_can_run_is_a_bad_scenario(scenario, tmp_path, override, words):
    odd = ["--set", "nodes.holders=10", "--set", "nodes.compute=3"]
    told = call("run", scenario, "--out", tmp_path / "runs", *odd, "--set", override)
    assert told.code == 2
    assert words in told.err
    assert "Traceback" not in told.err
    assert not list(tmp_path.glob("runs/*"))


def test_a_rule_of_ones_own_that_returns_no_aggregate_is_named(scenario, tmp_path, monkeypatch):
    text = "def three(received):\n    return 3\n"
    (tmp_path / "my_odd_lab.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    rule = 'aggregation={kind: "my_odd_lab:three"}'
    told = call("run", scenario, "--out", tmp_path / "runs", "--set", rule)
    assert told.code == 1
    assert "aggregation my_odd_lab:three: must return Aggregate, got int" in told.err


def test_a_model_that_diverged_is_not_called_a_plain_success(scenario, tmp_path):
    rate = ["--set", "update={kind: gradient_descent, learning_rate: 1.0e+300}"]
    told = call("run", scenario, "--out", tmp_path / "runs", *rate)
    assert told.code == 0
    assert "the loss is no finite number" in told.out

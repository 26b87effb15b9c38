from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from command_line import call

from fedchain import system
from fedchain.commands import doctor
from fedchain.errors import RunRefused
from fedchain.files import write_whole
from fedchain.interruption import ENDING, stoppable
from fedchain.results import Run, RunFolder
from fedchain.runs.callbacks import Callback
from fedchain.runs.running import run
from fedchain.scenario import load

if sys.platform != "win32":
    from as_windows import as_windows

elsewhere = pytest.mark.skipif(sys.platform == "win32", reason="Windows needs no pretending")
SCENARIO = """
version: 1
name: tiny
rounds: 4
task: {kind: breast_cancer}
nodes: {holders: 4, compute: 2}
privacy: {kind: gaussian, epsilon: 8.0, delta: 1e-4, clip: 1.0}
aggregation: {kind: mean}
update: {kind: momentum, learning_rate: 0.1}
ledger: {work: {kind: hashcash, difficulty_bits: 4}}
sweep: {grid: {rounds: [1]}, seeds: 1}
"""
PRUNED = {"disk.keep_weights": 2, "disk.keep_messages": 1}


class StopAt(Callback):
    """Interrupts a run after a round."""

    def __init__(self, round_: int) -> None:
        self._round = round_

    def on_round_end(self, ended):
        if ended.record.round == self._round:
            raise KeyboardInterrupt


@pytest.fixture
def scenario(tmp_path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(SCENARIO, encoding="utf-8")
    return file


@pytest.fixture
def windows(monkeypatch):
    with as_windows(monkeypatch):
        yield


def holding(path: Path, seconds: float) -> threading.Thread:
    """Read a file for a while, as a virus scanner does."""
    opened = threading.Event()

    def read() -> None:
        with path.open("rb"):
            opened.set()
            time.sleep(seconds)

    thread = threading.Thread(target=read)
    thread.start()
    assert opened.wait(10)
    return thread


def only_run(out: Path) -> Path:
    (folder,) = out.glob("[!.]*")
    return folder


@elsewhere
@pytest.mark.usefixtures("windows")
def test_a_run_is_interrupted_resumed_shown_checked_carried_damaged_and_thrown_away(
    scenario, tmp_path
):
    out = tmp_path / "runs"
    with pytest.raises(KeyboardInterrupt):
        run(load(scenario), out, workers=1, callbacks=[StopAt(2)])
    folder = only_run(out)
    assert Run.open(folder).manifest["status"] == "interrupted"
    chain, imported, damaged = (tmp_path / name for name in ("tiny.fedchain", "there", "damaged"))
    for arguments in (
        ("resume", folder, "--workers", 1, "--format", "json"),
        ("report", folder, "--figures", "svg", "--tables", "csv"),
        ("verify", folder),
        ("export", folder, "--out", chain),
        ("import", chain, "--out", imported),
        ("verify", imported),
        ("tamper", folder, "--block", 2, "--out", damaged),
    ):
        told = call(*arguments)
        assert told.code == 0, (arguments, told)
    assert call("verify", damaged).code == 5
    head = Run.open(folder).manifest["head"]
    told = call("run", scenario, "--out", out, "--force", "--format", "json")
    assert json.loads(told.out)["head"] == head, told
    assert [path.name for path in out.iterdir()] == [folder.name]
    assert Run.open(folder).manifest["peak_rss_mb"] == 300
    shutil.rmtree(out)  # nobody has a file open any more


@elsewhere
@pytest.mark.usefixtures("windows")
def test_a_run_forgets_what_it_need_not_keep_and_goes_on(scenario, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(load(scenario, set=PRUNED), tmp_path / "runs", workers=1, callbacks=[StopAt(3)])
    folder = only_run(tmp_path / "runs")
    assert call("resume", folder, "--workers", 1, "--format", "json").code == 0
    told = call("verify", folder, "--format", "json")
    assert (told.code, bool(json.loads(told.out)["unchecked"])) == (0, True)


@elsewhere
@pytest.mark.usefixtures("windows")
def test_a_sweep_is_run_and_shown(scenario, tmp_path):
    told = call("sweep", scenario, "--out", tmp_path, "--format", "json")
    assert (told.code, len(json.loads(told.out)["report"]) > 3) == (0, True)


@elsewhere
@pytest.mark.usefixtures("windows")
def test_no_run_is_thrown_away_of_which_somebody_has_a_file_open(scenario, tmp_path):
    done = run(load(scenario, set={"rounds": 1}), tmp_path / "runs", workers=1)
    arguments = ("run", scenario, "--set", "rounds=1", "--out", tmp_path / "runs", "--force")
    with (done.folder / "events.ndjson").open("rb"):
        told = call(*arguments, "--format", "json")
    assert told.code == 2
    said = json.loads(told.err)["error"]
    assert said.startswith(f"{done.folder}: cannot be thrown away: ")
    assert [path.name for path in done.folder.parent.iterdir()] == [done.folder.name]
    assert done.verify().ok
    assert call(*arguments, "--format", "json").code == 0


@elsewhere
@pytest.mark.usefixtures("windows")
def test_a_file_that_is_read_is_replaced_when_the_reader_has_done(tmp_path):
    write_whole(tmp_path / "file", "before")
    reader = holding(tmp_path / "file", 0.05)
    write_whole(tmp_path / "file", "after")
    reader.join()
    assert (tmp_path / "file").read_bytes() == b"after"


@elsewhere
def test_a_file_that_stays_open_is_left_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"before")
    with (
        as_windows(monkeypatch, patience_s=0.0),
        (tmp_path / "file").open("rb"),
        pytest.raises(PermissionError),
        system.replacing(tmp_path / "file") as file,
    ):
        file.write(b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"before"


def test_elsewhere_a_refusal_is_final(monkeypatch):
    monkeypatch.setattr(system, "WINDOWS", False)
    asked = []

    def refuse():
        asked.append(1)
        raise PermissionError

    with pytest.raises(PermissionError):
        system.patiently(refuse)
    assert len(asked) == 1


@pytest.mark.parametrize("wrong", [OSError("disk full"), KeyboardInterrupt()])
def test_what_fails_while_a_file_is_written_leaves_the_one_before_alone(tmp_path, wrong):
    (tmp_path / "file").write_bytes(b"before")

    def write_half() -> None:
        with system.replacing(tmp_path / "file") as file:
            file.write(b"aft")
            raise wrong

    with pytest.raises(type(wrong)):
        write_half()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"before"


def test_a_folder_that_is_locked_is_moved_and_another_may_lock_what_takes_its_place(tmp_path):
    (tmp_path / "run").mkdir()
    RunFolder(tmp_path / "run").throw_away(tmp_path / "earlier")
    assert (tmp_path / "earlier").is_dir()
    (tmp_path / "run").mkdir()
    holder, other = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    holder.lock()
    with pytest.raises(RunRefused, match="another process is running it"):
        other.throw_away(tmp_path / "later")
    holder.unlock()
    assert not (tmp_path / "later").exists()


@pytest.fixture
def heard_again():
    """Let this process receive signals again after a signal has ended something."""
    before = {each: signal.getsignal(each) for each in ENDING}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("heard_again")
def test_the_main_thread_is_stopped_from_another_one_and_only_while_it_is_stoppable():
    system.stop()  # nothing happens
    time.sleep(0.01)

    def waits() -> None:
        with stoppable():
            threading.Timer(0.05, system.stop).start()
            for _ in range(1000):
                time.sleep(0.01)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        waits()
    assert time.monotonic() - began < 9


def test_what_the_system_remembers_of_files_does_not_count_as_used(monkeypatch, tmp_path):
    told = SimpleNamespace(total=34e9, available=22.8e9, free=1.8e9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: told)
    words = {finding.what: finding.words for finding in doctor.examined(tmp_path)}
    assert words["memory"] == "22.8 GB available"


def test_the_most_memory_so_far_is_that_of_this_process():
    block = bytearray(os.urandom(1)) * 50_000_000
    held = psutil.Process().memory_info().rss
    assert system.peak_memory() > held - len(block) / 2 > 0
    assert system.peak_memory() < 100 * held


def test_only_windows_cannot_wait_for_many_processes(monkeypatch):
    monkeypatch.setattr(system, "WINDOWS", True)
    assert system.at_most_processes(100) == 61
    monkeypatch.setattr(system, "WINDOWS", False)
    assert system.at_most_processes(100) == 100

"""Runs on a disk that fails, as a user meets them: one line, an exit code, and nothing lost."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import call
from failing_disk import Disk, here, in_memory

from fedchain.ledger.chain.block import address_of
from fedchain.ledger.storage.store import Store
from fedchain.results import LEDGER, Run
from fedchain.runs import rounds, running
from fedchain.scenario import load

pytestmark = pytest.mark.skipif(not here(), reason="asks /proc for the names of open files")
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
disk: {keep_weights: 2, keep_messages: 1}
"""

HOW = dict.fromkeys(("open", "write", "mkdir"), "half")
"""How calls fail where each fails in one way."""
WORDS = re.compile("No space left|disk is full|(Input/output|I/O) error|unable to open|readonly")
"""What the system and SQLite say of such disks."""
HARMLESS = re.compile(r"ledger/ledger\.sqlite-(shm|wal)$|^\.tiny-[^/]*$")
"""What may be left where deleting failed: the log of the database, an empty hidden folder."""


@pytest.fixture
def place(tmp_path) -> Iterator[Path]:
    with in_memory(tmp_path) as folder:
        (folder / "tiny.yaml").write_text(SCENARIO)
        yield folder


@pytest.fixture(autouse=True)
def written_one_by_one(monkeypatch):
    """How many blocks are written together depends on the load; here each is waited for."""
    append = Store.append

    def waited_for(self, *block):
        append(self, *block)
        self.flush()

    monkeypatch.setattr(Store, "append", waited_for)


@pytest.fixture(autouse=True)
def pruned_while_it_runs(monkeypatch):
    monkeypatch.setattr(rounds, "PRUNED_TOGETHER", 1)
    monkeypatch.setattr(rounds, "deepest_read", lambda _: 1)


@dataclass
class Left:
    """What a run leaves that nothing disturbs."""

    events: list[dict[str, object]]
    head: str
    files: set[str]
    calls: list[tuple[str, str]]


def runs(place: Path) -> Path:
    return place / "runs"


def begin(place: Path) -> SimpleNamespace:
    return call("run", place / "tiny.yaml", "--out", runs(place), "--workers", 1, "--format=json")


def left_by(place: Path, calls: list[tuple[str, str]]) -> Left:
    (run,) = (Run.open(folder) for folder in runs(place).glob("[!.]*"))
    events = [{k: v for k, v in event.items() if k != "seconds"} for event in run.events]
    files = {str(path.relative_to(runs(place))) for path in runs(place).rglob("*")}
    return Left(events, run.manifest["head"], files, calls)


@pytest.fixture
def undisturbed(place) -> Left:
    disk = Disk(runs(place))
    with disk.mounted():
        assert begin(place).code == 0
    left = left_by(place, disk.calls)
    assert not [name for name in left.files if "draft" in name]
    shutil.rmtree(runs(place))
    return left


def assert_survived(place: Path, at: int, how: str, undisturbed: Left) -> bool:
    """Let one call of a run fail, and go on as the user is told to; say whether it was reached."""
    disk = Disk(runs(place), at, how)
    with disk.mounted():
        told = begin(place)
    when = (at, how, *disk.calls[at - 1 : at], told.err)
    folders = list(runs(place).glob("[!.]*"))
    if told.code:
        assert (told.code, told.out) == (1, ""), when
        lines = [f"go on with: fedchain resume {folder}" for folder in folders]
        assert json.loads(told.err)["error"].splitlines()[1:] == lines, when
        assert WORDS.search(told.err), when
    for folder in folders:
        verdict = call("verify", folder)
        assert verdict.code == 0, (when, verdict)
        told = call("resume", folder, "--workers", 1, "--format=json")
    if not folders:
        told = begin(place)
    assert told.code == 0, (when, told)
    assert json.loads(told.out)["head"] == undisturbed.head, when
    left = left_by(place, disk.calls)
    assert left.events == undisturbed.events, when
    assert undisturbed.files <= left.files, when
    assert not [name for name in left.files - undisturbed.files if not HARMLESS.search(name)], when
    assert call("verify", next(runs(place).glob("[!.]*"))).code == 0, when
    shutil.rmtree(runs(place))
    return disk.hit


def first_or_last(calls: list[tuple[str, str]]) -> list[int]:
    """Return the numbers of the first call of every second kind and the last of the others, from 1.

    What only the ledger does once it is there has a test of its own, which lets each fail.
    """
    numbers: dict[tuple[str, str], list[int]] = {}
    for at, (what, name) in enumerate(calls, 1):
        kind = re.sub(r"^\..*\.draft$", "draft", re.sub(r"\.\w{8}$", "", name))
        if not re.search(r"^([0-9a-f]{2}|[0-9a-f]{64})$|^\.new-|-wal$|-shm$", kind):
            numbers.setdefault((what, kind), []).append(at)
    return sorted(found[-(place % 2)] for place, found in enumerate(numbers.values()))


def test_a_run_survives_a_failure_of_every_second_kind_of_call(place, undisturbed):
    chosen, reached = first_or_last(undisturbed.calls)[::2], 0
    for at in chosen:
        what, _ = undisturbed.calls[at - 1]
        how = HOW.get(what, "error")
        reached += assert_survived(place, at, how, undisturbed)
    assert reached > len(chosen) / 2


def test_a_run_is_synced_before_it_has_a_name_and_its_end_before_it_is_told(undisturbed):
    calls = undisturbed.calls
    for at, (what, name) in enumerate(calls):
        if what == "rename" and name.endswith(".draft"):
            assert ("sync", name) in calls[:at]
    whole = next(
        n for n, (what, name) in enumerate(calls) if what == "rename" and name[:4] == "tiny"
    )
    assert calls[whole - 1][0] == calls[whole + 1][0] == "sync"
    told = max(n for n, met in enumerate(calls) if met == ("write", "events.ndjson"))
    ended = max(
        n for n, (what, name) in enumerate(calls) if "manifest" in name and what == "rename"
    )
    assert told < calls.index(("sync", "events.ndjson")) < ended


@pytest.mark.long
@pytest.mark.parametrize("how", ["full", "half", "error"])
def test_a_run_survives_a_failure_of_every_call(place, undisturbed, how):
    for at in itertools.count(1):
        if not assert_survived(place, at, how, undisturbed):
            break
    assert at > 200


@pytest.fixture
def chain(place) -> Path:
    """A chain's file."""
    begun = running.run(load(place / "tiny.yaml", set={"disk.keep_messages": "all"}), place)
    file = place / "chain" / "tiny.fedchain"
    assert call("export", begun.folder, "--out", file).code == 0
    return file


def failing(act: Callable[[], SimpleNamespace], folder: Path, every: bool) -> Iterator[str]:
    """Let each call of a command fail in both ways, or some of each kind; yield what became."""
    disk = Disk(folder)
    with disk.mounted():
        assert act().code == 0
    met = disk.calls
    for at in range(1, len(met) + 1) if every else first_or_last(met):
        for how in ("half", "error") if every else (HOW.get(met[at - 1][0], "error"),):
            shutil.rmtree(folder)
            disk = Disk(folder, at, how)
            with disk.mounted():
                told = act()
            assert "Traceback" not in told.err
            assert len(told.err.splitlines()) == (told.code != 0), told
            assert told.code in (0, 1)
            yield f"{how} of {disk.calls[at - 1 : at]}: {told.code}"


EVERY = [pytest.param(True, marks=pytest.mark.long), False]


@pytest.mark.parametrize("every", EVERY)
def test_an_export_that_failed_leaves_no_file_and_can_be_done_again(place, chain, every):
    (run,) = place.glob("tiny-*")
    file = place / "out" / "tiny.fedchain"
    seen = 0
    for when in failing(lambda: call("export", run, "--out", file), file.parent, every):
        failed = when.endswith("1")
        assert [path.name for path in file.parent.glob("*")] == [file.name] * (not failed), when
        seen += failed
        if failed:
            assert call("export", run, "--out", file).code == 0
        assert file.read_bytes() == chain.read_bytes()
    assert seen > 4


@pytest.mark.parametrize("every", EVERY)
def test_an_import_that_failed_leaves_no_folder_and_can_be_done_again(place, chain, every):
    folder = place / "out" / "imported"
    seen = 0
    for when in failing(lambda: call("import", chain, "--out", folder), folder.parent, every):
        failed = when.endswith("1")
        assert folder.exists() == (not failed), when
        seen += failed
        if failed:
            assert call("import", chain, "--out", folder).code == 0, when
        assert call("verify", folder).code == 0, when
    assert seen > 5


def test_an_export_of_a_damaged_ledger_leaves_no_half_file(place, chain):
    (run,) = place.glob("tiny-*")
    with Store.open(run / LEDGER, writable=False) as store:
        last = list(store.blocks())[-1]
        store.blobs.path(address_of(last.messages)).write_bytes(b"other")
    file = place / "out" / "tiny.fedchain"
    assert call("export", run, "--out", file).code == 5
    assert list(file.parent.iterdir()) == []


def test_where_a_file_cannot_be_unpacked_to_be_checked_one_line_says_so(chain, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.mkdtemp", full)
    told = call("verify", chain)
    assert (told.code, told.err) == (
        1,
        f"{chain}: cannot be unpacked to be checked: No space left on device\n",
    )


def test_an_import_that_is_killed_at_any_moment_leaves_no_folder_or_a_whole_one(place, chain):
    folder, sizes = place / "out" / "imported", []

    def image() -> None:
        if folder.exists():
            copy = shutil.copytree(folder, place / f"copy{len(sizes)}")
            assert call("verify", copy).code == 0
            sizes.append(len(list(copy.rglob("*"))))

    disk = Disk(folder.parent, image=image)
    with disk.mounted():
        assert call("import", chain, "--out", folder).code == 0
    assert len(set(sizes)) == 1
    assert len(disk.calls) > 100


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from fedchain.commands import main
main()
"""


def test_a_limit_of_the_system_in_the_middle_of_a_run_ends_it_with_words(place):
    """No replaced call here: the system itself refuses to let the log of the database grow."""
    limited = [sys.executable, "-c", LIMITED, "60000"]
    command = ["run", place / "tiny.yaml", "--set", "rounds=20", "--format=json", "--out"]
    assert call(*command, place / "done").code == 0
    (done,) = (place / "done").glob("[!.]*")
    command.append(runs(place))
    told = subprocess.run([*limited, *command], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (1, "")
    (folder,) = runs(place).glob("[!.]*")
    first, then = json.loads(told.stderr)["error"].splitlines()
    assert "cannot write block" in first
    assert then == f"go on with: fedchain resume {folder}"
    verdict = call("verify", folder, "--format=json")
    assert (verdict.code, 0 < json.loads(verdict.out)["blocks"] < 20) == (0, True)
    assert call("resume", folder, "--format=json").code == 0
    assert Run.open(folder).manifest["head"] == Run.open(done).manifest["head"]
    assert call("verify", folder).code == 0

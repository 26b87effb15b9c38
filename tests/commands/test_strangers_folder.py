"""A run folder of a stranger: no command leaves it, waits, fills the memory or runs its code."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import call

import fedchain
from fedchain.results import Run, RunFolder
from fedchain.system import peak_memory

SCENARIO = """
version: 1
name: strange
rounds: 2
task: {kind: breast_cancer}
nodes: {holders: 4, compute: 1}
privacy: {kind: gaussian, epsilon: 8.0, delta: 1e-4, clip: 1.0}
aggregation: {kind: mean}
ledger: {work: {kind: hashcash, difficulty_bits: 4}}
"""
COMMANDS: dict[str, Callable[[Path], tuple[object, ...]]] = {
    "resume": lambda run: ("resume", run),
    "report": lambda run: ("report", run),
    "report as one page": lambda run: ("report", run, "--html", run.parent / "page.html"),
    "audit": lambda run: ("audit", run, "--attack", "linkability"),
    "inspect": lambda run: ("inspect", run),
    "inspect a block": lambda run: ("inspect", run, "block", "1"),
    "inspect a node": lambda run: ("inspect", run, "node", "h0"),
    "verify": lambda run: ("verify", run),
    "prove": lambda run: ("prove", run, "--message", "1:0"),
    "tamper": lambda run: ("tamper", run, "--out", run.parent / "damaged"),
    "export": lambda run: ("export", run, "--out", run.parent / "chain.fedchain"),
    "run": lambda run: ("run", run.parent / "strange.yaml", "--out", run.parent),
    "run anew": lambda run: ("run", run.parent / "strange.yaml", "--out", run.parent, "--force"),
}
"""Every command that takes a run folder."""
WRITING = ("resume", "report", "audit")
EMPTY = (".lock", "run.log", "samples/0.png", "figures/score.png", "tables/final.csv")
"""Names that a run folder may have, and that this one lacks."""
SPARSE = 10 * 2**30
MOST_MEMORY = 2**28
"""Bytes by which a refusal may raise the most memory that this process has held."""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SimpleNamespace:
    """A finished run with a report and an audit, and its scenario beside it."""
    place = tmp_path_factory.mktemp("made")
    (place / "strange.yaml").write_text(SCENARIO, "utf-8")
    assert call("run", place / "strange.yaml", "--out", place).code == 0
    (run,) = place.glob("strange-*")
    assert call("audit", run, "--attack", "linkability").code == 0
    assert call("report", run, "--figures", "png", "--tables", "csv").code == 0
    return SimpleNamespace(run=run, place=place)


@pytest.fixture
def run(made, tmp_path) -> Path:
    """A copy of the run of one's own."""
    shutil.copytree(made.place, tmp_path / "stranger")
    return tmp_path / "stranger" / made.run.name


def unfinished(run: Path) -> Path:
    folder = RunFolder(run)
    folder.write_manifest({**folder.manifest, "status": "running"})
    return run


def names_in(run: Path) -> list[str]:
    """Every file of a run folder; of the blobs, one."""
    files = [str(path.relative_to(run)) for path in sorted(run.rglob("*")) if path.is_file()]
    blobs = [name for name in files if "blobs" in name]
    return [name for name in files if name not in blobs[1:]]


@contextlib.contextmanager
def in_time(seconds: int = 30) -> Iterator[None]:
    """Fail instead of waiting for ever."""

    def late(*_: object) -> None:
        raise TimeoutError("waits for a pipe")

    if os.name == "nt":  # it has no alarm, and no pipe in a folder
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refused(name: str, run: Path, codes: tuple[int, ...] = (2,)) -> str:
    """Return the one line with which a command refuses a folder; nothing is left beside it."""
    beside = {path.name for path in run.parent.iterdir()}
    told = call(*COMMANDS[name](run))
    assert told.code in codes, (name, told)
    if name == "verify" and told.code == 5:  # the reason comes first, then a table of all checks
        assert told.out.startswith("FAILED: "), told
    else:
        assert len((told.out + told.err).splitlines()) == 1, (name, told)
    assert {path.name for path in run.parent.iterdir()} == beside, name
    return told.out + told.err


def tried(run: Path) -> Iterator[tuple[str, str]]:
    """Yield each name with a command to try on it: each name and each command at least once."""
    names = [*names_in(run), *EMPTY]
    commands = itertools.cycle(COMMANDS)
    rounds = -(-len(COMMANDS) // len(names))
    for name in names * rounds:
        yield name, next(commands)


def replaced(path: Path, by: Callable[[Path], object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    by(path)
    return path


OPENED: list[str] = []
"""Paths that Python has opened while ``watching``."""
WATCHING = [False]


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if WATCHING[0] and event in ("open", "os.listdir", "os.scandir", "sqlite3.connect"):
        OPENED.append(str(arguments[0]))


@pytest.fixture
def watching() -> Iterator[list[str]]:
    if not OPENED:
        sys.addaudithook(_note)
    OPENED[:], WATCHING[0] = ["begun"], True
    yield OPENED
    WATCHING[0] = False


@pytest.mark.skipif(os.name == "nt", reason="a link needs a right there")
def test_a_link_under_any_name_is_refused_by_every_command(run, watching):
    outside = run.parent / "outside"
    outside.mkdir()
    for number, (name, command) in enumerate(tried(run)):
        victim = outside / str(number)
        path, kept = run / name, None
        if path.exists():
            kept = path.read_bytes()
        victim.write_bytes(b"mine" if kept is None else kept)
        before = victim.read_bytes()
        del watching[:]
        replaced(path, lambda link, to=victim: link.symlink_to(to))
        assert "is a link, a pipe or a device" in refused(command, run), (name, command)
        assert not [each for each in watching if str(outside) in os.path.realpath(each)], name
        assert victim.read_bytes() == before, name
        path.unlink()
        if kept is not None:
            path.write_bytes(kept)
    assert call("verify", run).code == 0, "the folder is whole again"


@pytest.mark.skipif(os.name == "nt", reason="a link needs a right there")
@pytest.mark.parametrize("name", ["ledger", "ledger/blobs", "figures", "audit"])
def test_a_link_to_a_folder_is_refused_by_every_command(run, name):
    place = run / name
    elsewhere = run.parent / "elsewhere"
    if place.exists():
        shutil.move(place, elsewhere)
    elsewhere.mkdir(exist_ok=True)
    place.symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    for command in list(COMMANDS)[::2]:
        assert f"{name}: is a link, a pipe or a device" in refused(command, run)
    assert sorted(elsewhere.rglob("*")) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_under_any_name_is_refused_by_every_command_at_once(run):
    for name, command in tried(run):
        path, kept = run / name, None
        if path.exists():
            kept = path.read_bytes()
        replaced(path, os.mkfifo)
        with in_time():
            assert "is a link, a pipe or a device" in refused(command, run), (name, command)
        path.unlink()
        if kept is not None:
            path.write_bytes(kept)


NO_MANIFEST = ("prove", "export", "run anew")
READ_BY = {
    "manifest.json": tuple(name for name in COMMANDS if name not in NO_MANIFEST),
    "resolved.yaml": ("audit", "verify"),
    "events.ndjson": ("report", "audit", "inspect", "inspect a block", "inspect a node"),
    "audit.json": ("report", "audit", "tamper"),
    "ledger/ledger.sqlite": ("audit", "inspect a block", "verify", "prove", "tamper", "export"),
    "metrics.csv": ("tamper",),
}
"""By file, the commands that read it, and so must notice what it is."""


@pytest.mark.skipif(sys.platform == "win32", reason="files have holes only if they are told to")
@pytest.mark.parametrize("name", READ_BY)
def test_ten_gigabytes_that_take_no_room_are_refused_in_one_line_and_little_memory(run, name):
    replaced(run / name, lambda path: path.touch())
    os.truncate(run / name, SPARSE)
    before = peak_memory()
    for command in READ_BY[name]:
        with in_time():
            refused(command, run, (2, 5))
    assert peak_memory() - before < MOST_MEMORY


@pytest.mark.skipif(sys.platform == "win32", reason="files have holes only if they are told to")
def test_ten_gigabytes_of_a_blob_and_of_a_log_are_not_read(run):
    blob = next(path for path in (run / "ledger" / "blobs").rglob("*") if path.is_file())
    kept, before = blob.read_bytes(), peak_memory()
    os.truncate(blob, SPARSE)
    with in_time():
        assert "bytes; at most" in refused("verify", run, (5,))
        assert "bytes; at most" in refused("tamper", run, (2, 5))
    blob.write_bytes(kept)
    log = run / "ledger" / "ledger.sqlite-wal"
    log.touch()
    os.truncate(log, SPARSE)
    with in_time():
        assert call("verify", run).code == 0, "a log without a header holds nothing"
        assert call("inspect", run, "block", "1").code == 0
    assert peak_memory() - before < MOST_MEMORY


@pytest.mark.parametrize("name", ["manifest.json", "events.ndjson", "audit.json"])
@pytest.mark.parametrize("text", ["[" * 100_000, '{"event": "round", "x": ' + "[" * 100_000])
def test_json_of_many_brackets_is_refused_in_one_line(run, name, text):
    (run / name).write_text(text + "\n", "utf-8")
    for command in set(READ_BY[name]) - {"tamper"}:
        if name != "events.ndjson" or text.startswith("{") or command == "audit":
            refused(command, run)  # tables skip lines that are no round


def test_the_file_that_resume_reads_first_may_be_as_bad(run):
    unfinished(run)
    (run / "events.ndjson").write_text("[" * 100_000 + "\n", "utf-8")
    told = call("resume", run)
    assert (told.code, "not a JSON object" in told.err.splitlines()[-1]) == (2, True)
    (run / "resolved.yaml").write_text("a: " + "[" * 60_000, "utf-8")
    told = call("resume", run)
    assert (told.code, told.out) == (2, "")
    assert "resolved.yaml" in told.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell who owns a folder")
def test_a_folder_of_another_user_is_not_written_into_and_readers_say_whose_it_is(run, monkeypatch):
    unfinished(run)
    monkeypatch.setattr("os.geteuid", lambda: run.stat().st_uid + 1)
    assert "belongs to" in refused("resume", run)
    monkeypatch.undo()
    RunFolder(run).write_manifest({**Run.open(run).manifest, "status": "finished"})
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    monkeypatch.setattr("os.geteuid", lambda: run.stat().st_uid + 1)
    for command in ("report", "audit"):
        assert "belongs to" in refused(command, run)
    for command in ("inspect", "verify", "prove", "export", "tamper"):
        told = call(*COMMANDS[command](run))
        assert (told.code, len(told.err.splitlines())) == (0, 1), told
        assert "belongs to" in told.err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.skipif(os.name == "nt", reason="a second name needs a right there")
@pytest.mark.parametrize("name", [".lock", "run.log", "events.ndjson", "ledger/ledger.sqlite"])
def test_a_file_that_is_changed_in_place_may_have_no_second_name(run, name):
    victim = run.parent / "victim"
    victim.write_bytes((run / name).read_bytes() if (run / name).exists() else b"mine")
    before = victim.read_bytes()
    replaced(run / name, lambda path: path.hardlink_to(victim))
    assert "has a second name" in refused("resume", unfinished(run))
    assert victim.read_bytes() == before


def test_tamper_writes_no_copy_into_the_run_and_leaves_none_when_it_fails(run):
    told = call("tamper", run, "--out", run / "inside" / "it")
    assert (told.code, "a place outside of it is allowed" in told.err) == (2, True)
    assert not (run / "inside").exists()
    out = run.parent / "damaged"
    assert call("tamper", run, "--block", 99, "--out", out).code == 2
    assert not out.exists()


@pytest.mark.parametrize("command", ["resume", "report", "inspect"])
def test_a_chain_file_in_place_of_a_folder_is_called_a_file(made, tmp_path, command):
    chain = tmp_path / "x.fedchain"
    assert call("export", made.run, "--out", chain).code == 0
    told = call(command, chain)
    assert (told.code, len(told.err.splitlines())) == (2, 1)
    assert "is a file, not a run's folder; fedchain verify" in told.err
    assert "Errno" not in told.err


EVIL = """
from pathlib import Path

Path(__file__).with_name("ran").touch()


def mean(received, *, of: int = 1):
    return None
"""


def own_part(run: Path, text: str, by: str) -> None:
    """Let the scenario of a folder name code, as a stranger could."""
    (run / "evil_rules.py").write_text(EVIL, "utf-8")
    path = run / "resolved.yaml"
    changed = path.read_text("utf-8").replace(text, by, 1)
    assert by in changed
    path.write_text(changed, "utf-8")


@pytest.mark.parametrize("command", ["resume", "audit", "inspect a block", "inspect a node"])
def test_the_scenario_of_a_folder_imports_nothing_unless_it_is_trusted(run, command, monkeypatch):
    own_part(run, "kind: mean", "kind: evil_rules:mean")
    monkeypatch.chdir(run)
    if command == "resume":
        unfinished(run)
    told = call(*COMMANDS[command](run))
    assert not (run / "ran").exists()
    if command in ("resume", "audit"):
        assert (told.code, len(told.err.splitlines())) == (2, 1)
        assert "evil_rules:mean; add --trust-user-parts" in told.err
    else:
        assert told.code == 0


def test_trust_imports_what_the_scenario_of_a_folder_names(run, monkeypatch):
    own_part(run, "kind: mean", "kind: evil_rules:mean")
    monkeypatch.chdir(run)
    monkeypatch.delitem(sys.modules, "evil_rules", raising=False)
    call("resume", unfinished(run), "--trust-user-parts")
    assert (run / "ran").exists()


@pytest.mark.parametrize("command", ["resume", "audit", "verify"])
def test_the_scenario_of_a_folder_reads_no_other_scenario(run, command):
    path = run / "resolved.yaml"
    path.write_text("extends: ../strange.yaml\n" + path.read_text("utf-8"), "utf-8")
    told = call(*COMMANDS[command](unfinished(run) if command == "resume" else run))
    assert told.code in (2, 5)
    assert "extends another file" in told.out + told.err


SHADOWED = (
    "typing", "__future__", "numpy", "torch", "json", "ray", "pandas", "cupy", "mlxtend", "sqlite3",
    "matplotlib", "tensorboard", "multiprocessing", "pickle", "socket", "readline",
)  # fmt: skip
"""Names of packages, installed or not, that a file in the current folder could pass for."""


@pytest.mark.parametrize(
    ("module", "command"),
    [
        (False, ("inspect", ".")),
        (True, ("inspect", ".")),
        pytest.param(
            False,
            ("resume", ".", "--engine", "processes", "--workers", "1"),
            marks=pytest.mark.long,
        ),
    ],
)
def test_files_in_the_current_folder_are_not_imported(run, module, command):
    unfinished(run)
    marker = run.parent / "imported"
    for name in SHADOWED:
        text = f"open({str(marker)!r}, 'a').write({name!r} + chr(10))\nraise ImportError"
        (run / f"{name}.py").write_text(text, "utf-8")
    home = str(Path(fedchain.__file__).parents[1])
    begin = ["-m", "fedchain"] if module else ["-c", "from fedchain.commands import main; main()"]
    safe = [] if module else ["-P"]
    environment = {**os.environ, "PYTHONPATH": home}
    told = subprocess.run(
        [sys.executable, *safe, *begin, *command],
        cwd=run,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    assert not marker.exists(), marker.read_text()


def database(run: Path, *statements: str) -> Path:
    with contextlib.closing(sqlite3.connect(run / "ledger" / "ledger.sqlite")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return run


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
READERS = ("verify", "prove", "export", "tamper", "inspect a block", "audit")


@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TABLE message", f"CREATE VIEW message AS {ENDLESS}"),
        ("ALTER TABLE block RENAME TO old", f"CREATE VIEW block AS {ENDLESS}"),
        ("ALTER TABLE meta RENAME TO old", f"CREATE VIEW meta AS {ENDLESS}"),
        ("CREATE TRIGGER t BEFORE INSERT ON block BEGIN SELECT RAISE(IGNORE); END",),
        ("CREATE TRIGGER t AFTER INSERT ON meta BEGIN DELETE FROM block; END",),
        ("CREATE VIRTUAL TABLE v USING fts5(x)",),
        ("CREATE TABLE more (x)",),
        ("DROP INDEX message_of_identity",),
    ],
)
def test_a_database_with_other_tables_views_or_triggers_is_refused_before_a_row_is_read(
    run, statements
):
    try:
        database(run, *statements)
    except sqlite3.OperationalError as error:
        pytest.skip(f"this SQLite has no virtual tables of this kind: {error}")
    with in_time():
        for command in READERS:
            told = refused(command, run, (5,))
            assert "database: its tables or indexes were changed" in told
        assert "tables or indexes were changed" in refused("resume", unfinished(run), (5,))


def test_a_value_of_megabytes_is_not_read(run):
    database(run, "UPDATE block SET address = zeroblob(3000000)")
    for command in READERS:
        assert "string or blob too big" in refused(command, run, (5,))


def test_flipped_bits_of_the_database_are_refused_in_one_line(run):
    path = run / "ledger" / "ledger.sqlite"
    whole = path.read_bytes()
    schema = whole.index(b"CREATE TABLE block")
    for place in [*range(0, 100, 17), *range(schema - 40, schema + 400, 41)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x80]) + whole[place + 1 :])
        told = call("verify", run)
        assert told.code in (0, 5), (place, told)
        assert "Traceback" not in told.out + told.err


def test_a_journal_that_names_another_file_deletes_it_not(run):
    path = run / "ledger" / "ledger.sqlite"
    victim = run.parent / "victim"
    victim.write_text("mine")
    name, mark = str(victim).encode(), bytes.fromhex("d9d505f920a163d7")
    number = {"pages": path.stat().st_size // 4096, "sector": 512, "page": 4096}
    words = (0, 0, *number.values())
    begin = mark + b"".join(word.to_bytes(4, "big") for word in words)
    end = (2**30 // 4096 + 1).to_bytes(4, "big") + name
    end += len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big") + mark
    (run / "ledger" / "ledger.sqlite-journal").write_bytes(begin.ljust(512, b"\0") + end)
    for command in ("verify", "export", "tamper", "resume"):
        call(*COMMANDS[command](unfinished(run) if command == "resume" else run))
        assert victim.read_text() == "mine", command


def test_points_of_a_sweep_folder_stay_inside_it(made, tmp_path):
    sweep = tmp_path / "sweep"
    (sweep / "runs").mkdir(parents=True)
    described = {"format": 1, "name": "s", "grid": {}, "seeds": 1, "x": None, "y": None}
    (sweep / "sweep.json").write_text(json.dumps(described))
    shutil.copytree(made.run, tmp_path / "other")
    for name in ("../../other", "..", ""):
        (sweep / "points.csv").write_text(f"seed,run,status,error\n0,{name},finished,\n")
        told = call("report", sweep)
        assert (told.code, len(told.err.splitlines())) == (2, 1), told
        assert "a damaged row" in told.err
    (sweep / "points.csv").write_text("seed,run,status\n0," + "x" * 200_000 + ",finished\n")
    assert (call("report", sweep).code, call("report", sweep).out) == (2, "")
    if os.name != "nt":
        (sweep / "runs" / "linked").symlink_to(tmp_path / "other")
        (sweep / "points.csv").write_text("seed,run,status,error\n0,linked,finished,\n")
        assert "linked: is a link" in call("report", sweep).err

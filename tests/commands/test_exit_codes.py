"""One kind of fault has one exit code and one line, whatever the command."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import call

from fedchain.results import Run

SCENARIO = """
version: 1
name: tiny
rounds: 2
task: {kind: breast_cancer}
nodes: {holders: 4, compute: 2}
privacy: {kind: gaussian, epsilon: 8.0, delta: 1e-4, clip: 1.0}
aggregation: {kind: mean}
update: {kind: momentum, learning_rate: 0.1}
ledger: {work: {kind: hashcash, difficulty_bits: 4}}
disk: {keep_weights: all, keep_messages: all}
"""


@dataclass(frozen=True)
class Made:
    """What commands are tried on."""

    scenario: Path
    grid: Path
    run: Path
    chain: Path
    message: str


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    place = tmp_path_factory.mktemp("made")
    scenario, grid, chain = place / "tiny.yaml", place / "grid.yaml", place / "tiny.fedchain"
    scenario.write_text(SCENARIO)
    grid.write_text(SCENARIO + "sweep: {grid: {privacy.epsilon: [20, 30]}, seeds: 1}\n")
    assert call("run", scenario, "--out", place / "runs").code == 0
    (run,) = (place / "runs").glob("[!.]*")
    assert call("export", run, "--out", chain).code == 0
    return Made(scenario, grid, run, chain, Run.open(run).messages[0]["id"])


WRITING: dict[str, Callable[[Made, Path], tuple[object, ...]]] = {
    "run": lambda made, to: ("run", made.scenario, "--out", to),
    "sweep": lambda made, to: ("sweep", made.grid, "--out", to),
    "audit": lambda made, to: ("audit", made.scenario, "--attack=linkability", "--out", to),
    "report": lambda made, to: ("report", made.run, "--figures=", "--tables=", "--html", to),
    "tamper": lambda made, to: ("tamper", made.run, "--out", to),
    "export": lambda made, to: ("export", made.run, "--out", to),
    "import": lambda made, to: ("import", made.chain, "--out", to),
    "prove": lambda made, to: ("prove", made.run, "--message", made.message, "--out", to),
}
"""Every command that writes where it is told to."""


def refused(name: str, made: Made, target: Path) -> str:
    """Return the one line with which a command refuses a target."""
    told = call(*WRITING[name](made, target))
    assert (told.code, told.out, len(told.err.splitlines())) == (2, "", 1), told
    assert str(target)[:60] in told.err
    return told.err


@pytest.mark.parametrize("name", WRITING)
def test_a_target_below_a_file_or_with_too_long_a_name_is_refused_with_2(name, made, tmp_path):
    (tmp_path / "file").write_text("mine")
    refused(name, made, tmp_path / "file" / "target")
    refused(name, made, tmp_path / ("x" * 300))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["run", "sweep", "audit", "tamper", "import"])
def test_a_file_in_a_folders_place_is_refused_with_2_and_stays(name, made, tmp_path):
    (tmp_path / "file").write_text("mine")
    refused(name, made, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["report", "export", "prove"])
def test_a_folder_in_a_files_place_is_refused_with_2(name, made, tmp_path):
    refused(name, made, tmp_path)


@pytest.mark.parametrize("name", WRITING)
@pytest.mark.parametrize(("number", "code"), [(errno.EROFS, 2), (errno.ENOSPC, 1)])
def test_a_read_only_place_is_the_users_choice_and_a_full_disk_is_a_failure(
    name, number, code, made, tmp_path, monkeypatch
):
    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", fails)
    monkeypatch.setattr(os, "makedirs", fails)
    told = call(*WRITING[name](made, tmp_path / "target"))
    assert (told.code, told.out, len(told.err.splitlines())) == (code, "", 1), told
    assert os.strerror(number) in told.err


READING = {
    "run": ("run", "nix"),
    "validate": ("validate", "nix"),
    "sweep": ("sweep", "nix"),
    "audit": ("audit", "nix"),
    "resume": ("resume", "nix"),
    "verify": ("verify", "nix"),
    "inspect": ("inspect", "nix"),
    "report": ("report", "nix"),
    "tamper": ("tamper", "nix", "--out", "out"),
    "export": ("export", "nix"),
    "import": ("import", "nix", "--out", "out"),
    "prove": ("prove", "nix", "--message", "0" * 64),
    "check-proof": ("check-proof", "nix"),
}
"""Every command that reads what it is told to."""


@pytest.mark.parametrize("name", READING)
def test_what_is_not_there_is_refused_with_2_and_nothing_is_made(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = call(*READING[name])
    assert (told.code, told.out, len(told.err.splitlines())) == (2, "", 1), told
    assert re.match(r"nix: no such (file|folder); give .+", told.err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(READING.keys() - {"validate"}))
def test_an_error_is_one_json_object_where_json_is_asked_for(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = call(*READING[name], "--format", "json")
    said = json.loads(told.err)
    assert (told.code, told.out, said["code"]) == (2, "", 2)
    assert said["error"].startswith("nix: no such ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--format=json"), "Missing argument"),
        (("list", "--format=json", "--nix"), "No such option"),
        (("describe", "nix", "--format=json"), "no part called 'nix'"),
        (("explain", "breast_cancer", "--format=json", "--set", "rounds"), "no value"),
    ],
)
def test_wrong_usage_is_one_json_object_where_json_is_asked_for(arguments, words):
    told = call(*arguments)
    assert (told.code, told.out) == (2, "")
    assert words in json.loads(told.err)["error"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tamper", "--out=copy", "--block=9"), "block: there is no block 9; allowed: 0 to 2"),
        (("prove", "--message=9:0"), "message: there is no block 9; allowed: 1 to 2"),
        (("prove", "--message=1:7"), "message: block 1 has no message 7; allowed: 0 to 3"),
        (("inspect", "node", "h9"), "node: there is no h9; the run has h0 to h3"),
        (("inspect", "node", "c2"), "node: there is no c2; the run has c0 to c1"),
        (("inspect", "node", "h\u00b2"), "node: no node 'h\u00b2'; write h3 for holder 3, c0"),
        (("inspect", "round", "7"), "round: there is no round 7; the run has 1 to 2"),
    ],
)
def test_what_a_run_does_not_have_is_refused_with_what_it_has(arguments, words, made):
    command, *rest = arguments
    told = call(command, made.run, *rest)
    assert (told.code, told.out) == (2, "")
    assert words in told.err


def test_every_result_is_json_where_json_is_asked_for(made, tmp_path):
    for arguments in (
        ("schema",),
        ("tamper", made.run, "--field", "list"),
        ("prove", made.run, "--message", "1:0"),
        ("prove", made.run, "--message", "1:0", "--out", tmp_path / "proof.json"),
    ):
        told = call(*arguments, "--format", "json")
        assert (told.code, told.err) == (0, "")
        assert isinstance(json.loads(told.out), dict)


def test_a_proof_is_poured_into_a_pipe_and_does_not_take_its_place(made, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert call(*WRITING["prove"](made, pipe)).code == 0
        assert os.read(reader, 10) == b'{\n  "format'[:10]
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_doctor_names_the_file_that_stands_above_its_folder(tmp_path):
    (tmp_path / "file").touch()
    told = call("doctor", "--out", tmp_path / "file" / "runs", "--format=plain")
    assert (told.code, f"{tmp_path / 'file'} is a file" in told.out.replace("\n", "")) == (1, True)

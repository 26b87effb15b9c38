"""A file name of any bytes is the same in files that are read again, and legible in texts."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fedchain.files import write_whole
from fedchain.names import SHOWN, command, legible, quoted
from fedchain.results import logging_to
from fedchain.runs.manifest import as_json
from fedchain.scenario import from_mapping, load, plain_values, resolved_yaml

NAMES = [
    "a b",
    "it's",
    "$HOME `ls`",
    "-x",
    "br\udcfcst",
    "two\nlines",
    "back\\slash",
    "brüst",
    "a;b",
]
SCENARIO = {
    "version": 1,
    "name": "named",
    "rounds": 1,
    "task": {"kind": "breast_cancer"},
    "nodes": {"holders": 4, "compute": 2},
    "privacy": {"kind": "none"},
    "aggregation": {"kind": "mean"},
    "update": {"kind": "momentum", "learning_rate": 0.1},
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell to paste into")
@pytest.mark.parametrize("name", NAMES)
def test_a_shell_reads_a_quoted_path_as_it_is(name):
    line = f"printf %s {quoted(Path(name), windows=False)}"
    read = subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout
    assert os.fsdecode(read).removeprefix("./") == name


@pytest.mark.parametrize(
    ("name", "said"), [("a b", '"a b"'), ("C:\\runs\\x-s0", "C:\\runs\\x-s0"), ("a&b", '"a&b"')]
)
def test_windows_is_given_double_quotes_and_only_where_they_are_needed(name, said):
    assert quoted(Path(name), windows=True) == said


def test_options_in_a_command_are_left_as_they_are():
    assert command("import", Path("a"), "--out") == "fedchain import a --out"


def test_every_text_becomes_utf_8_and_legible_text_stays():
    for text in ("br\udcfcst", "br\ud800st", "br\udcc3\udcbcst", "brüst", "😀"):
        assert text.encode("utf-8", SHOWN).decode() == legible(text)
        assert legible(legible(text)) == legible(text)


def test_a_scenario_keeps_a_name_that_is_no_text_and_its_manifest_shows_it(tmp_path):
    scenario = from_mapping({**SCENARIO, "description": "of br\udcfcst 😀"})
    write_whole(tmp_path / "resolved.yaml", resolved_yaml(scenario))
    again = load(tmp_path / "resolved.yaml")
    assert plain_values(again) == plain_values(scenario)
    shown = json.loads(as_json(plain_values(again)).encode().decode())
    assert shown["description"] == "of br\\xfcst 😀"


def test_a_log_takes_a_name_that_is_no_text(tmp_path, monkeypatch):
    # A handler of pytest would keep the name for a report, which takes UTF-8 alone.
    monkeypatch.setattr(logging.getLogger("fedchain"), "handlers", [])
    with logging_to(tmp_path / "run.log"):
        logging.getLogger("fedchain").info("reads %s", "br\udcfcst")
    assert (tmp_path / "run.log").read_text(encoding="utf-8").endswith("reads br\\xfcst\n")

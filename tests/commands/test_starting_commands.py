"""fedchain new: the skeletons work, their tests pass, and nothing is overwritten."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import call

HOME = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    """An empty folder of the user."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_lab"]:
        del sys.modules[name]


def test_the_test_of_every_new_part_passes(lab):
    for what in ("task", "rule", "attack"):
        told = call("new", what, f"my_{what}", "--format", "plain")
        assert (told.code, told.err) == (0, "")
        assert told.out.splitlines()[-3:-1] == [f"my_lab/my_{what}.py", f"my_lab/test_my_{what}.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "my_lab"],
        env={**os.environ, "PYTHONPATH": str(HOME)}, cwd=lab,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "6 passed" in done.stdout, done.stdout


def test_a_new_part_is_valid_and_described(lab, monkeypatch):
    monkeypatch.syspath_prepend(lab)
    call("new", "rule", "halfway")
    told = call("validate", "breast_cancer", "--set", "aggregation={kind: my_lab.halfway:halfway}")
    assert (told.code, told.err) == (0, "")
    told = call("describe", "my_lab.halfway:halfway", "--format", "plain")
    assert told.out.startswith("my_lab.halfway:halfway  aggregation\n")
    assert "how many values are left out on each side." in told.out
    assert told.out.endswith("aggregation: {kind: my_lab.halfway:halfway, trim: 1}\n")


def test_a_part_that_is_not_there_cannot_be_described():
    told = call("describe", "my_lab.halfway:halfway")
    assert told.code == 2
    assert told.err.startswith("cannot import 'my_lab.halfway:halfway': ")
    assert len(told.err.splitlines()) == 1


def test_a_new_scenario_is_valid():
    assert call("new", "scenario", "first").code == 0
    told = call("validate", "first.yaml")
    assert (told.code, told.out[:15]) == (0, "first.yaml: ok,")


def test_what_is_there_stays(lab):
    (lab / "my_lab").mkdir()
    (lab / "my_lab" / "halfway.py").write_text("mine")
    told = call("new", "rule", "halfway")
    assert (told.code, told.err) == (
        2,
        "my_lab/halfway.py: is there already; give another name\n",
    )
    assert [file.name for file in (lab / "my_lab").iterdir()] == ["halfway.py"]


@pytest.mark.parametrize("name", ["3x", "a-b", "a/b", "class", "../x", ""])
def test_a_name_that_is_no_word_of_python_is_refused(name, lab):
    told = call("new", "rule", name)
    assert told.code == 2
    assert "is no name; write letters, digits and _" in told.err
    assert not list(lab.iterdir())


def test_the_skeletons_are_python():
    from fedchain.commands.skeletons import MODULES, files_of_part

    for what in MODULES:
        for text in files_of_part(what, "mine", "lab").values():
            ast.parse(text)

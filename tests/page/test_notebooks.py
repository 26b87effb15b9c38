"""Notebooks of the lessons: every script is one, and runs."""

from __future__ import annotations

import runpy
from pathlib import Path

import jupytext
import pytest

from fedchain.page.lessons.catalogue import LESSONS

LESSONS_FOLDER = Path(__file__).parents[2] / "scenarios" / "lessons"
SCRIPTS = {lesson.name: LESSONS_FOLDER / f"{lesson.name}.py" for lesson in LESSONS}
QUICK = ("01_hash", "06_tampering")


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_lesson_is_a_notebook_that_asks_first_and_shows_its_run_last(name):
    cells = jupytext.read(SCRIPTS[name], fmt="py:percent").cells
    assert cells[0].cell_type == "markdown"
    assert "?**" in cells[0].source  # the question, in bold
    assert any("What this does not show" in cell.source for cell in cells)
    assert any("Before you leave" in cell.source for cell in cells)
    assert cells[-1].cell_type == "code"
    assert ("fedchain.show(run)" in cells[-1].source) == (name != "07_points")


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Return a function that runs a script in a folder of its own, and returns what it prints."""

    def run_script(name):
        monkeypatch.chdir(tmp_path)
        runpy.run_path(str(SCRIPTS[name]))
        return capsys.readouterr().out

    return run_script


def test_the_notebook_of_hashes_finds_that_half_of_the_bits_change(said):
    last = said("01_hash").splitlines()[-1]
    assert float(last.split()[1].rstrip(",")) == pytest.approx(128, abs=2)


def test_after_mining_again_the_model_of_the_notebook_is_not_that_of_the_messages(said):
    lines = dict(line.split(":", 1) for line in said("06_tampering").splitlines() if ":" in line)
    assert lines["hash mined"].strip().startswith("000")
    assert lines["from the messages"].strip() != lines["in the header"].strip()
    assert lines["verified"].strip() == "True"


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in QUICK])
def test_every_other_notebook_runs(name, said):
    assert "you said" in said(name) or name == "03_round"

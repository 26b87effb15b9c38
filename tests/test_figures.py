"""Every picture and every measured table of the pages has one command that makes it."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TABLE = "| a | b |\n| --- | --- |\n| x | .5 ± .1 |\n"


@pytest.fixture
def figures(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("figures")


@pytest.fixture
def small(figures, monkeypatch, tmp_path):
    """One picture, one page with one table, and a maker of both, in a folder of their own."""
    tables = importlib.import_module("page_tables")
    makers = importlib.import_module("makers")
    (tmp_path / "docs" / "pictures").mkdir(parents=True)
    (tmp_path / "docs" / "pictures" / "a.png").write_text("old")
    page = f"<!-- made by one -->\n{TABLE}<!-- end -->\nwords\n"
    (tmp_path / "README.md").write_text(page, encoding="utf-8")
    made = makers.Text("README.md", lambda done: tables.table(["n"], [[str(done[0].told)]]))
    draws = "open(r'{out}/a', 'w').write('new'); print(3)"
    one = makers.Maker(
        commands=(f'python -c "{draws}"',),
        minutes=1,
        pictures={"a.png": "a"},
        texts={"": made},
    )
    monkeypatch.setattr(figures, "HOME", tmp_path)
    monkeypatch.setattr(figures, "WORK", tmp_path / "work")
    monkeypatch.setattr(figures, "PICTURES", tmp_path / "docs" / "pictures")
    monkeypatch.setattr(figures, "MAKERS", {"one": one})
    return tmp_path


def test_every_picture_and_every_measured_table_has_one_maker(figures):
    assert figures.problems() == []


def test_every_maker_makes_something_that_a_page_shows(figures):
    shown = "".join(figures.read(page) for page in figures.pages())
    for name, maker in figures.MAKERS.items():
        assert figures.targets(name, maker), name
        assert all(f"pictures/{picture})" in shown for picture in maker.pictures), name


def test_the_examples_of_the_modules_hold(figures):
    for name in ("figures", "marks", "page_tables"):
        assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_a_maker_writes_its_picture_and_its_table_between_the_marks(figures, small):
    assert figures.problems() == []
    assert figures.make_all(["one"]) == 0
    assert (small / "docs" / "pictures" / "a.png").read_text() == "new"
    text = (small / "README.md").read_text(encoding="utf-8")
    assert text == "<!-- made by one -->\n| n |\n| --- |\n| 3 |\n<!-- end -->\nwords\n"


@pytest.mark.parametrize("broken", ["the command fails", "no picture", "no marks", "Ctrl-C"])
def test_a_maker_that_fails_or_is_interrupted_changes_nothing(figures, small, monkeypatch, broken):
    before = (small / "README.md").read_text(encoding="utf-8")
    one, told = figures.MAKERS["one"], 1
    if broken == "the command fails":
        one = replaced(one, commands=(*one.commands, "python -c 1/0"))
    elif broken == "no picture":
        one = replaced(one, pictures={"a.png": "another"})
    elif broken == "no marks":
        one = replaced(one, texts={"more": one.texts[""]})
    else:
        told = 130
        monkeypatch.setattr(figures, "filled", interrupted)
    monkeypatch.setattr(figures, "MAKERS", {"one": one})
    assert figures.make_all(["one"]) == told
    assert (small / "docs" / "pictures" / "a.png").read_text() == "old"
    assert (small / "README.md").read_text(encoding="utf-8") == before


def replaced(maker, **changes):
    return type(maker)(**{**vars(maker), **changes})


def interrupted(*arguments):
    raise KeyboardInterrupt


def test_what_has_no_maker_or_two_is_found(figures, small, monkeypatch):
    (small / "docs" / "pictures" / "b.png").write_text("nobody's")
    with (small / "README.md").open("a", encoding="utf-8") as page:
        page.write(f"\n<!-- made by nobody -->\n<!-- end -->\n\n{TABLE}")
    monkeypatch.setattr(figures, "MAKERS", {**figures.MAKERS, "two": figures.MAKERS["one"]})
    assert figures.problems() == [
        "docs/pictures/b.png: has no maker",
        "docs/pictures/a.png: has 2 makers",
        "README.md: nobody: has no maker",
        "README.md: two: has no marks",
        "README.md: | a | b |: a table without a mark",
    ]

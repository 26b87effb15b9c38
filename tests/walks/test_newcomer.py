"""A walk: docs/your_own.md from an empty folder to figure and table, as it is printed."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import call

PAGE = (Path(__file__).parents[2] / "docs" / "your_own.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```\w+\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [line.split()[1:] for line in PAGE.splitlines() if re.match(r"fedchain \w", line)]


@pytest.fixture(scope="module", autouse=True)
def lab(tmp_path_factory):
    """A folder with the files of the page, and a table of patients."""
    folder = tmp_path_factory.mktemp("lab")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    draws = np.random.default_rng(0)
    with (folder / "patients.csv").open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["age", "bmi", "sex", "smoker", "hospital", "outcome"])
        for age, bmi, smoker in zip(
            draws.integers(20, 80, 600), draws.normal(27, 4, 600), draws.integers(0, 3, 600),
            strict=True,
        ):  # fmt: skip
            ill = age / 20 + bmi / 10 + smoker + draws.normal(0, 0.5) > 6.2
            row = age, f"{bmi:.1f}", draws.choice(["f", "m"]), smoker, draws.choice(["A", "B"])
            lines.writerow([*row, "ill" if ill else "well"])
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    patch.syspath_prepend(folder)
    yield folder
    patch.undo()
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_lab"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def answered(lab):
    """Every command of the page, and the folder of its sweep."""
    told = [call(*words) for words in COMMANDS]
    assert [each.code for each in told] == [0] * len(COMMANDS), [each.err for each in told]
    (folder,) = (lab / "sweeps").iterdir()
    return folder


def test_the_page_has_the_files_and_commands_of_the_walk():
    assert FILES.keys() == {
        "my_lab/rules.py", "my_lab/attacks.py", "my_lab/models.py", "my_lab/tasks.py",
        "question.yaml",
    }  # fmt: skip
    assert [words[0] for words in COMMANDS] == ["validate", "sweep"]


def test_the_question_ends_with_figures_tables_and_every_point(answered):
    with (answered / "points.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert {row["status"] for row in rows} == {"finished"}
    score = {
        (rule, count): np.mean(
            [
                float(row["f1"])
                for row in rows
                if (row["aggregation.kind"], row["attacks[0].count"]) == (rule, count)
            ]
        )
        for rule in ("mean", "my_lab.rules:halfway")
        for count in ("0", "3")
    }
    assert score["mean", "0"] > 0.75
    assert score["mean", "0"] > score["mean", "3"]
    assert list((answered / "figures").glob("*.svg"))
    assert list((answered / "tables").glob("*.tex"))


def test_figures_and_tables_show_the_short_name(answered):
    texts = [
        file.read_text(encoding="utf-8")
        for file in [*(answered / "tables").glob("*.md"), *(answered / "tables").glob("*.tex")]
    ]
    assert any("halfway" in text for text in texts)
    assert not any("my_lab.rules:halfway" in text for text in texts)


@pytest.mark.usefixtures("answered")
def test_threads_and_processes_end_at_the_same_head(lab):
    heads = set()
    for engine in ("threads", "processes"):
        asked = "--set", "sweep=null", "--set", "rounds=3", "--engine", engine, "--workers", "2"
        rule = "--set", "aggregation={kind: my_lab.rules:halfway}"
        told = call(
            "run", "question.yaml", *asked, *rule, "--out", lab / engine, "--format", "json"
        )
        assert told.code == 0, told.err
        summary = json.loads(told.out)
        heads.add(summary["head"])
        assert summary["messages"]["byzantine"] > 0
    assert len(heads) == 1


def test_the_task_of_the_page_runs_too(lab):
    told = call("validate", "breast_cancer", "--set", "task={kind: my_lab.tasks:rings}")
    assert (told.code, told.err) == (0, "")

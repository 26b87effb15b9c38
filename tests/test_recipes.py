"""The recipes of CONTRIBUTING.md: the code of each recipe runs unchanged in a user's module."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from recipes import RECIPES, forgotten, pasted
from ruamel.yaml import YAML
from small_runs import small

from fedchain.results import Run
from fedchain.runs.running import run
from fedchain.scenario import load

HOME = Path(__file__).parents[1]
PARTS = (
    "An aggregation rule",
    "An attack",
    "A poison",
    "A misconduct of compute nodes",
    "A mechanism",
    "An update",
    "A task",
    "A task with its model",
    "An engine",
    "A model",
    "A loss",
    "A split",
    "A topology or a latency",
)
"""Recipes for parts that a scenario names; the first backticks of the text hold the keys."""
CHANGES_FEDCHAIN = (
    "A command",
    "A law of chains",
    "A scan format",
    "A field of the message or the header",
    "The page",
    "A lesson",
)
"""Recipes without code: no scenario and no option can name what they add."""


def keys_of(title: str) -> dict[str, Any]:
    """Return the keys of a scenario that a recipe begins with."""
    text = re.match(r"`(.+?)`", RECIPES[title])
    assert text, f"{title}: no keys of a scenario at its beginning"
    return YAML(typ="safe").load(text[1])


def played(folder: Path, **changes: Any) -> Run:
    return run(small(2, **{"attacks": [], **changes}), folder)


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """Return a function from a task to the head of that task's run without any recipe."""
    folder = tmp_path_factory.mktemp("usual")
    heads = {
        k: played(folder, task={"kind": k}).manifest["head"] for k in ("breast_cancer", "digits")
    }
    return lambda task: heads.get(task, "")


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    """A folder of the user, none of whose modules has been imported."""
    monkeypatch.syspath_prepend(tmp_path)
    yield
    forgotten()


@pytest.mark.parametrize("title", PARTS)
def test_a_scenario_runs_with_the_pasted_part(title, usual, tmp_path):
    pasted(title, tmp_path)
    keys = keys_of(title)
    found = played(tmp_path / "runs", **keys)
    assert found.manifest["status"] == "finished"
    assert any(name.startswith("my_lab.") for name in sys.modules)
    head = usual(keys.get("task", {"kind": "breast_cancer"})["kind"])
    if title != "A misconduct of compute nodes":  # its node may find no block in two rounds
        same = found.manifest["head"] == head
        assert same == (title == "An engine")  # the same bits, or others


def test_the_dishonest_node_of_the_recipe_leaves_messages_out(tmp_path):
    pasted("A misconduct of compute nodes", tmp_path)
    keys = keys_of("A misconduct of compute nodes")
    quorum = {"ledger.quorum": 0.5, "nodes.compute": 1}
    honest = played(tmp_path / "honest", **quorum)
    liar = played(tmp_path / "liar", **quorum, attacks=[{**keys["attacks"][0], "nodes": [0]}])
    assert [row["messages"] for row in honest.metrics] == [10, 10]
    assert [row["messages"] for row in liar.metrics] == [5, 5]


def test_the_figure_of_the_recipe_is_drawn(tmp_path):
    pasted("A figure", tmp_path)
    found = played(tmp_path / "runs")
    importlib.import_module("my_lab.figures").show(found.folder, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_every_recipe_is_run_here_or_is_known_to_change_fedchain_itself():
    own = {"An audit", "A figure"}  # the audit: tests/audits/test_own_audits.py
    assert set(RECIPES) == {*PARTS, *own, *CHANGES_FEDCHAIN}
    assert all("```python" not in RECIPES[title] for title in CHANGES_FEDCHAIN)


@pytest.mark.parametrize("title", sorted(RECIPES))
def test_a_recipe_is_short(title):
    words = re.sub(r"```.*?```", "", RECIPES[title], flags=re.DOTALL).split()
    assert len(words) <= 250


def test_the_scenario_of_the_manual_is_a_good_one(tmp_path):
    manual = (HOME / "docs" / "manual.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL)
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    assert load(tmp_path / "mine.yaml").name == "my-question"

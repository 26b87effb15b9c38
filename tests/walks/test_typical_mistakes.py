"""Typical mistakes in parts of one's own: each is one line before the first round."""

from __future__ import annotations

import sys

import pytest
from command_line import call
from mistakes import BASE, HEAD, MISTAKES
from ruamel.yaml import YAML


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    """An empty folder of the user, whose module was not imported before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("lab", None)


def written(lab, mistake):
    (lab / "lab.py").write_text(HEAD + mistake.code)
    with (lab / "mistaken.yaml").open("w") as file:
        YAML().dump({**BASE, **mistake.keys}, file)
    return lab / "mistaken.yaml"


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_before_the_first_round(name, lab):
    mistake = MISTAKES[name]
    scenario = written(lab, mistake)
    orders = [("validate", scenario), ("run", scenario, "--dry-run"), ("run", scenario)]
    if "sweep" in mistake.keys:
        sweeps = [("sweep", scenario, "--dry-run"), ("sweep", scenario)]
        orders = [("validate", scenario), *sweeps]
    for order in orders:
        told = call(*order)
        assert told.code == (2 if order[0] == "validate" or "sweep" in mistake.keys else 1)
        assert len(told.err.splitlines()) == 1, told.err
        assert mistake.says in told.err
        assert mistake.names_line or "mistaken.yaml:" in told.err
        if mistake.names_line:
            first = len(HEAD.splitlines()) + 1
            last = first + len(mistake.code.splitlines())
            assert any(f"lab.py, line {n})" in told.err for n in range(first, last)), told.err
    assert {path.name for path in lab.iterdir()} <= {"lab.py", "mistaken.yaml", "__pycache__"}


def test_the_same_task_without_a_mistake_passes(lab):
    code = "def mine(holders: int, seed: int) -> Task:\n    return points(holders, seed)\n"
    (lab / "lab.py").write_text(HEAD + code)
    with (lab / "good.yaml").open("w") as file:
        YAML().dump({**BASE, "task": {"kind": "lab:mine"}}, file)
    told = call("validate", lab / "good.yaml")
    assert (told.code, told.err) == (0, "")

"""The Python API: what is found by those who look, and in which forms a scenario may be given."""

from __future__ import annotations

import json
import os
import pydoc
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from small_runs import small

import fedchain
from fedchain.errors import ScenarioError
from fedchain.scenario import plain_values

ROOT = Path(__file__).parents[1]


def test_the_names_of_the_api_are_listed_and_helped_before_anybody_uses_them():
    script = (
        "import json, sys, fedchain\n"
        "listed = dir(fedchain)\n"
        "light = 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
        "print(json.dumps([listed, light]))"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    listed, light = json.loads(told.stdout)
    assert set(fedchain.__all__) <= set(listed)
    assert light
    page = pydoc.plain(pydoc.render_doc(fedchain))
    for name in ("run(", "class Run", "class Callback", "load(", "verify(", "module(self"):
        assert name in page, name


def given(tmp_path):
    """Return one scenario in every form in which it may be given."""
    scenario = small(1)
    values = {k: v for k, v in plain_values(scenario).items() if v is not None}
    file = tmp_path / "small.yaml"
    file.write_text(json.dumps(values))
    return [scenario, values, file, str(file)]


def test_a_scenario_may_be_a_record_a_mapping_a_path_or_a_name(tmp_path):
    folders = set()
    for number, each in enumerate(given(tmp_path)):
        assert fedchain.load(each) == small(1) if number else True
        done = fedchain.run(each, tmp_path / str(number))
        folders.add(done.folder.name)
        written = (done.folder / "scenario.yaml").read_text()
        assert written.startswith("{") == isinstance(each, str | Path)  # the text of the file
    assert len(folders) == 1
    assert fedchain.load("breast_cancer", set={"rounds": 2}).rounds == 2


def test_sweeps_and_audits_take_a_mapping_or_a_path_too(tmp_path):
    scenario, values, file, _ = given(tmp_path)
    names = {
        fedchain.sweep(each, tmp_path / str(number), seeds=1).folder.name
        for number, each in enumerate((scenario, values, file))
    }
    assert len(names) == 1
    audited = fedchain.audit(file, ["membership"], tmp_path / "audits")
    assert audited.folder == fedchain.audit(values, ["membership"], tmp_path / "audits").folder


def test_a_wrong_mapping_or_path_is_told_as_a_wrong_file_is(tmp_path):
    with pytest.raises(ScenarioError, match="roundz"):
        fedchain.run({**given(tmp_path)[1], "roundz": 3}, tmp_path)
    with pytest.raises(ScenarioError, match="no such file"):
        fedchain.run(tmp_path / "nothing.yaml", tmp_path)


def test_a_script_beside_a_folder_called_fedchain_imports_the_package_and_not_that_folder(tmp_path):
    (tmp_path / "fedchain" / "docs").mkdir(parents=True)  # like a clone, it is no package itself
    (tmp_path / "script.py").write_text("import fedchain\nprint(fedchain.__file__)\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # as the .pth file of an installation
    told = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(told.stdout.strip()) == Path(fedchain.__file__).resolve()


def test_the_page_of_the_api_is_a_script_that_runs(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "python_api.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 8
    monkeypatch.chdir(tmp_path)
    known: dict[str, object] = {}
    for block in blocks:
        if "tensorboard" in block and find_spec("tensorboard") is None:
            continue
        exec(compile(block, "docs/python_api.md", "exec"), known)
    told = capsys.readouterr().out
    assert "['prepare.mean', 'prepare.scale', 'model.1.weight', 'model.1.bias']" in told
    assert "stopped" in told
    assert known["logits"].shape == (1797, 10)

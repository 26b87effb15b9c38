"""What a run's name covers besides its scenario: the user's code, data files, and fedchain."""

from __future__ import annotations

import importlib
import sys

import pytest

from fedchain.errors import PartError
from fedchain.registry import hash_of_data
from fedchain.registry.own_code import own_files
from fedchain.reuse import reusing
from fedchain.scenario import from_mapping, provenance_of, run_digest, run_name, scenario_digest
from fedchain.simulation.setup import build_setup

VALUES = {
    "version": 1,
    "name": "small",
    "rounds": 2,
    "task": {"kind": "breast_cancer"},
    "nodes": {"holders": 4, "compute": 1},
    "privacy": {"kind": "none"},
    "aggregation": {"kind": "lab.rules:middle"},
}
RULES = '''"""Rules of one's own."""
from lab.{helper} import half


def middle(received, *, share: float = 0.5):
    return half
'''


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A package of one's own in the current folder, as if nobody had imported it yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "lab"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "rules.py").write_text(RULES.format(helper="numbers"))
    (package / "numbers.py").write_text("half = 0.5\n")
    (package / "figures.py").write_text("import matplotlib\n")
    yield package
    for name in [name for name in sys.modules if name.partition(".")[0] == "lab"]:
        del sys.modules[name]


def forget():
    """Make the next import read the files, as another process does."""
    importlib.invalidate_caches()
    for name in [name for name in sys.modules if name.partition(".")[0] == "lab"]:
        del sys.modules[name]


def named():
    forget()
    return run_name(from_mapping(VALUES))


def test_a_name_covers_the_module_of_a_part_and_what_it_imports_of_ones_own(lab):
    first = named()
    assert named() == first
    code = provenance_of(from_mapping(VALUES)).code
    assert list(code) == ["lab", "lab.numbers", "lab.rules"]  # not figures, which no part imports
    (lab / "figures.py").write_text("import numpy\n")
    assert named() == first
    names = {first}
    for file, text in (
        ("rules.py", RULES.format(helper="numbers") + "\n"),
        ("numbers.py", "half = 0.25\n"),
        ("__init__.py", "print\n"),
    ):
        (lab / file).write_text(text)
        names.add(named())
    assert len(names) == 4


def test_the_values_alone_have_the_same_digest_whatever_the_code_says(lab):
    first = scenario_digest(from_mapping(VALUES))
    (lab / "rules.py").write_text(RULES.format(helper="numbers") + "# more\n")
    forget()
    assert scenario_digest(from_mapping(VALUES)) == first


def test_code_that_was_changed_after_its_import_is_refused_and_not_called_new(lab):
    scenario = from_mapping(VALUES)
    first = run_digest(scenario)
    (lab / "numbers.py").write_text("half = 0.75\n")
    with pytest.raises(PartError, match=r"numbers\.py: was changed after this process had import"):
        run_digest(scenario)
    importlib.reload(sys.modules["lab.numbers"])
    assert run_digest(scenario) != first


def test_relative_imports_and_imports_inside_of_functions_count(lab):
    (lab / "rules.py").write_text(
        "from . import numbers\n\n\ndef middle(received):\n    from .late import x\n    return x\n"
    )
    (lab / "late.py").write_text("import lab.later.still\nx = 1\n")
    (lab / "later").mkdir()
    (lab / "later" / "still.py").write_text("def wrong(:\n")
    found = own_files("lab.rules", lab / "rules.py")
    assert list(found) == ["lab", "lab.late", "lab.later.still", "lab.numbers", "lab.rules"]


def test_a_function_without_a_source_is_refused_in_one_line(monkeypatch, lab):
    scenario = from_mapping(VALUES)
    monkeypatch.delattr(sys.modules["lab.rules"], "__file__")
    exec("def middle(received): pass", sys.modules["lab.rules"].__dict__)
    with pytest.raises(PartError, match=r"^lab\.rules:middle: has no source that can be read"):
        run_digest(scenario)


def with_links(path):
    own = {"aggregation": {"kind": "mean"}, "network": {"kind": "file", "path": str(path)}}
    return from_mapping({**VALUES, **own})


def test_a_name_covers_the_content_of_a_file_and_not_its_place_alone(tmp_path):
    links = tmp_path / "links.txt"
    names = []
    for text in ("0 1\n", "0 2\n", "0 1\n"):
        links.write_text(text)
        names.append(run_name(with_links(links)))
    links.unlink()
    names.append(run_name(with_links(links)))  # the run itself will say that the file is missing
    assert names[0] == names[2]
    assert len({*names}) == 3
    assert list(provenance_of(with_links(links)).data) == ["network.path"]


def scans(path, **more):
    task = {"kind": "scan_folder", "path": str(path), "dirty": "raw_*.npz", "clean": "c_*.npz"}
    return from_mapping({**VALUES, "aggregation": {"kind": "mean"}, "task": {**task, **more}})


def test_a_folder_counts_by_the_files_that_its_patterns_name(tmp_path):
    (tmp_path / "views").mkdir()
    for name in ("raw_1.npz", "c_1.npz", "views/1.npz"):
        (tmp_path / name).write_text(name)
    first, other = run_name(scans(tmp_path)), run_name(scans(tmp_path, views=["views/*"]))
    for unread in ("notes.txt", "views/2.npz", "raw_2.ply"):
        (tmp_path / unread).write_text("new")
        assert run_name(scans(tmp_path)) == first
    assert run_name(scans(tmp_path, views=["views/*"])) != other
    (tmp_path / "raw_1.npz").rename(tmp_path / "raw_2.npz")
    assert run_name(scans(tmp_path)) != first


def test_a_folder_without_patterns_counts_with_all_its_files_but_no_results(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.csv").write_text("1")
    first = hash_of_data(str(tmp_path))
    for place, file in (("runs/x-0-s0", "resolved.yaml"), ("sweeps/y", "sweep.json")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / file).write_text("a run's own")
    (tmp_path / ".hidden").write_text("x")
    assert hash_of_data(str(tmp_path)) == first
    (tmp_path / "inner" / "a.csv").rename(tmp_path / "inner" / "b.csv")
    assert hash_of_data(str(tmp_path)) != first


def test_a_name_covers_the_version_of_fedchain(monkeypatch):
    scenario = from_mapping({**VALUES, "aggregation": {"kind": "mean"}})
    first = run_name(scenario)
    monkeypatch.setattr("fedchain.scenario.provenance.__version__", "9.9.9")
    assert run_name(scenario) != first


TABLE = '''
import numpy as np
from fedchain.learning.losses import accuracy, cross_entropy
from fedchain.learning.models import softmax
from fedchain.learning.task import Records, Task


def rows(holders: int, seed: int, *, path: str) -> Task:
    """Read a table of my own."""
    table = np.loadtxt(path, delimiter=",", dtype=np.float32)
    records = Records(table[:, :-1], table[:, -1].astype(np.int64))
    return Task(
        name="rows", holders=[records] * holders, held_out=records,
        model=lambda: softmax((2,), 2), loss=cross_entropy(),
        measure=lambda outputs, known: {"accuracy": accuracy(outputs, known.targets)},
        score="accuracy", baselines={},
    )
'''


def test_runs_of_one_process_read_data_again_that_have_changed_between_them(lab):
    (lab / "tasks.py").write_text(TABLE)
    file = lab / "rows.csv"
    own = {"aggregation": {"kind": "mean"}, "task": {"kind": "lab.tasks:rows", "path": str(file)}}
    file.write_text("1,2,0\n3,4,1\n")
    scenario = from_mapping({**VALUES, **own})
    with reusing():
        first = build_setup(scenario)
        assert build_setup(scenario).task is first.task
        file.write_text("1,2,0\n5,6,1\n")
        second = build_setup(scenario)
    assert second.task.held_out.inputs[1].tolist() == [5, 6]
    assert second.genesis != first.genesis

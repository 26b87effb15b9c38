from __future__ import annotations

import pytest

from fedchain import cache
from fedchain.scenario import from_mapping, known, run_digest, run_name
from fedchain.scenario.known import KnownRun, known_run, remember_run
from fedchain.scenario.overriding import grow
from fedchain.scenario.tree import Mark

VALUES = {
    "version": 1,
    "name": "small",
    "rounds": 3,
    "task": {"kind": "none"},
    "nodes": {"compute": 2},
}
SCENARIO = from_mapping(VALUES)


def tree(**more):
    return grow({**VALUES, **more}, Mark("scenario"))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDCHAIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_remembered_scenario_is_known_by_its_values():
    assert known_run(tree()) is None
    remember_run(tree(), SCENARIO)
    there = KnownRun(name=run_name(SCENARIO), digest=run_digest(SCENARIO), data=())
    assert known_run(tree()) == there
    for other in ({"rounds": 4}, {"rounds": 3.0}, {"seed": 0}, {"name": "other"}):
        assert known_run(tree(**other)) is None


def test_a_scenario_is_unknown_to_other_code(tmp_path, monkeypatch):
    remember_run(tree(), SCENARIO)
    with monkeypatch.context() as patch:
        patch.setattr(known, "__version__", "0.0.0")
        assert known_run(tree()) is None
    package = tmp_path / "package"
    package.mkdir()
    (package / "code.py").write_text("one\n")
    monkeypatch.setattr(known, "PACKAGE", package)
    remember_run(tree(), SCENARIO)
    assert known_run(tree()) is not None
    (package / "more.py").write_text("two\n")
    assert known_run(tree()) is None


def test_a_scenario_with_code_of_its_own_is_never_known(folder):
    own = {"aggregation": {"kind": "my_lab.rules:midrange"}}
    remember_run(tree(**own), SCENARIO)
    assert known_run(tree(**own)) is None
    assert not folder.exists()


def test_a_scenario_is_known_while_the_data_that_it_reads_are_the_same(tmp_path):
    links = tmp_path / "links.txt"
    links.write_text("0 1\n")
    values = {"network": {"kind": "file", "path": str(links)}}
    first = from_mapping({**VALUES, **values})
    remember_run(tree(**values), first)
    assert known_run(tree(**values)).name == run_name(first)
    links.write_text("0 1 # twice\n")
    assert known_run(tree(**values)) is None
    remember_run(tree(**values), first)
    assert known_run(tree(**values)).name == run_name(first)
    links.unlink()
    assert known_run(tree(**values)) is None


@pytest.mark.parametrize(
    "text", ["", '{"name": "../small", "digest": "", "data": []}', '{"name": "small"}', "s\u00e9\n"]
)
def test_a_damaged_file_of_the_cache_counts_as_none(text):
    remember_run(tree(), SCENARIO)
    (entry,) = cache.entries(cache.cache_folder())
    assert entry.kind == cache.KNOWN
    entry.path.write_text(text, encoding="utf-8")
    assert known_run(tree()) is None

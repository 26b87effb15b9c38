"""What ``verify``, ``run``, ``resume`` and ``audit`` say of changed code and data."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from small_runs import small

from fedchain import audit, resume, run
from fedchain.checks import verify
from fedchain.checks.verdict import FAILED, OK, UNCHECKED
from fedchain.errors import RunRefused
from fedchain.results import Run, tampered_copy
from fedchain.runs.callbacks import Callback

RULE = '''"""A rule of one's own."""
from fedchain.aggregation import aggregations
from fedchain.registry import Part


def mine(received):
    return aggregations.build(Part("{kind}", {{}}), received)
'''


class Stop(Callback):
    def on_round_end(self, ended):
        raise KeyboardInterrupt


@pytest.fixture
def rule(tmp_path, monkeypatch):
    """Write a rule of one's own; return a function that writes it anew, as in a new process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def write(kind):
        (tmp_path / "changing_rule.py").write_text(RULE.format(kind=kind))
        sys.modules.pop("changing_rule", None)
        importlib.invalidate_caches()

    write("mean")
    yield write
    sys.modules.pop("changing_rule", None)


def own(rounds=2):
    return small(rounds, aggregation={"kind": "changing_rule:mine"}, attacks=[])


def results(found):
    return {each.what: each.result for each in found.checks}


def test_a_changed_rule_is_another_run_and_verify_says_that_it_changed(rule, tmp_path):
    done = run(own(), tmp_path / "runs")
    assert results(verify(done.folder, trust_user_parts=True))["provenance"] == OK
    rule("median")
    again = run(own(), tmp_path / "runs")
    assert again.folder != done.folder
    assert again.manifest["head"] != done.manifest["head"]
    found = verify(done.folder, trust_user_parts=True)
    assert (found.ok, results(found)["provenance"]) == (False, UNCHECKED)
    assert "code changing_rule: was " in found.changed
    assert Run.open(done.folder, trust_user_parts=True).module()  # no rule changes a model
    rule("mean")
    damaged = tmp_path / "damaged"
    tampered_copy(done.folder, damaged, 1, "weights")
    found = verify(damaged, trust_user_parts=True)
    assert (found.ok, found.changed, results(found)["provenance"]) == (False, "", OK)


def test_an_unfinished_run_does_not_go_on_with_other_code(rule, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(own(3), tmp_path, callbacks=[Stop()])
    (folder,) = (each.parent for each in tmp_path.glob("*/manifest.json"))
    rule("median")
    with pytest.raises(RunRefused, match=r"a run goes on as it began, .* \(code changing_rule: w"):
        resume(folder, trust_user_parts=True)
    rule("mean")
    assert resume(folder, trust_user_parts=True).manifest["status"] == "finished"


def test_changed_links_are_another_run_and_no_audit_mixes_both(tmp_path):
    links = tmp_path / "links.txt"
    names = set()
    pairs = [f"{one} {other}" for one in range(13) for other in range(one)]
    for text in ("\n".join(pairs), "\n".join(pairs[::-1])):
        links.write_text(text)
        names.add(run(small(2, network={"kind": "file", "path": str(links)}), tmp_path).folder)
    assert len(names) == 2
    old = min(names, key=lambda folder: Run.open(folder).manifest["provenance"] == latest(names))
    found = verify(old)
    assert "data network.path: was " in found.changed
    assert results(found)["manifest"] == OK  # the links are the same in another order
    with pytest.raises(RunRefused, match="an audit computes again what a run computed"):
        audit(Run.open(old), ["membership"])


def latest(names: set[Path]):
    newest = max(names, key=lambda folder: (folder / "manifest.json").stat().st_mtime_ns)
    return Run.open(newest).manifest["provenance"]


def test_a_run_of_another_version_of_fedchain_is_verified_and_the_verdict_names_both(
    tmp_path, monkeypatch
):
    done = run(small(1), tmp_path)
    monkeypatch.setattr("fedchain.scenario.provenance.__version__", "9.9.9")
    found = verify(done.folder)
    assert "fedchain: was 0.1.0, is 9.9.9" in found.changed
    assert [what for what, result in results(found).items() if result == FAILED] == []


def test_a_finished_run_that_is_found_again_says_so_in_one_line(tmp_path, caplog):
    done = run(small(1), tmp_path)
    assert "nothing was run" not in caplog.text
    with caplog.at_level("WARNING", "fedchain"):
        run(small(1), tmp_path)
    (line,) = [record.getMessage() for record in caplog.records]
    ended = done.manifest["ended"]
    assert line == (
        f"{done.folder}: finished on {ended}, nothing was run; force=True runs it again"
    )

"""An audit of the user's own: a module outside of the package, named on the command line."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from command_line import call
from small_runs import small

from fedchain.audits import audit, find_audit
from fedchain.errors import PartError, RunRefused
from fedchain.results import Run
from fedchain.results.findings import read_findings
from fedchain.runs.running import run

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
HEAD = "from fedchain.audits import Audit, AuditRow, BoundingRow\n\n"
MINE = (
    HEAD + "def attack(subject):\n    {body}\n\nmine = Audit(name='mine', attack=attack, {rest})\n"
)
NO_FILES = ("--figures", "", "--tables", "")
ROW = {"claimed": 4.0, "trials": 3}
BOUND = ROW | {"lower_bound": 5.0, "delta": 1e-5, "confidence": 0.95}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    split = {"kind": "dirichlet", "alpha": 0.3, "least": 5}
    task = {"kind": "breast_cancer", "split": split}
    return run(small(2, task=task, attacks=[]), tmp_path_factory.mktemp("done"))


@pytest.fixture
def folder(done, tmp_path):
    """A finished run that the test may change."""
    return shutil.copytree(done.folder, tmp_path / "run")


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Write a module where the user stands; it has never been imported."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str, file: str = "audit_lab.py") -> None:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)

    yield write
    for name in [n for n in sys.modules if n.partition(".")[0] in ("audit_lab", "my_lab")]:
        del sys.modules[name]


def mine(body: str, rest: str = "row=AuditRow, columns={'trials': 'trials'}") -> str:
    return MINE.format(body=body, rest=rest)


def write_findings(folder: Path, **attacks: object) -> None:
    (folder / "audit.json").write_text(json.dumps({"format": 1, "attacks": attacks}))


def page_of(folder: Path) -> str:
    return (folder / "report.html").read_text()


def recipe() -> str:
    found = re.search(
        r"\*\*An audit\.\*\*.*?```python\n(.*?)```", CONTRIBUTING.read_text(), re.DOTALL
    )
    assert found
    return found[1]


def test_the_recipe_runs_as_it_stands_and_a_report_imports_it_only_when_asked(lab, folder):
    lab(recipe(), "my_lab/audits.py")
    name = "my_lab.audits:norms"
    told = call("audit", folder, "--attack", name, "--format", "plain")
    (row,) = read_findings(folder)[name]
    assert (told.code, told.err, row["trials"]) == (0, "", 20)
    assert row["correlation"] < -0.5  # noise of a mean over fewer records is larger
    assert "correlation" in told.out
    assert (folder / "figures" / "norms_and_records.pdf").is_file()

    del sys.modules["my_lab.audits"]
    asked = ("report", folder, "--figures", "svg", "--tables", "csv")
    assert call(*asked).code == 0
    assert "my_lab.audits" not in sys.modules
    assert "add --trust-user-parts if you know it" in page_of(folder)
    table = (folder / "tables" / "audit_my_lab_audits_norms.csv").read_text().splitlines()
    assert table == ["claimed,trials,correlation", f"{row['claimed']},20,{row['correlation']}"]

    told = call(*asked, "--trust-user-parts")
    assert (told.code, "norms_and_records.svg" in told.out) == (0, True)
    assert "<caption>Audit: norms</caption>" in page_of(folder)
    assert "What a published norm tells of its holder" in page_of(folder)


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("", "audit_lab:gone", "cannot import 'audit_lab:gone': "),
        ("mine = 3", "audit_lab:mine", "'audit_lab:mine' is no audit; write module:audit"),
        ("raise RuntimeError('no licence')", "audit_lab:mine", "'audit_lab:mine': no licence; "),
        (
            mine("yield", "row=AuditRow, columns={'trails': 'trials'}"),
            "audit_lab:mine",
            "columns: AuditRow has no 'trails'; did you mean trials? allowed: claimed, trials",
        ),
        (
            mine("yield", "row=dict, columns={}"),
            "audit_lab:mine",
            "row: must be a kind of AuditRow",
        ),
        (
            mine("yield", "row=AuditRow, columns={}, figure=3"),
            "audit_lab:mine",
            "figure: must be a Python function, got 3",
        ),
    ],
)
def test_what_is_no_audit_is_exit_2_before_anything_runs(lab, tmp_path, text, name, words):
    lab(text)
    told = call("audit", tmp_path / "nowhere.yaml", "--attack", name)
    assert told.code == 2
    assert told.err.startswith("--attack: ")
    assert words in told.err


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("yield 1 / 0", r"ZeroDivisionError: division by zero \(.*audit_lab\.py, line 4\)"),
        ("return", r"TypeError: 'NoneType' object is not iterable \(.*audit_lab\.py, line 3\)"),
        ("yield {'trials': {1}}", r"TypeError: .*set is not JSON serializable \(.*audit_lab\.py"),
        ("yield {'claimed': 1.0}", r"rows\[0\]\.trials: is missing; it has no default$"),
        ("yield {'claimed': 1.0, 'trials': 'x'}", r"rows\[0\]\.trials: must be a whole number"),
    ],
)
def test_an_audit_of_ones_own_that_fails_is_named_and_leaves_what_was_there(
    lab, folder, body, words
):
    lab(mine(body))
    write_findings(folder, canaries=[BOUND | {"false_positive": 0.1, "false_negative": 0.1}])
    before = (folder / "audit.json").read_bytes()
    with pytest.raises(PartError, match=f"^audit audit_lab:mine: {words}"):
        audit(Run.open(folder), ["audit_lab:mine"])
    assert (folder / "audit.json").read_bytes() == before


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        ("lambda rows: rows[0].gone", r"AttributeError: .*\(.*audit_lab\.py, line 6\)"),
        ("lambda rows: 3", "must return Drawing, got int"),
    ],
)
def test_a_figure_of_ones_own_that_fails_is_one_line_and_the_findings_are_kept(
    lab, folder, figure, words
):
    lab(mine(f"yield {ROW}", f"row=AuditRow, columns={{}}, figure={figure}"))
    with pytest.raises(PartError, match=f"^audit audit_lab:mine: {words}"):
        audit(Run.open(folder), ["audit_lab:mine"])
    assert read_findings(folder) == {"audit_lab:mine": [ROW]}
    told = call("report", folder, *NO_FILES, "--trust-user-parts")
    assert (told.code, "Traceback" in told.err) == (1, False)
    assert not (folder / "report.html").exists()


def test_a_bound_of_ones_own_audit_counts_in_the_verdict_also_where_it_is_not_imported(lab, folder):
    lab(mine(f"yield {BOUND}", "row=BoundingRow, columns={'lower_bound': 'at least'}"))
    told = call("audit", folder, "--attack", "audit_lab:mine")
    assert (told.code, "violated: epsilon 4 was claimed" in told.err) == (7, True)
    assert (folder / "figures" / "claimed_and_measured.png").is_file()
    assert call("audit", folder, "--attack", "linkability").code == 7
    assert call("report", folder, *NO_FILES).code == 0
    assert "The guarantee does not hold: epsilon 4 was claimed" in page_of(folder)


def test_an_audit_that_is_repeated_may_change_its_rows(lab, folder):
    lab(mine(f"yield {ROW}"))
    write_findings(folder, **{"audit_lab:mine": [{"of": "another day"}]})
    assert audit(Run.open(folder), ["audit_lab:mine"]).findings == {"audit_lab:mine": [ROW]}


def test_no_file_chooses_what_is_imported(lab, folder):
    lab("raise SystemExit('imported')\n")
    strange = {"audit_lab:mine": [{"a": 1, "b": [2]}, {"a": None, "b": 3}], "newer": [{}]}
    write_findings(folder, **strange)
    assert call("report", folder, "--figures", "", "--tables", "csv").code == 0
    assert (folder / "tables" / "audit_audit_lab_mine.csv").read_text() == 'a\n1\n""\n'
    assert "no audit called &#x27;newer&#x27;; allowed: canaries" in page_of(folder)
    assert audit(Run.open(folder), ["linkability"]).findings.keys() == {*strange, "linkability"}


def test_what_cannot_be_imported_any_more_is_shown_as_it_stands(folder):
    write_findings(folder, **{"lost_lab:mine": [ROW]})
    assert call("report", folder, *NO_FILES, "--trust-user-parts").code == 0
    assert "cannot import &#x27;lost_lab:mine&#x27;: No module named" in page_of(folder)


def test_rows_that_an_imported_audit_never_wrote_are_refused(lab, folder):
    lab(mine(f"yield {ROW}"))
    write_findings(folder, **{"audit_lab:mine": [{"trials": 1}]})
    told = call("report", folder, *NO_FILES, "--trust-user-parts")
    assert told.code == 2
    assert "holds no findings of an audit: audit_lab:mine[0].claimed: is missing" in told.err


@pytest.mark.parametrize("text", ["[" * 40 + "]" * 40, '["\\ud800"]'])
def test_rows_that_cannot_be_written_again_are_refused(folder, text):
    (folder / "audit.json").write_text('{"format": 1, "attacks": {"a:b": [{"c": ' + text + "}]}}")
    with pytest.raises(RunRefused, match=r"audit\.json: .*; remove it to audit anew"):
        read_findings(folder)


def test_every_audit_of_fedchain_is_described_and_found_by_its_name():
    for name in ("canaries", "one-run", "membership", "inversion", "linkability"):
        assert find_audit(name).attack.__doc__
    with pytest.raises(ValueError, match="no audit called 'cannaries'; did you mean canaries"):
        find_audit("cannaries")

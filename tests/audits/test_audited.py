import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import make_audit, make_run

from fedchain.audits.statement import read_attacked
from fedchain.errors import RunRefused
from fedchain.files import LARGEST
from fedchain.reports.report import report
from fedchain.results.findings import read_findings

FIGURES = ("claimed_and_measured", "membership", "reconstructed_pictures", "linked_messages")
TABLES = ("canaries", "one_run", "membership", "inversion", "linkability")


@pytest.fixture(scope="module")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_audit(tmp_path_factory.mktemp("attacks"))


def test_the_page_of_a_run_shows_what_audits_found(tmp_path: Path) -> None:
    make_run(tmp_path)
    make_audit(tmp_path)
    written = {file.name for file in report([tmp_path])}
    assert {f"{name}.svg" for name in FIGURES} <= written
    assert {f"audit_{name}.csv" for name in TABLES} <= written
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Audits</h2>" in page
    assert "no evidence of privacy" in page
    assert page.count("cannot see an error smaller than the gap") == 2
    assert "that it fails proves no privacy" in page
    assert "does not hold" not in page
    assert page.count("<figcaption>Membership inference") == 1


def test_the_page_says_that_a_bound_above_the_claim_refutes_it(tmp_path: Path) -> None:
    make_run(tmp_path)
    make_audit(tmp_path, lower_bound=8.41)
    report([tmp_path], figures=(), tables=())
    warned = re.findall(r'<p class="warning">(The guarantee[^<]*)</p>', page_of(tmp_path))
    words = "epsilon 4 was claimed, and is at least 8.41 with 95% confidence"
    assert warned == [f"The guarantee does not hold: {words}."] * 3


def test_the_page_of_a_run_without_audits_has_no_word_of_them(tmp_path: Path) -> None:
    make_run(tmp_path)
    report([tmp_path], figures=(), tables=())
    assert "Audits" not in page_of(tmp_path)


def page_of(folder: Path) -> str:
    return (folder / "report.html").read_text()


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2}', '{"format": 1, "attacks": []}'])
def test_a_damaged_audit_is_refused_before_anything_is_written(tmp_path: Path, text: str) -> None:
    make_run(tmp_path)
    (tmp_path / "audit.json").write_text(text)
    with pytest.raises(RunRefused, match=r"audit\.json: .*"):
        report([tmp_path])
    assert not (tmp_path / "report.html").exists()
    assert not (tmp_path / "figures").exists()


def test_a_huge_audit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "audit.json").write_bytes(b" " * (LARGEST + 1))
    with pytest.raises(RunRefused, match=f"at most {LARGEST} are allowed"):
        read_findings(tmp_path)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, each in inside:
        found.append((*path, key))
        if isinstance(each, dict | list):
            found += places(each, (*path, key))
    return found


@given(st.data())
@settings(max_examples=80, deadline=None, derandomize=True)
def test_what_is_read_can_be_drawn_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, attacks: dict[str, Any], data: st.DataObject
) -> None:
    changed = json.loads(json.dumps(attacks))
    place = data.draw(st.sampled_from(places(changed)))
    wrong = data.draw(st.sampled_from([None, "text", [], {}, -1, 1.5, True, float("nan"), "gone"]))
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    if wrong == "gone":
        inner.pop(place[-1])
    else:
        inner[place[-1]] = wrong
    folder = tmp_path_factory.mktemp("changed")
    (folder / "audit.json").write_text(json.dumps({"format": 1, "attacks": changed}))
    with contextlib.suppress(RunRefused):
        read_attacked(folder)

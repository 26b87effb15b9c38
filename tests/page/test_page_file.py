"""Tests of a run's page in one file: whole, small, alone, and readable without scripts."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from page_runs import kind_of, records_of

from fedchain.page.frame import bundle
from fedchain.page.lines import line_of
from fedchain.page.single_file import BUDGET, records_element, replay
from fedchain.page.thinning import MOST_ROUNDS, MOST_SENT
from fedchain.results import Run

HOME = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page(run_folder):
    return replay(Run.open(run_folder))


class Parsed(HTMLParser):
    """Collects the scripts, the addresses, and the texts outside of scripts and styles."""

    def __init__(self, page):
        super().__init__()
        self.scripts, self.text, self.addresses, self._in = [], "", [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "style"):
            self._in.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._in.pop()

    def handle_data(self, data):
        if self._in and self._in[-1] == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = attributes, text + data
        elif not self._in:
            self.text += data + "\n"


def packed_in(page):
    (packed,) = [text for attributes, text in Parsed(page).scripts if "data-encoding" in attributes]
    lines = gzip.decompress(base64.b64decode(packed)).decode().split("\n")
    return [json.loads(line) for line in lines]


def test_the_file_has_all_records_and_then_the_blocks_from_the_first_on(page, run_folder):
    found = packed_in(page.html)
    bodies = kind_of(found, "body")
    assert [record for record in found if record["is"] != "body"] == records_of(run_folder)
    main = [header["hash"] for header in kind_of(found, "header") if header["main"]]
    assert [body["block"] for body in bodies] == main
    assert page.left_out == ""


def test_a_small_budget_leaves_out_the_last_blocks_and_says_so(page, run_folder):
    least = replay(Run.open(run_folder), budget=0)
    assert kind_of(packed_in(least.html), "body") == []
    assert least.left_out == "the messages of 8 of 8 blocks"
    assert least.left_out in Parsed(least.html).text
    between = (len(least.html) + len(page.html)) // 2
    some = replay(Run.open(run_folder), budget=between)
    assert 0 < len(kind_of(packed_in(some.html), "body")) < 8
    assert len(some.html.encode()) <= between


def test_the_same_run_gives_the_same_file(page, run_folder):
    assert replay(Run.open(run_folder)).html == page.html


def test_without_scripts_the_finding_and_the_numbers_are_there(page, run_folder):
    run, text = Run.open(run_folder), Parsed(page.html).text
    assert run.summary()["finding"] in text
    assert json.loads((run_folder / "privacy.json").read_text())["guarantee"][1:] in text
    for row in run.metrics:
        assert f"{row['accuracy']:.4g}" in text
        assert row["block"][:16] in text


def test_the_file_asks_for_nothing_and_runs_only_its_own_scripts(page):
    parsed = Parsed(page.html)
    assert all(address.startswith("data:") for address in parsed.addresses)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page.html)[1]
    assert "connect-src 'none'" in policy
    scripts = [text for attributes, text in parsed.scripts if not attributes]
    assert bundle().page in scripts
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    assert f"script-src {' '.join(f'{chr(39)}sha256-{h}{chr(39)}' for h in hashes)};" in policy


def test_points_are_drawn_only_where_a_run_has_clouds(page):
    assert bundle().points not in page.html


def test_a_hostile_record_cannot_end_its_element():
    record = {"p": 1, "is": "run", "name": "</script><script>alert(1)</script>"}
    element = records_element([line_of(record)], name='"><b>', run='"><i>')
    parsed = Parsed(element)
    ((attributes, text),) = parsed.scripts
    assert attributes["id"] == '"><b>'
    assert attributes["data-run"] == '"><i>'
    assert json.loads(gzip.decompress(base64.b64decode(text))) == record


def test_a_bundle_that_would_end_its_element_is_refused(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "alert('</SCRIPT>')")
    bundle.cache_clear()
    try:
        with pytest.raises(ValueError, match="would end its element"):
            bundle()
    finally:
        bundle.cache_clear()


def test_the_manual_names_the_limits_of_the_page():
    manual = (HOME / "docs" / "manual.md").read_text(encoding="utf-8")
    for limit in (
        f"more than {MOST_ROUNDS:,} rounds",
        f"more than {MOST_SENT} messages",
        f"below {BUDGET // 1000} kB",
    ):
        assert limit in manual

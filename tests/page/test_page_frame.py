"""The page as a whole, in Chromium: it reads, it moves, and it asks for nothing."""

from __future__ import annotations

import json
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from page_browser import WIDTHS, Visit, in_ci
from page_files import single_file

from fedchain.page.single_file import replay
from fedchain.results import Run

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SMALLEST = """() => [...document.querySelectorAll("body *")]
  .filter((it) => [...it.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .filter((it) => it.checkVisibility() && !["SCRIPT", "STYLE", "TITLE"].includes(it.nodeName))
  .filter((it) => parseFloat(getComputedStyle(it).fontSize) < 12)
  .map((it) => `${it.outerHTML.slice(0, 80)}: ${getComputedStyle(it).fontSize}`)"""
WIDER = "() => document.documentElement.scrollWidth - innerWidth"
VIOLATIONS = """async (rules) => (await axe.run(document, {resultTypes: ["violations"], rules}))
  .violations.map((it) => [it.id, it.nodes.map((node) => node.html.slice(0, 120))])"""


@pytest.mark.parametrize("width", WIDTHS)
def test_everyone_can_read_the_page_at_every_width(visit, records, width):
    page = visit(records, width)
    for summary in page.query_selector_all(".more summary"):
        summary.click()
    assert page.evaluate(SMALLEST) == [], "text is smaller than 12 pixels"
    assert page.evaluate(WIDER) == 0, "the page scrolls sideways"
    if not AXE.exists():
        assert not in_ci(), "axe-core is not installed: run npm ci in web/"
        pytest.skip("axe-core is not installed: npm ci in web/")
    # Not by a script element, which the page's policy forbids.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    # Of a block that a narrow box cuts off, axe sees half a text, and wants it in the name.
    whole = {"label-content-name-mismatch": {"enabled": width == max(WIDTHS)}}
    assert page.evaluate(VIOLATIONS, {**whole, "target-size": {"enabled": True}}) == []
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(VIOLATIONS, whole) == [], "in the dark"


def last(records, kind):
    return [record for record in records if record["is"] == kind][-1]


def test_the_first_screen_says_the_finding_the_score_and_epsilon(visit, records):
    page = visit(records)
    run = last(records, "run")
    assert page.inner_text(".finding .sentence") == run["finding"]
    header = page.inner_text(".top")
    assert run["name"] in header
    assert f"round {run['rounds']} of {run['rounds']}" in header
    assert f"ε\u00a0{last(records, 'round')['epsilon']:.2f} of 30" in header


def test_keys_move_through_rounds_and_steps_but_not_in_fields(visit, records):
    page = visit(records)
    told = partial(page.inner_text, ".timeline .step")
    page.keyboard.press("Home")
    assert told() == "round 1 · append"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowLeft")
    assert told() == "round 2 · work"
    page.focus("#panel-learning select")
    page.keyboard.press("End")
    assert told() == "round 2 · work"


def test_single_keys_can_be_switched_off(visit, records):
    page = visit(records)
    page.keyboard.press("?")
    page.get_by_label("single keys are on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("Home")
    assert page.inner_text(".timeline .step").startswith("round 8")


def test_the_address_holds_what_the_reader_has_chosen(visit, records):
    page = visit(records, at="#r=3&truth=0&panel=privacy")
    assert page.inner_text(".timeline .step").startswith("round 3")
    assert not page.is_checked("text=show who attacks")
    assert not page.is_visible("#panel-learning")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.hash === '#r=4&truth=0'")
    page.reload()
    assert page.inner_text(".timeline .step").startswith("round 4")


def test_without_truth_no_mark_tells_of_an_attack(visit, records):
    page = visit(records)
    assert page.locator(".mark.attack, .attack-span").count() > 0
    page.keyboard.press("t")
    assert page.locator(".mark.attack, .attack-span").count() == 0


def test_a_round_is_told_politely_once_the_reader_has_stopped(visit, records):
    page = visit(records)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "() => document.querySelector('[aria-live]').textContent.startsWith('Round 2 of 8')"
    )


def test_a_hostile_name_is_inert_text(visit, records):
    evil = "<img src=x onerror=window.hit=1>&lt;b&gt;"
    changed = [
        {**record, "name": evil, "description": evil, "finding": evil}
        if record["is"] == "run"
        else record
        for record in records
    ]
    page = visit(changed)
    assert page.inner_text("h1") == evil
    assert page.locator("#page img").count() == 0
    assert page.evaluate("() => window.hit") is None


def test_torn_and_unknown_records_are_counted_and_told(visit, records):
    page = visit([*records, {"p": 1, "is": "tomorrow"}, {"p": 2, "is": "round"}])
    assert "2 records of this run are torn or unknown" in page.inner_text(".finding")


def test_a_round_told_again_replaces_the_old_one_and_leaves_a_mark(visit, records):
    told = [record for record in records if record["is"] == "round"]
    quiet = next(
        record
        for before, record in pairwise(told)
        if record["reorganisations"] == before["reorganisations"]
        and sum(record["round"] == each["round"] for each in told) == 1
    )
    again = {**quiet, "block": "ab" * 32, "epsilon": 12.5}
    page = visit([*records, again], at=f"#r={quiet['round']}")
    assert "ε\u00a012.50" in page.inner_text(".top")
    marks = page.locator(".track .reorganised title").all_text_contents()
    assert f"round {quiet['round']}: the chain was reorganised" in marks


def test_the_table_of_the_curve_has_the_numbers_of_the_run(visit, records):
    page = visit(records)
    page.click("#panel-learning summary >> nth=0")
    page.wait_for_selector("#panel-learning tbody tr")
    rows = [row.inner_text().split("\t") for row in page.query_selector_all("#panel-learning tr")]
    told = {record["round"]: record for record in records if record["is"] == "round"}
    assert [int(row[0]) for row in rows[1:]] == sorted(told)
    for number, value, epsilon in rows[1:]:
        record = told[int(number)]
        score = record["metrics"][last(records, "run")["score"]]
        assert float(value) == pytest.approx(score, abs=6e-4)
        assert epsilon == f"{record['epsilon']:.2f}"


def test_a_sandboxed_frame_shows_the_page_without_history(chromium, records, tmp_path):
    frame = tmp_path / "notebook.html"
    inner = json.dumps(single_file(records)).replace("<", "\\u003c")
    frame.write_text(
        '<!doctype html><iframe sandbox="allow-scripts" width=1000 height=800></iframe>'
        f"<script>document.querySelector('iframe').srcdoc = {inner}</script>",
        encoding="utf-8",
    )
    visited = Visit(chromium)
    visited.page.goto(frame.as_uri())
    inside = visited.page.frame_locator("iframe")
    inside.locator("#panel-learning").click(position={"x": 5, "y": 5})
    visited.page.keyboard.press("Home")
    assert inside.locator(".timeline .step").inner_text() == "round 1 · append"
    visited.close()
    assert visited.complaints == []


def test_without_truth_the_finding_names_no_attacker(visit, records):
    page = visit(records)
    assert "attackers" in page.inner_text(".sentence")
    page.keyboard.press("t")
    page.wait_for_selector(".sentence:has-text('Round 8 of 8')")
    assert "attack" not in page.inner_text(".sentence")


def test_playing_goes_on_in_simulated_time_and_ends_with_the_run(visit, records):
    page = visit(records)
    for _ in range(4):
        page.keyboard.press("]")
    page.keyboard.press("Space")
    page.wait_for_selector(".step:has-text('round 1 ')")
    page.wait_for_selector(".step:has-text('round 8 · append')")
    page.wait_for_selector("[aria-label=play]")


def test_with_reduced_motion_playing_goes_from_step_to_step(visit, records):
    page = visit(records, reduced_motion="reduce")
    page.evaluate("""() => {
      const label = document.querySelector(".timeline .step");
      window.seen = [];
      const note = () => window.seen.push(label.textContent);
      new MutationObserver(note).observe(label, {characterData: true, subtree: true});
    }""")
    for _ in range(4):
        page.keyboard.press("]")
    page.keyboard.press("Space")
    page.wait_for_function("() => window.seen.includes('round 2 · release')")
    steps = ("release", "arrive", "select", "step", "work", "append")
    seen = page.evaluate("() => window.seen")
    assert seen[:7] == [*(f"round 1 · {step}" for step in steps), "round 2 · release"]


def test_another_run_of_the_file_is_laid_over_the_curve(visit, records, tmp_path):
    other = [
        {**record, "name": "other-run"} if record["is"] == "run" else record for record in records
    ]
    page = visit(records, more=[other])
    page.locator("#panel-learning select").last.select_option("other-run")
    page.wait_for_selector(".label.over:has-text('other-run')")
    over, own = page.query_selector_all(".curve")
    assert over.get_attribute("d") == own.get_attribute("d") != ""


def test_a_run_of_ten_thousand_rounds_opens(visit, records):
    first = next(record for record in records if record["is"] == "round")
    long = [
        {**first, "round": 1 + 5 * at, "block": f"{at:064x}", "time_s": float(at)}
        for at in range(2000)
    ]
    run = {**last(records, "run"), "rounds": 10_000}
    page = visit([run, *long, {"p": 1, "is": "end", "status": "finished"}])
    assert page.inner_text(".timeline .step").startswith("round 9996")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text(".timeline .step").startswith("round 9991")


def test_what_is_printed_has_its_tables_open_and_fits_the_paper(visit, records):
    page = visit(records)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 1000})
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".more details:not([open])").count() == 0
    assert page.locator("#panel-learning tbody tr").count() == 8
    assert not page.is_visible(".timeline")
    wide = "() => Math.max(...[...document.querySelectorAll('svg')].map((it) => it.clientWidth))"
    assert page.evaluate(wide) <= 688
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    page.wait_for_function("() => !document.querySelector('.more details[open]')")


def test_without_scripts_a_page_has_its_finding_and_tables(chromium, run_folder, records, tmp_path):
    file = tmp_path / "replay.html"
    file.write_text(replay(Run.open(run_folder)).html, encoding="utf-8")
    opened = Visit(chromium, java_script_enabled=False)
    opened.page.goto(file.as_uri())
    words = opened.page.inner_text("body")
    tables = opened.page.locator("table").count()
    opened.close()
    assert last(records, "run")["finding"] in words
    assert tables >= 3
    assert opened.complaints == []

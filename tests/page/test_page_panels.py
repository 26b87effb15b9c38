"""Compass, network, masks and points, in Chromium: their numbers are the run's, and they move."""

from __future__ import annotations

import base64
import csv
import re

import numpy as np
import pytest

RANKING = """() => [...document.querySelectorAll(".ranking tbody tr:not(.cut, .late)")]
  .map((row) => [row.querySelector("th").innerText.trim(), row.cells[3].innerText,
    row.lastElementChild.innerText])"""
DRAG = """([selector, x, y]) => {
  const handle = document.querySelector(selector);
  handle.setPointerCapture = () => {};
  handle.hasPointerCapture = () => true;
  const area = handle.ownerSVGElement.getBoundingClientRect();
  handle.dispatchEvent(new PointerEvent("pointermove", {
    bubbles: true, clientX: area.left + x * area.width, clientY: area.top + y * area.height }));
}"""
COLOURED = """(canvas) => {
  const copy = Object.assign(document.createElement("canvas"), {width: 99, height: 99});
  const drawing = copy.getContext("2d");
  drawing.drawImage(canvas, 0, 0, 99, 99);
  return drawing.getImageData(0, 0, 99, 99).data.filter((value) => value > 0).length;
}"""
NO_WEBGL = "HTMLCanvasElement.prototype.getContext = () => null"


def rows_of(run_folder, round_, late="False"):
    with (run_folder / "messages.csv").open() as file:
        told = [row for row in csv.DictReader(file) if int(row["round"]) == round_]
    return [row for row in told if row["late"] == late]


def three(cosine):
    text = f"{abs(float(cosine)):.3f}".removeprefix("0")
    return text if float(cosine) >= 0 or text == ".000" else f"−{text}"


@pytest.mark.parametrize("round_", [2, 8])
def test_numbers_of_the_compass_are_those_of_messages_csv(visit, records, run_folder, round_):
    page = visit(records, at=f"#r={round_}")
    told = rows_of(run_folder, round_)
    wanted = [
        (
            f"h{row['holder']}",
            three(row["cosine"]),
            row["used"] == "True",
            row["attack"].replace("_", " "),
        )
        for row in sorted(told, key=lambda row: (-float(row["cosine"]), row["id"]))
    ]
    found = [
        (holder, cosine, fate.startswith("used"), fate.partition(", ")[2])
        for holder, cosine, fate in page.evaluate(RANKING)
    ]
    assert found == wanted
    late = page.locator("#panel-compass .ranking .late th").all_inner_texts()
    assert late == [f"h{row['holder']}" for row in rows_of(run_folder, round_, late="True")]
    used, of = sum(row["used"] == "True" for row in told), len(told)
    assert f"uses {used} of the {of} messages" in page.inner_text("#panel-compass")


def test_another_cut_is_said_to_be_the_readers_and_leads_back(visit, records):
    page = visit(records, at="#r=8")
    used = lambda: sum(fate.startswith("used") for *_, fate in page.evaluate(RANKING))  # noqa: E731
    page.focus("#panel-compass input[type=range]")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert used() == 4
    assert "If it kept 4 of 10" in page.inner_text("#panel-compass")
    page.wait_for_url(re.compile("keep=4"))
    page.click("text=the chain kept 7 · back")
    assert used() == 7
    page.wait_for_url(re.compile("^(?!.*keep=)"))


@pytest.mark.parametrize("picture", ["wheel", "strip"])
def test_the_cut_is_dragged_on_the_wheel_and_on_the_strip(visit, records, picture):
    page = visit(records, at="#r=8")
    far = (0.5, 0.99) if picture == "wheel" else (0.01, 0.5)
    page.evaluate(DRAG, [f".{picture} .handle", *far])
    page.wait_for_selector("#panel-compass .back")
    assert page.inner_text("#panel-compass .range output") == "10 of 10"


def test_without_truth_no_panel_tells_who_sent_or_who_attacks(visit, records):
    page = visit(records, at="#r=8&truth=0")
    text = page.inner_text("#panel-compass") + page.inner_text("#panel-network")
    assert not re.search(r"\bh\d|attack|flip|honest", text.replace("show who attacks", ""))
    assert page.locator("#panel-compass .attacks, #panel-network .attacks").count() == 0


def test_the_network_says_how_trips_are_recorded_where_there_are_none(visit, records):
    page = visit([each for each in records if each["is"] != "trip"], at="#r=8")
    assert "run the scenario again with --set trace=true --force" in page.inner_text(
        "#panel-network"
    )


def test_the_network_shows_a_message_on_its_way_and_who_refused_it(visit, records):
    times = {each["round"]: each["time_s"] for each in records if each["is"] == "round"}
    start = times[8] - 1.0
    trip = {"p": 1, "is": "trip", "round": 8, "id": "ab", "what": "message", "sender": "h3"}
    trip |= {"left_s": start, "arrivals": [["c0", start + 0.5], ["c1", start + 1.0]]}
    refusal = {"p": 1, "is": "refusal", "round": 8, "node": 1, "time_s": start, "what": "message"}
    refusal |= {"id": "ab", "maker": None, "reason": "<b>signature</b>"}
    others = [each for each in records if each["is"] not in ("trip", "refusal")]
    page = visit([*others, trip, refusal], at="#r=8")
    assert page.locator("#panel-network .flash.refused").count() == 1
    assert "c1 refused message ab" in page.inner_text("#panel-network")
    assert "<b>signature</b>" in page.inner_text("#panel-network")
    moment = round(200 * (start + 0.6 - times[7]) / (times[8] - times[7]))
    page.evaluate(
        """(value) => { const range = document.querySelector("#panel-network input[type=range]");
          range.value = value; range.dispatchEvent(new Event("input", {bubbles: true})); }""",
        moment,
    )
    page.wait_for_selector("#panel-network svg[role=img] .flying")
    assert page.locator("#panel-network svg[role=img] .flying").count() == 1  # on its way to c1


def packed(flags):
    return base64.b64encode(np.packbits(flags).tobytes()).decode()


@pytest.fixture(scope="module")
def scans(records):
    """Return the run's records with a scan of 4 x 4 pixels: its picture, mask and cloud."""
    truth = np.arange(16) % 4 < 2
    kept, valid = truth.copy(), np.ones(16, dtype=bool)
    kept[[0, 2, 3]] = [False, True, True]
    points = np.stack([np.arange(16) % 4, np.arange(16) // 4, np.zeros(16)], axis=1) * 100
    same = {"p": 1, "scan": 0, "truth": packed(truth), "kept": packed(kept)}
    sizes = {"height": 4, "width": 4}
    grey = base64.b64encode(bytes(range(16))).decode()
    cloud = base64.b64encode(points.astype("<i2").tobytes()).decode()
    return [
        *(each for each in records if each["is"] not in ("mask", "picture", "cloud")),
        {"p": 1, "is": "picture", "scan": 0, "intensity": grey, "valid": packed(valid), **sizes},
        {"is": "mask", "round": 4, **same, **sizes},
        {"is": "cloud", "round": 8, "points": cloud, "scale_m": 1e-3, "every": 1, **same},
    ]


def test_masks_show_the_last_mask_and_a_wipe_that_keys_move_by_five_per_cent(visit, scans):
    page = visit(scans, at="#r=8")
    text = page.inner_text("#panel-masks")
    assert "After round 4, the model keeps 9 of the 16 points" in text
    assert "IoU .700." in text  # 7 kept by both, 8 + 9 - 7 by either
    page.focus("#panel-masks input[type=range]")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#panel-masks .range output") == "55 %"
    assert float(page.get_attribute("#masks-right rect", "x")) == pytest.approx(2.2)


def test_points_are_drawn_by_webgl_and_without_it_as_three_projections(visit, scans):
    page = visit(scans, at="#r=8")
    if page.locator("#panel-points canvas").count():
        for canvas in page.query_selector_all("#panel-points canvas"):
            assert canvas.evaluate(COLOURED) > 0, "the canvas is blank"
    page.add_init_script(NO_WEBGL)
    page.reload()
    page.wait_for_selector("#panel-points figure figure")
    assert page.locator("#panel-points canvas").count() == 0
    assert page.locator("#panel-points figure figure svg").count() == 6
    assert "has left 2 of the 8 outliers among the 16 points" in page.inner_text("#panel-points")

"""Lessons in Chromium: each is finished by keyboard alone, and the sheets print as promised."""

from __future__ import annotations

import re

import pytest
from page_browser import Visit, in_ci
from test_page_frame import AXE, SMALLEST, VIOLATIONS, WIDER

from fedchain.page.lessons.catalogue import LESSONS
from fedchain.page.lessons.handouts import handouts

MOST_TABS = 60
"""Tab stops from one control of a lesson to the next, at most."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("class")
    for name, text in handouts().items():
        (place / name).write_text(text, encoding="utf-8")
    return place


@pytest.fixture
def opened(chromium, folder):
    """Return a function that opens a file of the class, and notes what it must not do."""
    visits = []

    def visited(name, at="", **more):
        visits.append(Visit(chromium, **more))
        visits[-1].page.goto((folder / name).as_uri() + at)
        return visits[-1].page

    yield visited
    for each in visits:
        each.close()
    assert [word for each in visits for word in each.complaints] == []


def tab_to(page, role, words=""):
    """Press Tab until a control has the focus, as a reader without a mouse does."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        found = page.evaluate(
            """([role, words]) => {
                const at = document.activeElement;
                const kind = at.getAttribute("role") || at.type || at.tagName;
                const name = at.ariaLabel ?? at.innerText;
                return kind.toLowerCase() === role && name.includes(words);
            }""",
            [role, words],
        )
        if found:
            return
    raise AssertionError(f"no Tab leads to {role} {words!r}")


def predict(page, number):
    """Say something in a lesson, by keys."""
    if number in (5, 6):
        tab_to(page, "radio")
        page.keyboard.press("Space")
    elif number == 7:
        tab_to(page, "application")
        for key in ("ArrowRight", "ArrowUp", "+", "Enter"):
            page.keyboard.press(key)
    else:
        tab_to(page, "range")
        page.keyboard.press("ArrowRight")


def manipulate(page, number):
    """Try the one thing that a lesson lets its reader try, by keys."""
    if number == 1:
        tab_to(page, "submit", "")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
    elif number == 3:
        tab_to(page, "submit", "Reveal")
        page.keyboard.press("Enter")
    elif number == 6:
        tab_to(page, "submit", "change one bit")
        page.keyboard.press("Enter")
    elif number == 7:
        tab_to(page, "radio")
        page.keyboard.press("ArrowDown")
    else:
        tab_to(page, "range")
        page.keyboard.press("ArrowRight")


def finish(page, number):
    predict(page, number)
    tab_to(page, "submit", "Lock my prediction")
    assert page.locator(".answer").count() == 0
    page.keyboard.press("Enter")
    page.locator("#try:focus").wait_for()
    manipulate(page, number)
    tab_to(page, "submit", "Show the answer")
    page.keyboard.press("Enter")
    page.locator("#answer:focus").wait_for()
    for question in range(2):
        tab_to(page, "radio")
        page.keyboard.press("Space")
        page.locator(".verdict:not(:empty)").nth(question).wait_for()


def check_reading(page):
    """Check that everybody can read what is on the page now."""
    assert page.evaluate(SMALLEST) == [], "text is smaller than 12 pixels"
    assert page.evaluate(WIDER) <= 0, "the page scrolls sideways"
    if not AXE.exists():
        assert not in_ci(), "axe-core is not installed: run npm ci in web/"
        return
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(VIOLATIONS, {}) == []


@pytest.mark.parametrize("width", [390, pytest.param(1440, marks=pytest.mark.long)])
def test_every_lesson_is_finished_by_keyboard_alone(opened, width):
    page = opened("lessons.html", width=width, scheme="light" if width == 390 else "dark")
    for lesson in LESSONS:
        finish(page, lesson.number)
        check_reading(page)
        if lesson is not LESSONS[-1]:
            tab_to(page, "a", "Next")
            page.keyboard.press("Enter")
            page.locator("h2:focus").wait_for()
    page.locator(".places .done").nth(len(LESSONS) - 1).wait_for()


def test_a_prediction_cannot_be_changed_after_it_is_locked(opened):
    page = opened("lessons.html")
    slider = page.get_by_role("slider")
    slider.fill("12")
    page.get_by_role("button", name="Lock my prediction").click()
    page.locator(".step fieldset[disabled]").wait_for(state="attached")
    assert slider.first.is_disabled()
    assert "12 bits" in page.locator(".locked").inner_text()


def test_mining_all_blocks_again_repairs_every_hash_and_neither_model_nor_messages(opened):
    page = opened("lessons.html", "#lesson=6")
    page.get_by_role("radio").first.check()
    page.get_by_role("button", name="Lock my prediction").click()
    page.get_by_role("button", name="change one bit").click()
    page.get_by_role("button", name="mine all").click()
    page.get_by_text("Mined with").wait_for()
    wrong = [each.inner_text().split()[1] for each in page.locator(".chain .wrong").all()]
    assert wrong == ["model", "messages", "messages", "messages"]


def test_without_javascript_the_lessons_are_read(opened):
    page = opened("lessons.html", java_script_enabled=False)
    assert page.locator("h2").count() == len(LESSONS)
    assert page.locator("details").count() == len(LESSONS)


def test_the_worksheet_prints_on_four_pages_and_a_slide_on_each(opened):
    for name, pages in (("worksheet.html", 4), ("slides.html", len(LESSONS))):
        pdf = opened(name).pdf(prefer_css_page_size=True)
        assert len(re.findall(rb"/Type\s*/Page[^s]", pdf)) == pages
        assert re.search(rb"/MediaBox \[0 0 59[45][.\d]* 84[12]", pdf)  # A4

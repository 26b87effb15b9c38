"""Draws what students try in each lesson, as pictures for docs/teaching.md.

    python benchmarks/lesson_pictures.py OUT

Plays every lesson in Chromium, without a network, and writes OUT/lesson_N.png. Needs Chromium and
the package playwright.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from fedchain.page.lessons import LESSONS
from fedchain.page.lessons.handouts import handouts

WIDTH = 820
"""Width of the window, in pixels."""


def main() -> None:
    """Write the pictures into the folder OUT."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    file = out / "lessons.html"
    file.write_text(handouts()["lessons.html"], encoding="utf-8")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": 1800}, color_scheme="light")
        for lesson in LESSONS:
            page.goto(f"{file.absolute().as_uri()}#lesson={lesson.number}")
            page.reload()
            page.locator(".lesson").wait_for()
            predict(page, lesson.number)
            page.get_by_role("button", name="Lock my prediction").click()
            page.locator("#try").wait_for()
            play(page, lesson.number)
            page.get_by_role("button", name="Show the answer").click()
            page.locator("#answer").wait_for()
            tried = page.locator("section.step").nth(1)
            tried.screenshot(path=str(out / f"lesson_{lesson.number}.png"))
        browser.close()


def predict(page: Any, number: int) -> None:
    """Say something in a lesson."""
    if number in (5, 6):
        page.get_by_role("radio").last.check()
    elif number == 7:
        page.get_by_role("radio", name="top").check()
        page.locator(".surface").focus()
        for key in (*["ArrowDown"] * 11, *["ArrowRight"] * 11, *"+++++", "Enter"):
            page.keyboard.press(key)
    else:
        guesses = {1: ("64",), 2: ("0.4",), 3: ("-20",), 4: ("0.2", "0.35", "0.5", "0.6")}
        for place, guess in enumerate(guesses[number]):
            page.get_by_role("slider").nth(place).fill(guess)


def play(page: Any, number: int) -> None:
    """Try what a lesson lets its reader try."""
    sliders = page.get_by_role("slider")
    if number == 1:
        page.locator(".bytes button").nth(25).click()
    elif number == 2:
        sliders.nth(1).fill("4")
    elif number == 3:
        for _ in range(4):
            page.locator("button", has_text="Reveal").click()
    elif number == 5:
        sliders.first.fill("14")
    elif number == 6:
        page.get_by_role("button", name="change one bit").click()
        page.get_by_role("button", name="mine all").click()
        page.get_by_text("Mined with").wait_for()


if __name__ == "__main__":
    main()

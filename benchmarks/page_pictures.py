"""Draws every panel of the page, as pictures for docs/page.md.

    python benchmarks/page_pictures.py OUT

Runs first_light, opens its page in Chromium without a network, and writes OUT/page.png and
OUT/page_PANEL.png. Needs Chromium and the package playwright.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

import fedchain
from fedchain.page.single_file import replay
from fedchain.scenario import load, parse_overrides

PANELS = {
    "network": "r=22",
    "compass": "r=22",
    "learning": "r=40",
    "privacy": "r=40",
    "masks": "r=40",
    "points": "r=40",
    "ledger": "r=1",
}
"""What the page shows of the run when a panel is drawn, as in its address."""
HIDDEN = ".top, .timeline { visibility: hidden }"
"""Styles without the bars that stay in the window."""
WIDTH, HEIGHT = 1440, 900
"""Size of the window in pixels."""


def main() -> None:
    """Write the pictures into the folder OUT."""
    out = Path(sys.argv[1])
    run = fedchain.run(load("first_light", set=parse_overrides(["trace=true"])), out / "runs")
    file = out / "page.html"
    file.write_text(replay(run).html, encoding="utf-8")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        size = {"width": WIDTH, "height": HEIGHT}
        page = browser.new_page(viewport=size, color_scheme="light")
        for panel, place in PANELS.items():
            page.goto(f"{file.absolute().as_uri()}#{place}")
            page.reload()
            play(page, panel)
            page.add_style_tag(content=HIDDEN)
            page.locator(f"#panel-{panel}").screenshot(path=str(out / f"page_{panel}.png"))
        page.goto(f"{file.absolute().as_uri()}#r=40")
        page.reload()
        page.get_by_text("chain checked here").wait_for()
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=str(out / "page.png"))
        browser.close()


def play(page: Any, panel: str) -> None:
    """Try what a panel lets its reader try."""
    page.get_by_text("chain checked here").wait_for()
    if panel == "network":
        page.get_by_role("slider", name="moment of the round").fill("150")
    elif panel == "ledger":
        page.get_by_role("button", name="change one bit of the model").click()
        page.get_by_role("button", name="mine it again").click()
        page.get_by_text("tries").first.wait_for()


if __name__ == "__main__":
    main()

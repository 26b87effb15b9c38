"""The static report in a browser: light, dark, narrow and on paper."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from page_browser import Visit

from fedchain.reports.report import report


@pytest.fixture(scope="module")
def written(run_folder, tmp_path_factory) -> Path:
    """Return the report of a run with attackers and reorganisations."""
    folder = tmp_path_factory.mktemp("report") / "run"
    shutil.copytree(run_folder, folder)
    report([folder], figures=(), tables=())
    return folder / "report.html"


def opened(chromium: Any, file: Path, width: int, scheme: str) -> Any:
    return Visit(chromium, width, scheme).goto(file.as_uri())


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_the_report_is_never_wider_than_the_window(chromium, written, width):
    page = opened(chromium, written, width, "light")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_take_ground_and_ink_of_the_report_and_their_text_can_be_selected(
    chromium, written, scheme
):
    page = opened(chromium, written, 1440, scheme)
    told = page.evaluate(
        """() => {
        const style = (e) => getComputedStyle(e);
        const svgs = [...document.querySelectorAll("figure svg")];
        getSelection().selectAllChildren(document.querySelector("figure svg"));
        return {
            ink: style(document.body).color,
            inks: [...new Set(svgs.flatMap((s) => [...s.querySelectorAll("text")])
                .map((t) => style(t).fill))],
            grounds: [...new Set(svgs.map((s) => style(s).backgroundColor))],
            selected: getSelection().toString(),
        };
    }"""
    )
    assert told["ink"] in told["inks"]
    assert told["grounds"] == ["rgba(0, 0, 0, 0)"]
    assert "round" in told["selected"]
    page.context.close()


def test_no_figure_is_split_on_paper(chromium, written):
    page = opened(chromium, written, 1440, "dark")
    page.emulate_media(media="print")
    breaks = page.evaluate(
        """[...document.querySelectorAll("figure")].map((f) => getComputedStyle(f).breakInside)"""
    )
    assert set(breaks) == {"avoid"}
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"  # although the reader's page is dark
    pages = len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))
    assert pages <= 7
    page.context.close()

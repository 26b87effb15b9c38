"""Chromium and a run for the tests of the page: one browser and one run for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from page_browser import CHROMIUM, Visit, in_ci
from page_files import single_file
from small_runs import forking

import fedchain
from fedchain.page.records import page_records
from fedchain.results import Run

Open = Callable[..., Any]
Records = Sequence[dict[str, Any]]
ARGUMENTS = ("--no-sandbox", "--enable-unsafe-swiftshader")
"""Chromium runs as root in containers, and draws WebGL without a graphics card."""


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    """Return the folder of a finished run with attackers, stale blocks and reorganisations."""
    return fedchain.run(forking(8), out=tmp_path_factory.mktemp("runs")).folder


@pytest.fixture(scope="session")
def records(run_folder) -> list[dict[str, Any]]:
    """Return the page records of the run."""
    return list(page_records(Run.open(run_folder)))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Start the Chromium of the system, without a download."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    if in_ci():
        from playwright import sync_api as playwright
    else:
        playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, tmp_path) -> Iterator[Open]:
    """Return a function that opens a single file of records, at a width and in a colour scheme.

    ``at`` is the hash of its address, ``more`` are the records of other runs in the file, and the
    rest belongs to the browser's context.

    After the test, the page must have written no error and asked for nothing off the machine.
    """
    opened: list[Visit] = []

    def visited(
        records: Records,
        width: int = 1440,
        scheme: str = "light",
        at: str = "",
        more: Sequence[Records] = (),
        **context: Any,
    ) -> Any:
        file = tmp_path / f"page{len(opened)}.html"
        file.write_text(single_file(records, *more), encoding="utf-8")
        opened.append(Visit(chromium, width, scheme, **context))
        return opened[-1].goto(file.as_uri() + at)

    yield visited
    for each in opened:
        each.close()
    assert [word for each in opened for word in each.complaints] == []

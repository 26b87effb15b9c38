"""The page of a stream: lost, reloaded or served, it ends as the page of a file does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from page_browser import Visit
from page_files import single_file

from fedchain.page.lines import line_of
from fedchain.page.runs import Runs
from fedchain.page.server import PageServer, run_path

ADDRESS = "http://localhost/run/made/"


def stream(records: Sequence[dict[str, Any]], first: int = 1) -> str:
    """Return records as server-sent events, numbered from ``first``."""
    numbered = enumerate(records, first)
    return "".join(f"id: {number}\ndata: {line_of(record)}\n\n" for number, record in numbered)


class Answers:
    """Answers each request for the events of a page in its turn; None is a lost connection.

    Where no answer is left, the last one is given again.
    """

    def __init__(self, visit: Visit, answers: list[str | None]) -> None:
        self.asked: list[str | None] = []
        self._answers = answers
        html = single_file(metas={"fedchain-source": "events"})
        visit.context.route(
            ADDRESS, lambda route: route.fulfill(body=html, content_type="text/html")
        )
        visit.context.route(f"{ADDRESS}events", self._answer)

    def _answer(self, route: Any) -> None:
        self.asked.append(route.request.headers.get("last-event-id"))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            route.abort()
        else:
            route.fulfill(body=answer, content_type="text/event-stream")


@pytest.fixture
def visited(chromium):
    opened = Visit(chromium)
    yield opened
    opened.close()


def seen(page: Any) -> list[str]:
    """Return what the first screen says, once the page has checked the chain."""
    page.wait_for_selector(".badge:not(.running)")
    return [page.inner_text(part) for part in (".top .facts", ".finding", ".timeline .step")]


def ended(page: Any, records: Sequence[dict[str, Any]]) -> None:
    finding = next(record["finding"] for record in records if record["is"] == "run")
    page.wait_for_function("words => document.body.innerText.includes(words)", arg=finding)


def after_round(records: list[dict[str, Any]], number: int) -> int:
    """Return the number of records up to the first telling of a round."""
    told = [record["round"] if record["is"] == "round" else 0 for record in records]
    return told.index(number) + 1


def test_a_lost_stream_is_told_and_goes_on_where_it_was_lost(visit, visited, records):
    cut = after_round(records, 4)
    rest = stream(records[cut:], cut + 1)
    answers = Answers(visited, [stream(records[:cut]), None, rest])
    page = visited.goto(ADDRESS)
    page.wait_for_selector("text=The connection is lost; the run goes on; trying again.")
    assert page.inner_text(".timeline .step").startswith("round 4 ")
    ended(page, records)
    assert answers.asked == [None, str(cut), str(cut)]
    assert seen(page) == seen(visit(records))


def test_a_page_that_is_reloaded_in_mid_run_ends_as_one_that_is_not(visit, visited, records):
    cut = after_round(records, 4)
    Answers(visited, [stream(records[:cut]), stream(records)])
    page = visited.goto(ADDRESS)
    page.wait_for_selector(".step:has-text('round 4 ')")
    page.reload()
    ended(page, records)
    assert seen(page) == seen(visit(records))


def test_a_reader_who_chose_a_round_is_not_taken_to_new_ones(visited, records):
    cut = after_round(records, 4)
    Answers(visited, [stream(records[:cut]), stream(records[cut:], cut + 1)])
    page = visited.goto(ADDRESS)
    page.wait_for_selector(".timeline .step")
    page.keyboard.press("Home")
    ended(page, records)
    assert page.inner_text(".timeline .step").startswith("round 1 ")


def test_an_address_with_a_round_leads_there_also_where_the_round_is_told_later(visited, records):
    cut = after_round(records, 3)
    Answers(visited, [stream(records[:cut]), stream(records[cut:], cut + 1)])
    page = visited.goto(f"{ADDRESS}#r=5")
    ended(page, records)
    page.wait_for_function(
        "() => document.querySelector('.timeline .step').innerText.startsWith('round 5 ')"
    )
    page.wait_for_function("() => location.hash.includes('r=5')")


def test_a_page_goes_on_when_an_interrupted_run_is_resumed(visited, records):
    cut = after_round(records, 4)
    run = next(record for record in records if record["is"] == "run")
    killed = [*records[:cut], {"p": 1, "is": "end", "status": "interrupted"}]
    resumed = [{**run, "status": "running"}, *records[cut:]]
    Answers(visited, [stream(killed), stream(resumed, len(killed) + 1)])
    page = visited.goto(ADDRESS)
    page.wait_for_function(
        "() => document.querySelector('.top .facts').innerText.startsWith('finished')"
    )
    assert "round 8 of 8" in page.inner_text(".top .facts")


def test_a_served_run_is_the_page_of_its_file(visit, chromium, records, run_folder):
    server = PageServer(Runs(run_folder.parent))
    served = Visit(chromium)
    try:
        page = served.goto(server.address.rstrip("/") + run_path(run_folder.name))
        ended(page, records)
        assert seen(page) == seen(visit(records))
        page.click("text=all runs")
        assert page.url == server.address
        assert served.complaints == []
    finally:
        served.close()
        server.close()

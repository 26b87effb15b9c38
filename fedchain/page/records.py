"""Records: a run folder as a stream of page records."""

from __future__ import annotations

from collections.abc import Iterator

from fedchain.page.chunks import Chunk, ChunkReader
from fedchain.page.ledger import LedgerView
from fedchain.page.lines import PageRecord, page_record
from fedchain.page.network import network_records
from fedchain.page.run_record import run_record, scenario_of
from fedchain.page.thinning import Event, Thinning, thinned
from fedchain.results import EVENTS, LEDGER, Run


def page_records(run: Run) -> Iterator[PageRecord]:
    """Yield all page records of a run that has ended, or as far as it got.

    Raises:
        RunError: the folder has no ledger, or cannot be read.
        LedgerError: the ledger is damaged.
    """
    view = LedgerView(run.folder / LEDGER, thinning_of(run))
    try:
        yield from opening(run, view)
        lost = 0
        for chunk in ChunkReader(run.folder / EVENTS).chunks(last=True):
            lost += chunk.lost
            yield from told(chunk, view)
        yield from view.headers()
        if lost:
            yield page_record("lost", count=lost)
        yield page_record("end", status=run.manifest["status"])
    finally:
        view.close()


def thinning_of(run: Run) -> Thinning:
    """Return which rounds of a run the page shows."""
    return Thinning(run.manifest["rounds"], _asked(run))


def opening(run: Run, view: LedgerView) -> Iterator[PageRecord]:
    """Yield the records that come first: the run, genesis, and the network."""
    yield run_record(run, view.rules)
    yield view.genesis()
    if (scenario := scenario_of(run)) is not None:
        yield from network_records(scenario)


def told(chunk: Chunk, view: LedgerView) -> Iterator[PageRecord]:
    """Yield the records of a chunk of events: its events, then headers and cosines of its block."""
    thinning = view.thinning
    mixed = [event for event in chunk.events if event["event"] != "message"]
    sent = [event for event in chunk.events if event["event"] == "message"]
    yield from map(_told, mixed)
    if chunk.round is None:
        yield from map(_told, thinned(sent))
        return
    number, block = chunk.round["round"], bytes.fromhex(chunk.round["block"])
    shown = thinned(sent) if thinning.shows_messages(number) else []
    yield from map(_told, shown)
    if thinning.shows(number):
        fewer = {"thinned": True} if len(shown) < len(sent) else {}
        yield _told(chunk.round) | fewer
    yield from view.headers(block)
    if shown and (gram := view.gram(block)) is not None:
        yield gram


def _told(event: Event) -> PageRecord:
    fields = {key: value for key, value in event.items() if key != "event"}
    return page_record(event["event"], **fields)


def _asked(run: Run) -> int:
    nodes = run.manifest["scenario"].get("nodes", {})
    return int(nodes.get("cohort") or nodes.get("holders") or 0)

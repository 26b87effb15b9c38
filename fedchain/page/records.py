"""Records: a run folder as a stream of page records, finished or still growing."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator

from fedchain.errors import FedchainError
from fedchain.page.chunks import Chunk, ChunkReader
from fedchain.page.ledger import LedgerView
from fedchain.page.lines import PageRecord, page_record
from fedchain.page.network import network_records
from fedchain.page.pictures import ScanPictures, pictures_of
from fedchain.page.run_record import run_record, scenario_of
from fedchain.page.thinning import EventFields, Thinning, thinned
from fedchain.page.trips import Trips
from fedchain.results import EVENTS, LEDGER, Run
from fedchain.results.statuses import INTERRUPTED, current_status
from fedchain.results.travel import TRAVEL
from fedchain.transition import model_of

Told = tuple[PageRecord, int | None]
"""A page record, and the number of bytes of the events of which the reader now has all records;
None if this has not changed, so that the record is told again after an interruption."""
PAUSE_S = 0.25
"""Real seconds between two looks at a run that goes on."""
QUIET_S = 5.0
"""Real seconds without a new event after which a look tells whether the run was killed."""
RESUMED_S = 1.0
"""Real seconds between two looks at whether an interrupted run was resumed."""


def page_records(run: Run) -> Iterator[PageRecord]:
    """Yield all page records of a run, as far as it got.

    Raises:
        RunError: the folder has no ledger, or cannot be read.
        LedgerError: the ledger is damaged.
    """
    with contextlib.closing(Feed(run)) as feed:
        yield from (told[0] for told in feed.records() if told is not None)


class Feed:
    """Reads one run folder, once."""

    def __init__(self, run: Run, pictures: Callable[[], ScanPictures | None] | None = None) -> None:
        """Open the ledger.

        Args:
            run: the run.
            pictures: makes the run's pictures; None: they are made from its scenario.

        Raises:
            RunError: the folder has no ledger, or cannot be read.
            LedgerError: the ledger is damaged.
        """
        nodes = run.manifest["scenario"].get("nodes", {})
        asked = int(nodes.get("cohort") or nodes.get("holders") or 0)
        self._run, self._thinning = run, Thinning(run.manifest["rounds"], asked)
        self.view = LedgerView(run.folder / LEDGER, self._thinning)
        """The run's ledger."""
        self._events = ChunkReader(run.folder / EVENTS)
        self._trips = Trips(run.folder / TRAVEL, self._thinning)
        self._make_pictures = pictures or (lambda: saved_pictures(run))
        self._pictures: ScanPictures | None = None
        self._rounds: dict[int, bytes] = {}
        self._unmasked: dict[int, bytes] = {}
        self._no_gram: list[bytes] = []
        self._lost = 0
        self._goes_on = False

    def close(self) -> None:
        """Close the ledger."""
        self.view.close()

    def records(self, after: int = 0, follow: bool = False) -> Iterator[Told | None]:
        """Yield all records, in an order in which each one can be shown at once.

        None is yielded before every wait: what was yielded before should be shown now.

        Args:
            after: number of bytes of the events that the reader has already: records that belong to
                these alone are left out.
            follow: whether to wait for a run that goes on.
        """
        yield from ((record, None) for record in self._opening())
        status, heard = current_status(self._run.folder), time.monotonic()
        while True:
            goes_on = self._goes_on = follow and status == "running"
            if not goes_on:
                self.view.refresh()
            for chunk in self._events.chunks(last=not goes_on):
                heard = time.monotonic()
                yield from self._tell(chunk, after)
            if not goes_on and self._rounds and not self._thinning.shows_masks(max(self._rounds)):
                self._unmasked[max(self._rounds)] = self._rounds[max(self._rounds)]
            yield None  # what follows may have to simulate scans first
            yield from ((record, None) for record in self._masks())
            if not goes_on:
                break
            yield None
            time.sleep(PAUSE_S)
            status = Run(self._run.folder).manifest["status"]
            if status == "running" and time.monotonic() - heard > QUIET_S:
                status, heard = current_status(self._run.folder), time.monotonic()
        yield from ((record, None) for record in self._closing(status))
        while follow and status == INTERRUPTED:  # a reader reads anew once the run is resumed
            yield None
            time.sleep(RESUMED_S)
            status = current_status(self._run.folder)

    def _opening(self) -> Iterator[PageRecord]:
        yield run_record(self._run, self.view.rules)
        yield self.view.genesis()
        if (scenario := scenario_of(self._run)) is not None:
            yield from network_records(scenario)

    def _closing(self, status: str) -> Iterator[PageRecord]:
        """Yield what is known once a run has ended."""
        run = Run(self._run.folder, self._run.given)
        yield run_record(run, self.view.rules) | {"status": status}
        yield from self.view.headers()
        yield from self._grams()
        yield from self._trips.up_to(math.inf)
        if self._rounds and self._pictures is not None:
            last = max(self._rounds)
            if (state := self.view.state(self._rounds[last])) is not None:
                yield from self._pictures.clouds(last, model_of(state))
        if lost := self._lost + self._trips.lost:
            yield page_record("lost", count=lost)
        yield page_record("end", status=status)

    def _tell(self, chunk: Chunk, after: int) -> Iterator[Told]:
        """Yield the records of a chunk; the last one completes it, unless its block is late."""
        self._lost += chunk.lost
        block = None
        if chunk.round is not None:
            number, block = chunk.round["round"], bytes.fromhex(chunk.round["block"])
            for replaced in [height for height in self._rounds if height > number]:
                del self._rounds[replaced]
            self._rounds[number] = block
            if self._thinning.shows_masks(number):
                self._unmasked[number] = block
        records = list(self._of_chunk(chunk))
        if chunk.end > after:
            # Header and cosines of a late block come with a later chunk. A reader who reconnects
            # before is told this chunk once more.
            waits = self._no_gram or (block is not None and block not in self.view)
            yield from ((record, None) for record in records[:-1])
            yield from ((record, None if waits else chunk.end) for record in records[-1:])

    def _of_chunk(self, chunk: Chunk) -> Iterator[PageRecord]:
        sent = [event for event in chunk.events if event["event"] == "message"]
        yield from (_told(event) for event in chunk.events if event["event"] != "message")
        if chunk.round is None:
            yield from map(_told, thinned(sent))
            return
        number, block = chunk.round["round"], bytes.fromhex(chunk.round["block"])
        shown = thinned(sent) if self._thinning.shows_messages(number) else []
        yield from map(_told, shown)
        if self._thinning.shows(number):
            yield _told(chunk.round) | ({"thinned": True} if len(shown) < len(sent) else {})
        if self._goes_on and block not in self.view:
            self.view.refresh()
        yield from self.view.headers(block)
        yield from self._trips.up_to(chunk.round["time_s"])
        self._no_gram += [block] * bool(shown)
        yield from self._grams()

    def _grams(self) -> Iterator[PageRecord]:
        """Yield the cosines of blocks that wait for them; a block may reach the ledger late."""
        waiting, self._no_gram = self._no_gram, []
        for block in waiting:
            if block not in self.view:
                self._no_gram.append(block)
            elif (gram := self.view.gram(block)) is not None:
                yield gram

    def _masks(self) -> Iterator[PageRecord]:
        """Yield the masks of the rounds that were told since the last call."""
        waiting, self._unmasked = self._unmasked, {}
        if waiting and self._pictures is None:
            self._pictures = self._make_pictures()
            if self._pictures is not None:
                yield from self._pictures.stills()
        if self._pictures is None:
            return
        for number, block in waiting.items():
            if self._goes_on and block not in self.view:
                self._unmasked[number] = block
            elif (state := self.view.state(block)) is not None:
                yield from self._pictures.masks(number, model_of(state))


def saved_pictures(run: Run) -> ScanPictures | None:
    """Return the pictures of a run; None if it shows no scans, or they cannot be made here."""
    scenario = scenario_of(run)
    try:
        return None if scenario is None else pictures_of(scenario)
    except (FedchainError, ValueError, OSError):
        return None


def _told(event: EventFields) -> PageRecord:
    fields = {key: value for key, value in event.items() if key != "event"}
    return page_record(event["event"], **fields)

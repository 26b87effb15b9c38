"""Trips: page records of what travelled through the network, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fedchain.page.lines import PageRecord, page_record
from fedchain.page.network import MOST_PLACED
from fedchain.page.thinning import Thinning
from fedchain.results.travel import Trip, TripReader


class Trips:
    """Reads the trips of a run that may still go on."""

    def __init__(self, path: Path, thinning: Thinning) -> None:
        self._reader, self._thinning = TripReader(path), thinning
        self._ahead: Trip | None = None
        self.lost = 0
        """Number of lines that are no trips."""

    def up_to(self, time_s: float) -> Iterator[PageRecord]:
        """Yield the trips that were not told yet, up to the first that begins after a time."""
        while True:
            trip = self._ahead or self._next()
            if trip is None:
                return
            self._ahead = trip
            if trip.left_s > time_s:
                return
            self._ahead = None
            few = len(trip.arrivals) <= MOST_PLACED
            if few and self._thinning.shows_messages(trip.round):
                yield page_record("trip", **trip.model_dump())

    def _next(self) -> Trip | None:
        for trip in self._reader.trips():
            if trip is not None:
                return trip
            self.lost += 1
        return None

"""Runs for the tests of the page's Python half, and what their records add up to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fedchain.page.records import page_records
from fedchain.results import Run

KEYS = {
    "message": ("round", "id"),
    "round": ("round",),
    "header": ("hash",),
    "gram": ("block",),
    "trip": ("id", "sender"),
    "place": ("name",),
    "link": ("a", "b"),
    "head": ("round", "node", "block"),
    "refusal": ("round", "node", "id"),
    "evidence": ("first", "second", "node"),
    "mask": ("round", "scan"),
    "picture": ("scan",),
    "cloud": ("round", "scan"),
    "body": ("block",),
}
"""Fields by which a later record replaces an earlier one."""


def records_of(folder: Path) -> list[dict[str, Any]]:
    """Return all page records of a run."""
    return list(page_records(Run.open(folder)))


def kind_of(records: Iterable[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return the records of one kind."""
    return [record for record in records if record["is"] == kind]


def shown(records: Iterable[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return what a page knows once it has taken the records, without wall times."""
    state = {}
    for record in records:
        kind = record["is"]
        key = (kind, *(record[name] for name in KEYS.get(kind, ())))
        state[key] = {k: v for k, v in record.items() if k not in ("seconds", "resume")}
    return state


def told_in(stream: str) -> list[tuple[int | None, dict[str, Any]]]:
    """Return the id, which stays until the next one, and the record of each server-sent event."""
    found, last = [], None
    for event in stream.split("\n\n"):
        for line in event.split("\n"):
            if line.startswith("id: "):
                last = int(line[4:])
            if line.startswith("data: "):
                found.append((last, json.loads(line[6:])))
    return found

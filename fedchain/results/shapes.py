"""Shapes: the types that values of a run folder must have, checked when they are read.

A folder may come from somebody else, or may have been edited. A wrong value raises an error with
file, place and allowed type, before any figure or table shows the value.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from fedchain.registry import problems_of
from fedchain.results.records import (
    EvidenceRecord,
    HeadRecord,
    MessageRecord,
    Record,
    RefusalRecord,
    RoundRecord,
)

AS_WRITTEN = ConfigDict(strict=True, allow_inf_nan=False)
RECORDS: Mapping[str, type[Record]] = {
    "round": RoundRecord,
    "message": MessageRecord,
    "refusal": RefusalRecord,
    "evidence": EvidenceRecord,
    "head": HeadRecord,
}
"""Maps the name of an event to the record that it holds."""
Count = Annotated[int, Field(ge=0)]
Values = dict[str, Any]


class NodeTally(BaseModel):
    """Numbers and shares of the blocks of one compute node."""

    model_config = AS_WRITTEN
    node: Count = 0
    hash_share: float = 0.0
    main_share: float = 0.0
    main_blocks: Count = 0
    stale_blocks: Count = 0


class Tally(BaseModel):
    """Numbers and shares of all blocks; empty until a run ends."""

    model_config = AS_WRITTEN
    main_blocks: Count = 0
    stale_blocks: Count = 0
    stale_share: float = 0.0
    nodes: list[NodeTally] = []


class Spent(BaseModel):
    """Epsilon and delta of the participant with the most releases."""

    model_config = AS_WRITTEN
    per_release: float | None
    total: float | None
    delta: float
    worst_holder_releases: Count


class Sections(BaseModel):
    """Sections of the resolved scenario, as far as reports use them."""

    model_config = AS_WRITTEN
    description: str = ""
    rounds: Count = 0
    seed: int = 0
    task: Values = {}
    nodes: Values = {}
    privacy: Values = {}
    aggregation: Values = {}
    update: Values = {}
    ledger: Values = {}
    network: Values = {}
    gossip: Values = {}
    attacks: list[Values] = []


class ManifestShape(BaseModel):
    """The values of ``manifest.json``. A key that is missing is reported when it is read."""

    model_config = AS_WRITTEN
    status: str = ""
    name: str = ""
    seed: int = 0
    digest: str = ""
    scenario: Sections = Sections()
    versions: dict[str, str] = {}
    platform: str = ""
    started: str = ""
    ended: str | None = None
    rounds: Count = 0
    height: Count = 0
    head: str | None = None
    stale_blocks: Count = 0
    reorganisations: Count = 0
    chain: Tally = Tally()
    traffic: Values = {}
    silent: dict[str, list[str]] = {}
    refused: Count = 0
    evidence: Count = 0
    fooled: Count = 0
    misconduct: list[Values] = []
    score: str = ""
    judged_by: str = ""
    record: str = ""
    note: str | None = None
    baselines: dict[str, dict[str, float | None]] = {}
    warnings: list[str] = []
    faults: list[str] = []
    epsilon: Spent | None = None
    seconds: dict[str, float] = {}
    peak_rss_mb: float = 0.0


def manifest_flaw(manifest: Mapping[str, Any]) -> str | None:
    """Return where a manifest has a value of a wrong type, and what is allowed; None if nowhere.

    >>> manifest_flaw({"rounds": "five"})
    "rounds: must be a whole number, got 'five' (text)"
    """
    return _flaw(ManifestShape, manifest)


def event_flaw(event: Mapping[str, Any]) -> str | None:
    """Return what is wrong with an event; None if nothing is wrong.

    >>> event_flaw({"event": "head", "round": 1, "node": 0, "time_s": 0.5, "block": 7})
    'block: must be text, got 7 (a whole number)'
    """
    kind = event.get("event")
    if not isinstance(kind, str) or kind not in RECORDS:
        return f"event: must be one of {', '.join(RECORDS)}, got {kind!r}"
    return _flaw(_shape_of(kind), event)


def _flaw(shape: type[BaseModel], value: Mapping[str, Any]) -> str | None:
    try:
        shape.model_validate(value)
    except ValidationError as error:
        problem = problems_of(error, (), given=value)[0]
        return f"{problem.key}: {problem.text}"
    return None


@functools.cache
def _shape_of(kind: str) -> type[BaseModel]:
    """Return the pydantic model of an event's record."""
    record = RECORDS[kind]
    hints = typing.get_type_hints(record)
    given: dict[str, Any] = {
        each.name: (hints[each.name], ... if _is_required(each) else None)
        for each in fields(record)
    }
    return create_model(record.__name__, __config__=AS_WRITTEN, **given)


def _is_required(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING

"""Results of a run: the run folder, its events, and the records of its rounds."""

from fedchain.results.events import EventLog
from fedchain.results.folder import EVENTS, LEDGER, RunFolder, logging_to
from fedchain.results.records import (
    EvidenceRecord,
    HeadRecord,
    MessageRecord,
    RefusalRecord,
    RoundRecord,
)
from fedchain.results.run import (
    NAMED,
    OVER,
    Run,
    exported_to,
    imported_from,
    silent_words,
    tampered_copy,
)
from fedchain.results.tables import told_events

__all__ = [
    "EVENTS",
    "LEDGER",
    "NAMED",
    "OVER",
    "EventLog",
    "EvidenceRecord",
    "HeadRecord",
    "MessageRecord",
    "RefusalRecord",
    "RoundRecord",
    "Run",
    "RunFolder",
    "exported_to",
    "imported_from",
    "logging_to",
    "silent_words",
    "tampered_copy",
    "told_events",
]

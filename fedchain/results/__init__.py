"""Results of a run: the run folder, its events, and the records of its rounds."""

from fedchain.results.copies import exported_to, imported_from, name_of_export, tampered_copy
from fedchain.results.events import EventLog
from fedchain.results.folder import EVENTS, LEDGER, RunFolder, logging_to
from fedchain.results.records import (
    EvidenceRecord,
    HeadRecord,
    MessageRecord,
    RefusalRecord,
    RoundRecord,
)
from fedchain.results.run import Run
from fedchain.results.statuses import COMPLETE, OVER, STOPPED
from fedchain.results.summary import NAMED, found_again, silent_words
from fedchain.results.tables import told_events

__all__ = [
    "COMPLETE",
    "EVENTS",
    "LEDGER",
    "NAMED",
    "OVER",
    "STOPPED",
    "EventLog",
    "EvidenceRecord",
    "HeadRecord",
    "MessageRecord",
    "RefusalRecord",
    "RoundRecord",
    "Run",
    "RunFolder",
    "exported_to",
    "found_again",
    "imported_from",
    "logging_to",
    "name_of_export",
    "silent_words",
    "tampered_copy",
    "told_events",
]

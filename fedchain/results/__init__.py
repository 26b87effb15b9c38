"""Results of a run: the run folder, its events, and the records of its rounds."""

from fedchain.results.events import EventLog, read_events
from fedchain.results.folder import EVENTS, RUN_FORMAT, RunFolder, logging_to, write_whole
from fedchain.results.records import (
    EvidenceRecord,
    HeadRecord,
    MessageRecord,
    RefusalRecord,
    RoundRecord,
)
from fedchain.results.run import LEDGER, OVER, Run, exported_to, imported_from, tampered_copy
from fedchain.results.tables import main_rounds, told_rounds

__all__ = [
    "EVENTS",
    "LEDGER",
    "OVER",
    "RUN_FORMAT",
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
    "main_rounds",
    "read_events",
    "tampered_copy",
    "told_rounds",
    "write_whole",
]

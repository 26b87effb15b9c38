"""What a run leaves behind: the records of its rounds, its events, the run folder."""

from fedchain.results.events import EventLog, main_rounds, message_table, read_events, round_table
from fedchain.results.folder import FORMAT, RunFolder, write_whole
from fedchain.results.records import MessageRecord, RoundRecord
from fedchain.results.run import LEDGER, OVER, Run, tampered_copy

__all__ = [
    "FORMAT",
    "LEDGER",
    "OVER",
    "EventLog",
    "MessageRecord",
    "RoundRecord",
    "Run",
    "RunFolder",
    "main_rounds",
    "message_table",
    "read_events",
    "round_table",
    "tampered_copy",
    "write_whole",
]

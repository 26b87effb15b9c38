"""Audits: attacks on the published data of runs, to measure privacy without trusting the claim."""

import importlib

from fedchain.audits.audit import Audited, audit
from fedchain.audits.record import AUDITS, Audit, AuditRow, BoundingRow, find_audit
from fedchain.audits.runs_for_audit import Choices, Subject, promise_of, releases_of
from fedchain.results.findings import Finding

__all__ = [
    "AUDITS",
    "Audit",
    "AuditRow",
    "Audited",
    "BoundingRow",
    "Choices",
    "Finding",
    "Subject",
    "audit",
    "find_audit",
    "promise_of",
    "releases_of",
]

# Each file registers its audit; audit.json lists their findings in this order.
for _file in ("canaries", "membership", "inversion", "linkability"):
    importlib.import_module(f"{__name__}.{_file}")

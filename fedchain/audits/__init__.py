"""Audits: attacks on the published data of runs, to measure privacy without trusting the claim."""

from fedchain.audits.audit import Audited, audit
from fedchain.audits.canaries import CANARIES, ONE_RUN
from fedchain.audits.inversion import INVERSION
from fedchain.audits.linkability import LINKABILITY
from fedchain.audits.membership import MEMBERSHIP
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

for _audit in (CANARIES, ONE_RUN, MEMBERSHIP, INVERSION, LINKABILITY):
    AUDITS[_audit.name] = _audit

"""Independent measurement of privacy: attacks on what runs publish, and what they prove."""

from fedchain.audits.audit import ATTACKS, Audited, audit
from fedchain.audits.subject import Choices

__all__ = ["ATTACKS", "Audited", "Choices", "audit"]

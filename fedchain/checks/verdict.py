"""Verdict: what was checked in a run folder, what was found, and what was not checked and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fedchain.ledger.tools.verification import Verification


class CheckResult(StrEnum):
    """Result of a check."""

    OK = "ok"
    FAILED = "failed"
    UNCHECKED = "not checked"


OK, FAILED, UNCHECKED = CheckResult
PROVENANCE = "provenance"
"""Name of the check that compares code, data and fedchain with those of the run."""


@dataclass(frozen=True)
class Checked:
    """One row of a verdict: a check and its result."""

    what: str
    """Name of the check, in one or two words."""
    result: CheckResult
    """Result of the check."""
    words: str
    """What was compared, what is wrong, or why the check was not made."""


@dataclass(frozen=True, kw_only=True)
class RunVerdict:
    """Verdict on a run folder or on a chain."""

    ledger: Verification
    """Verdict on the ledger alone."""
    checks: tuple[Checked, ...]
    """Rows of the verdict, in order."""
    notes: tuple[str, ...] = ()
    """Sentences on what the verdict means."""

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return all(each.result != FAILED for each in self.checks)

    @property
    def reason(self) -> str:
        """The reasons of all failed checks in order, one a line; empty if no check failed."""
        return "\n".join(each.words for each in self.checks if each.result == FAILED)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """What was not checked, each with the reason."""
        found = (each for each in self.checks if each.result == UNCHECKED)
        return tuple(f"{each.what}: {each.words}" for each in found)

    @property
    def changed(self) -> str:
        """What is not as it was when the run was made, which may be why a check failed; or empty.

        Code, data and fedchain are meant.
        """
        found = (e.words for e in self.checks if e.what == PROVENANCE and e.result == UNCHECKED)
        return next(found, "")

    @property
    def values(self) -> dict[str, Any]:
        """The verdict as values for JSON."""
        found = self.ledger
        whole: dict[str, Any] = {"ok": self.ok, "blocks": found.blocks, "height": found.height}
        whole |= {"head": found.block} if found.ok else {"block": found.block}
        whole |= {} if self.ok else {"reason": self.reason}
        whole |= {"changed": self.changed} if self.changed else {}
        whole |= {"checks": [vars(each) for each in self.checks]}
        return whole | {"unchecked": list(self.unchecked), "notes": list(self.notes)}

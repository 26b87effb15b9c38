"""Verdict: what was checked in a run folder, what was found, and what was not checked and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fedchain.ledger.tools.verification import Verification


class CheckResult(StrEnum):
    """What came of a check."""

    OK = "ok"
    FAILED = "failed"
    UNCHECKED = "not checked"


OK, FAILED, UNCHECKED = CheckResult


@dataclass(frozen=True)
class Checked:
    """One thing that was to be checked."""

    what: str
    """What it is, in one or two words."""
    result: CheckResult
    """What came of it."""
    words: str
    """What was compared with what; or what is wrong; or why it was not checked."""


@dataclass(frozen=True, kw_only=True)
class RunVerdict:
    """The verdict on a run folder or on a chain."""

    ledger: Verification
    """The verdict on the ledger alone."""
    checks: tuple[Checked, ...]
    """Everything that was to be checked, in order."""
    notes: tuple[str, ...] = ()
    """Sentences on what the verdict means."""

    @property
    def ok(self) -> bool:
        """Whether nothing that was checked is wrong."""
        return all(each.result != FAILED for each in self.checks)

    @property
    def reason(self) -> str:
        """What is wrong, the first thing first, one a line; empty if nothing is."""
        return "\n".join(each.words for each in self.checks if each.result == FAILED)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """What was not checked, each with the reason."""
        found = (each for each in self.checks if each.result == UNCHECKED)
        return tuple(f"{each.what}: {each.words}" for each in found)

    @property
    def values(self) -> dict[str, Any]:
        """The verdict as values for JSON."""
        found = self.ledger
        whole: dict[str, Any] = {"ok": self.ok, "blocks": found.blocks, "height": found.height}
        whole |= {"head": found.block} if found.ok else {"block": found.block}
        whole |= {} if self.ok else {"reason": self.reason}
        whole |= {"checks": [vars(each) for each in self.checks]}
        return whole | {"unchecked": list(self.unchecked), "notes": list(self.notes)}

"""Every error that fedchain raises on purpose.

    FedchainError
    ├── ScenarioError    the user's scenario: file, line, column, what is allowed
    ├── DataError        the user's data: a scan, a folder, a cache
    ├── MissingExtra     something optional is not installed, and how to get it
    ├── PartError        a part of the user's own that failed in its own code
    ├── TooFewMembers    a group of which too few are there: it opens no sum
    ├── RunError         a run that failed: a full disk, a lost permission
    │   └── RunRefused       a folder that is no run, is in use, or is another run's
    └── LedgerError      a rule of the ledger, or its bytes
        ├── EncodingError    bytes that are not the one encoding of a value
        ├── InvalidMessage   a message that a rule forbids
        └── InvalidBlock     a block that a rule forbids

A broken precondition of the mathematics is a plain ``ValueError``.
Every text reads ``where: what is wrong, with the value; what is allowed``.
"""

from __future__ import annotations

from dataclasses import dataclass


class FedchainError(Exception):
    """What fedchain can explain to a user in one line."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a scenario."""

    where: tuple[str | int, ...]
    """Path of keys and indices from the top of the scenario."""
    text: str
    """What is wrong, with the value, and what is allowed."""

    @property
    def key(self) -> str:
        """The path as a user writes it: ``attacks[0].holders``."""
        dotted = ""
        for step in self.where:
            dotted += f"[{step}]" if isinstance(step, int) else f".{step}" if dotted else step
        return dotted


class ScenarioError(FedchainError):
    """A scenario that cannot be used; carries every problem found, not only the first."""

    def __init__(self, problems: list[Problem], rendered: str | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__(rendered or "\n".join(f"{p.key}: {p.text}" for p in problems))


class DataError(FedchainError):
    """Data of the user that cannot be read: names the file and the problem."""


class MissingExtra(FedchainError):
    """A part needs something that is not installed; says how to get it."""


class PartError(FedchainError):
    """A part of the user's own failed: names the file, the line and what Python says."""


class TooFewMembers(FedchainError):
    """A group of which fewer than the threshold are there in a step: nothing is opened."""


class RunError(FedchainError):
    """A run that failed; what is on disk is whole, and the run can be resumed."""


class RunRefused(RunError):
    """A folder that a command cannot take: it is no run, is in use, or belongs to another run."""


class LedgerError(FedchainError):
    """A rule of the ledger was broken, or its bytes are damaged."""


class EncodingError(LedgerError):
    """Bytes that are not the one canonical encoding of a value."""


class InvalidMessage(LedgerError):
    """A message that a node must drop; the text is the reason."""


class InvalidBlock(LedgerError):
    """A block that a node must refuse; the text is the reason."""


class TooEarly(InvalidBlock):
    """A block whose time is too far ahead of a node's clock, and that has no other fault so far."""


class WrongMessages(InvalidBlock):
    """A header with messages that it does not commit to: the block itself may be good."""

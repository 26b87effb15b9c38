"""Errors: every exception that fedchain raises on purpose.

Mathematical functions raise a plain ``ValueError`` for an argument outside their domain. Every
error text reads ``where: what is wrong, with the value; what is allowed``.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

PATH_AT_FAULT = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR,
    errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EXDEV,
}  # fmt: skip
"""Numbers of system errors that a wrong path causes; the disk causes all others."""
OLD_FORMAT = (
    "written by an older fedchain (format 1); this version reads format 2: run the scenario again"
)
"""Error text for a ledger, a chain file or a proof of format 1."""


class FedchainError(Exception):
    """An error that fedchain can explain to a user in one line."""


@dataclass(frozen=True)
class Problem:
    """One problem in a scenario."""

    where: tuple[str | int, ...]
    """Keys and indices that lead from the top of the scenario to the wrong value."""
    text: str
    """What is wrong, with the value, and what is allowed."""

    @property
    def key(self) -> str:
        """The keys and indices as a user writes them: ``attacks[0].holders``."""
        dotted = ""
        for step in self.where:
            dotted += f"[{step}]" if isinstance(step, int) else f".{step}" if dotted else step
        return dotted


class ScenarioError(FedchainError):
    """A scenario that cannot be used; the error lists every problem found."""

    def __init__(self, problems: list[Problem], rendered: str | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__(rendered or "\n".join(f"{p.key}: {p.text}" for p in problems))


class DataError(FedchainError):
    """User data that cannot be read; the text names the file and the problem."""


class MissingExtra(FedchainError):
    """A package that a part needs is not installed; the text says how to install the package."""


class PartError(FedchainError):
    """A user-defined part failed; the text names the file, the line and Python's error."""


class TooFewMembers(FedchainError):
    """Too few members of a group take part in secure aggregation to reveal the group's sum."""


class RunError(FedchainError):
    """A run or a disk failed; the files on disk are intact, and the run can be resumed."""


class RunRefused(RunError):
    """A path that a command cannot use: it has no run, is in use, or may not be written."""


class NothingYet(RunRefused):
    """A run or sweep that has no results yet, and must continue first."""


class Unusable(RunRefused):
    """A path that the system refuses, for example because the user lacks permission."""


def cannot(path: str | Path, do: str, error: OSError) -> RunError:
    """Return the error for a file or folder that the system refuses to read or write.

    The error is ``Unusable`` if the path is wrong, and ``RunError`` if the disk is full or broken.
    ``do`` ends the message, such as ``be written``.

    >>> cannot("/proc/x", "be written", PermissionError(errno.EACCES, "Permission denied"))
    Unusable('/proc/x: cannot be written: Permission denied')
    >>> cannot("x", "be written", OSError(errno.ENOSPC, "No space left on device"))
    RunError('x: cannot be written: No space left on device')
    """
    kind = Unusable if error.errno in PATH_AT_FAULT else RunError
    above = "a file is where a folder must be"
    return kind(f"{path}: cannot {do}: {above if error.errno == errno.EEXIST else error.strerror}")


class LedgerError(FedchainError):
    """A ledger breaks a rule, or its bytes are damaged."""


class NotRecorded(LedgerError):
    """A replayed block is not in the run's ledger."""


class EncodingError(LedgerError):
    """Bytes are not the canonical encoding of a value."""


class InvalidMessage(LedgerError):
    """A message that a node must reject; the text is the reason."""


class InvalidBlock(LedgerError):
    """A block that a node must reject; the text is the reason."""


class TooEarly(InvalidBlock):
    """A block's timestamp is too far ahead of the node's clock; the block may be valid later."""


class WrongCopy(InvalidBlock):
    """A block whose messages or signature do not fit its header; another copy may be valid."""

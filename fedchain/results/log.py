"""The log of a run, for people; programs that read results do not need it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from fedchain.errors import cannot
from fedchain.names import SHOWN

_log = logging.getLogger("fedchain")


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Ignore a full disk: the ledger reports it, and stops the run."""


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Send the log of fedchain to a file, inside the block.

    Raises:
        RunError: the file cannot be written.
    """
    try:
        handler = _LogFile(path, encoding="utf-8", errors=SHOWN)
    except OSError as error:
        raise cannot(path, "be written", error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    propagated = _log.propagate
    _log.propagate = False  # else a library's handler on the root logger prints between the rounds
    try:
        yield
    finally:
        _log.propagate = propagated
        _log.removeHandler(handler)
        with contextlib.suppress(OSError):  # a full disk leaves text in its buffer
            handler.close()

"""The log of a run: what went on, for people; nothing that a reader of results needs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from fedchain.errors import cannot
from fedchain.names import SHOWN

log = logging.getLogger("fedchain")


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Say nothing of a full disk: the ledger tells of it, and stops the run."""


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Send the log of fedchain to a file while this lasts.

    Raises:
        RunError: the file cannot be written.
    """
    try:
        handler = _LogFile(path, encoding="utf-8", errors=SHOWN)
    except OSError as error:
        raise cannot(path, "be written", error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    propagated = log.propagate
    log.propagate = False  # a library's handler on the root would write between the rounds
    try:
        yield
    finally:
        log.propagate = propagated
        log.removeHandler(handler)
        with contextlib.suppress(OSError):  # what a full disk did not take is still in its buffer
            handler.close()

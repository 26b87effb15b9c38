"""Printing that never fails: if a result cannot be printed, stderr and the exit code say so."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO, cast

from fedchain.names import SHOWN

UNPRINTED = 8
"""Exit code of a successful command that could not print all of its result."""
_NOBODY_READS = (errno.EPIPE, errno.EINVAL)
"""Errors of a pipe whose reader closed it; Windows reports the second one."""


class Outlet(io.TextIOBase):
    """A stream that stores its first failed write, and drops all later text."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None
        """Error of the first write that failed, or None."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the stream."""
        return self._stream.encoding or "utf-8"

    @property
    def lost(self) -> str | None:
        """Reason why output was lost, or None; a pipe that its reader closed does not count."""
        if self.failure is None or self.failure.errno in _NOBODY_READS:
            return None
        return str(self.failure.strerror)

    def write(self, text: str, /) -> int:
        """Write text, or drop it if an earlier write failed."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._attempt(self._stream.flush)

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's file descriptor."""
        return self._stream.fileno()

    def _attempt(self, act: Callable[[], object]) -> None:
        if self.failure is not None:
            return
        try:
            act()
        except OSError as error:
            self.failure = error
            with contextlib.suppress(OSError):
                # Text that is left in the stream's buffer would fail again when Python exits.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


@contextlib.contextmanager
def whole_output() -> Iterator[Outlet]:
    """Within this context, let stdout and stderr accept any text and never fail.

    Characters that the stream's encoding lacks are replaced.

    Yields:
        The stdout, which stores whether a write failed.
    """
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=SHOWN)
    out, err = Outlet(sys.stdout), Outlet(sys.stderr)
    with (
        contextlib.redirect_stdout(cast(TextIO, out)),
        contextlib.redirect_stderr(cast(TextIO, err)),
    ):
        yield out
        out.flush()
        if out.lost is not None:
            err.write(f"stdout: cannot be written: {out.lost}\n")
        err.flush()


def _open_closed() -> None:
    """Open closed standard streams as /dev/null."""
    # Otherwise the next opened file would get the text of the closed stream.
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115

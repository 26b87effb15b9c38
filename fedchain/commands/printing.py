"""What happens when a result cannot be printed: nothing breaks, and the exit code says so."""

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
"""Exit code of a command that has done what it should, and could not print all of its result."""
_NOBODY_READS = (errno.EPIPE, errno.EINVAL)
"""What a closed pipe gives; the second is that of Windows."""


class Outlet(io.TextIOBase):
    """A stream whose first failed write is remembered; what comes after it goes nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None
        """Why not all was written; None: it was."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the stream: a terminal without UTF-8 is given frames of plain letters."""
        return self._stream.encoding or "utf-8"

    def write(self, text: str, /) -> int:
        """Write text, or drop it where an earlier text could not be written."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Hand everything on."""
        self._attempt(self._stream.flush)

    def isatty(self) -> bool:
        """Say whether somebody watches."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor of the stream."""
        return self._stream.fileno()

    def _attempt(self, act: Callable[[], object]) -> None:
        if self.failure is not None:
            return
        try:
            act()
        except OSError as error:
            self.failure = error
            with contextlib.suppress(OSError):
                # What still waits in the stream's buffer would fail again when Python ends.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


@contextlib.contextmanager
def whole_output() -> Iterator[Outlet]:
    """While this lasts, let stdout and stderr take any text and never fail.

    Letters that they do not have are replaced. A stream that whoever started the command has
    closed is as good as /dev/null.

    Yields:
        The stdout, which knows whether all was printed.
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
        if out.failure is not None and out.failure.errno not in _NOBODY_READS:
            err.write(f"stdout: cannot be written: {out.failure.strerror}\n")
        err.flush()


def printed_code(code: int, out: Outlet) -> int:
    """Return the exit code of a command: its own, unless it succeeded and could not say so.

    Args:
        code: of what the command did.
        out: where it printed; a pipe that its reader has closed was read as far as was wanted.
    """
    lost = out.failure is not None and out.failure.errno not in _NOBODY_READS
    return UNPRINTED if lost and code == 0 else code


def _open_closed() -> None:
    """Open what was closed at the start: else the next file would take its place and its text."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115

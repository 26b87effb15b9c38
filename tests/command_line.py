"""Calls of the command line in this process, for tests of what a user sees."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
from types import SimpleNamespace

from fedchain import commands
from fedchain.interruption import ENDING


def call(*arguments: object) -> SimpleNamespace:
    """Return the exit code, stdout and stderr of ``fedchain`` with the given arguments."""
    out, err, before, path = io.StringIO(), io.StringIO(), sys.argv, list(sys.path)
    handlers = {each: signal.getsignal(each) for each in ENDING}
    sys.argv = ["fedchain", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = commands.run_command_line()
    finally:
        sys.argv, sys.path[:] = before, path
        for each, handler in handlers.items():  # an interrupted command ignores signals to its end
            signal.signal(each, handler)
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())

"""Interruption: lets Ctrl-C, SIGTERM and a closed terminal end a command once and cleanly."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

ENDING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
)
"""Signals that ask a program to end, where the system has them."""
DEAF_S = 10.0
"""Seconds for which further signals are ignored after one raised KeyboardInterrupt."""
UNGUARDED = 79
"""Exit code of a child process whose script calls fedchain at top level."""
GUARD = (
    "the script calls fedchain whenever a process imports it; write its calls below the line: "
    'if __name__ == "__main__":'
)
"""Error text about a script that calls fedchain at top level."""
_pending: list[int] = []
"""Numbers of the signals that have raised KeyboardInterrupt inside ``stoppable``."""


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Within this context, raise KeyboardInterrupt at the first signal of ``ENDING``.

    Further signals are ignored for ``DEAF_S`` seconds; then the next signal raises the exception
    again. After an interrupted command the signals stay ignored until the process ends. A signal
    that was ignored before (``nohup``) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    raised: list[float] = []

    def stop(number: int, _frame: object) -> None:
        now = time.monotonic()
        if not raised or now - raised[-1] >= DEAF_S:
            raised.append(now)
            _pending.append(number)
            raise KeyboardInterrupt

    handlers = {each: signal.getsignal(each) for each in ENDING}
    before = {n: each for n, each in handlers.items() if each not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        _pending.clear()
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if raised else handler)


def stop_if_asked() -> None:
    """Raise KeyboardInterrupt if a signal of ``ENDING`` has arrived inside ``stoppable``.

    Long computations call this function between steps.
    """
    # Python discards an exception that is raised in a destructor (``__del__``).
    if _pending:
        raise KeyboardInterrupt


@contextlib.contextmanager
def deaf_children(*signals: signal.Signals) -> Iterator[None]:
    """Within this context, start child processes in which these signals are blocked.

    Signals that arrive meanwhile are handled when the context ends. On a system that cannot block
    signals, the context does nothing.
    """
    here = threading.current_thread() is threading.main_thread()
    if not here or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its first start would unblock the signals
    waiting: list[int] = []
    before = {each: signal.getsignal(each) for each in signals}
    for each in signals:  # the system may give a blocked signal to another thread
        signal.signal(each, lambda number, _frame: waiting.append(number))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in waiting:
            signal.raise_signal(number)


def leave_if_unguarded() -> None:
    """End this process with ``UNGUARDED`` if it is still importing its parent's script."""
    # A script that calls fedchain at top level would run again in every child process.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.exit(UNGUARDED)


def end_with_parent() -> None:
    """End this process as soon as its parent process has ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for, args=(parent,), daemon=True).start()


def _wait_for(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)

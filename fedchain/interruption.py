"""Ctrl-C, a polite kill and a closed terminal: who hears of them, and how often."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator

ENDING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
)
"""Signals of this system that ask a program to end."""
PATIENCE_S = 10.0
"""Seconds after a signal to end in which another one changes nothing."""
_heard: list[int] = []
"""Signals to end whose KeyboardInterrupt has not yet arrived where a command ends."""


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """While this lasts, let a signal to end raise KeyboardInterrupt, and ignore more that follow.

    What is saved then is saved whole, however often Ctrl-C is pressed. After ``PATIENCE_S`` the
    next one is heard again, since saving may hang. At the end of an interrupted command all are
    ignored for good, since the process is about to end. A signal that whoever started the process
    let it ignore (``nohup``) stays ignored.

    >>> with stoppable():
    ...     pass
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    raised: list[float] = []

    def stop(number: int, _frame: object) -> None:
        now = time.monotonic()
        if not raised or now - raised[-1] >= PATIENCE_S:
            raised.append(now)
            _heard.append(number)
            raise KeyboardInterrupt

    heard = (each for each in ENDING if signal.getsignal(each) not in (signal.SIG_IGN, None))
    before = {each: signal.getsignal(each) for each in heard}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        _heard.clear()
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if raised else handler)


def stop_if_asked() -> None:
    """Raise KeyboardInterrupt if a signal to end came and its exception was lost.

    Python loses an exception that is raised while an object is deleted. What takes long and
    ``stoppable`` therefore asks here between its steps.

    Raises:
        KeyboardInterrupt: the user asked this program to end.
    """
    if _heard:
        raise KeyboardInterrupt


@contextlib.contextmanager
def deaf_children(*signals: signal.Signals) -> Iterator[None]:
    """While this lasts, let processes that are begun never hear of these signals.

    A terminal sends Ctrl-C to all processes of a command, and a child that is still being started
    would end with a traceback. This process hears of them afterwards. Where the system cannot
    block signals, the child has to ignore them itself.

    Args:
        signals: which.

    >>> with deaf_children(signal.SIGINT):
    ...     pass
    """
    here = threading.current_thread() is threading.main_thread()
    if not here or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # the first start of it lets signals through again
    waiting: list[int] = []
    before = {each: signal.getsignal(each) for each in signals}
    for each in signals:  # another thread may be given what this one has blocked
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


def end_with_parent() -> None:
    """Let this process end when the one that began it has ended, however it did."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for, args=(parent,), daemon=True).start()


def _wait_for(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)

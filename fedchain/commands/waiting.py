"""WaitingSign: says on stderr that a command works, while it has nothing else to show."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

SILENT_S = 3.0
"""Seconds after which a line says what is being done, where nobody sees a moving sign."""


class WaitingSign:
    """A moving sign on a terminal; elsewhere one line, if the work is longer than ``SILENT_S``."""

    def __init__(self, console: Console, words: str) -> None:
        """Begin.

        Args:
            console: where it is said.
            words: what is being done, such as "Preparing the data".
        """
        self._sign = console.status(words) if console.is_terminal else None
        self._timer = threading.Timer(SILENT_S, self._tell, (console, f"{words} .."))
        self._timer.daemon = True
        if self._sign is not None:
            self._sign.start()
        else:
            self._timer.start()

    def __enter__(self) -> WaitingSign:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End; nothing is said from now on."""
        self._timer.cancel()
        if self._sign is not None:
            self._sign.stop()

    @staticmethod
    def _tell(console: Console, line: str) -> None:
        console.print(line, soft_wrap=True)

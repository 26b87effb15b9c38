"""The cohort: holders that wait at the same block are asked together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fedchain.ledger.message import Message
from fedchain.nodes.speakers import Asked

KEPT_PARENTS = 8
"""Blocks whose cohorts are remembered: forks older than this ask for no new release."""

Ask = Callable[[bytes, Sequence[Asked]], Sequence[Message | None]]
"""(parent, holders) to what each of them says there."""


class Cohort:
    """Asks all holders that wait at one block when the first of them speaks.

    Who is asked together follows from the events alone, not from what a ledger has already: a
    run that goes on after an interruption asks the same holders together again.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._waiting: dict[bytes, dict[int, Asked]] = {}
        self._together: dict[bytes, dict[int, tuple[Asked, ...]]] = {}
        self._said: dict[bytes, dict[int, Message | None]] = {}

    def expect(self, asked: Asked) -> None:
        """Note that a holder begins to work at its block."""
        occasion = asked.occasion
        self._waiting.setdefault(occasion.parent, {})[occasion.holder] = asked
        self._forget()

    def close(self, asked: Asked) -> tuple[Asked, ...]:
        """Return who is asked together with this holder; who begins later is not."""
        holder, parent = asked.occasion.holder, asked.occasion.parent
        together = self._together.setdefault(parent, {})
        if holder not in together:
            # Many forks may have pushed the parent out: then the holder is alone.
            waiting = {**self._waiting.pop(parent, {}), holder: asked}
            group = tuple(waiting[number] for number in sorted(waiting))
            together.update(dict.fromkeys(waiting, group))
        return together[holder]

    def message(self, asked: Asked) -> Message | None:
        """Return what a holder says at its block; None if there is no direction to send."""
        holder, parent = asked.occasion.holder, asked.occasion.parent
        group = self.close(asked)
        said = self._said.setdefault(parent, {})
        if holder not in said:
            messages = self._ask(parent, group)
            said.update({a.occasion.holder: m for a, m in zip(group, messages, strict=True)})
        return said.pop(holder)  # it is rarely asked for again, and large

    def _forget(self) -> None:
        for kept in (self._waiting, self._together, self._said):
            while len(kept) > KEPT_PARENTS:
                kept.pop(next(iter(kept)))

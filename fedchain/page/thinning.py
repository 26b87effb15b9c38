"""Thinning: which rounds, messages and headers of a long run the page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MOST_ROUNDS = 2_000
"""Largest number of rounds that are all shown."""
MOST_HEADERS = 500
"""Number of heights below the last one whose headers are shown of a longer run."""
MOST_SENT = 200
"""Largest number of messages of a block that are all shown."""
MOST_TOLD = 40_000
"""Messages of a run that are shown, approximately."""
MOST_MASKED = 200
"""Largest number of rounds whose masks are shown, approximately."""
AROUND = 20
"""Number of messages around the threshold that are shown of a block with more than MOST_SENT."""

EventFields = dict[str, Any]


@dataclass(frozen=True)
class Thinning:
    """Which rounds of a run are shown, and which of them with their messages."""

    rounds: int
    """Number of rounds that the run was asked for."""
    asked: int
    """Number of messages that a block may carry."""

    @property
    def every(self) -> int:
        """One round in so many is shown.

        >>> Thinning(2000, 20).every, Thinning(10_000, 20).every
        (1, 5)
        """
        return -(-self.rounds // MOST_ROUNDS) or 1

    @property
    def every_sent(self) -> int:
        """One round in so many is shown with its messages; a multiple of ``every``."""
        shown = self.rounds // self.every * min(self.asked, MOST_SENT)
        return self.every * (-(-shown // MOST_TOLD) or 1)

    def shows(self, round_: int) -> bool:
        """Return whether a round is shown; the first and the last always are."""
        return round_ in (1, self.rounds) or round_ % self.every == 0

    def shows_messages(self, round_: int) -> bool:
        """Return whether a round is shown with its messages."""
        return round_ in (1, self.rounds) or round_ % self.every_sent == 0

    def shows_masks(self, round_: int) -> bool:
        """Return whether masks of the round's model are shown."""
        return round_ == self.rounds or round_ % (-(-self.rounds // MOST_MASKED) or 1) == 0

    def shows_header(self, height: int, top: int) -> bool:
        """Return whether the header of a block is shown, where ``top`` is the largest height."""
        return self.rounds <= MOST_ROUNDS or height > top - MOST_HEADERS


def thinned(messages: Sequence[EventFields]) -> list[EventFields]:
    """Return the messages of a block that are shown, in their order.

    All are shown of at most ``MOST_SENT``. Of more, those of attackers are shown, the deciles of
    the cosine, and the ``AROUND`` messages whose rank is nearest to the number of used messages.

    >>> many = [{"cosine": k / 1000, "used": k >= 400, "attack": ""} for k in range(1000)]
    >>> shown = [round(1000 * message["cosine"]) for message in thinned(many)]
    >>> shown[:6], len(shown)
    ([0, 99, 199, 299, 390, 391], 30)
    """
    if len(messages) <= MOST_SENT:
        return list(messages)
    placed = [index for index, each in enumerate(messages) if each["cosine"] is not None]
    ranks = sorted(placed, key=lambda index: messages[index]["cosine"])
    cut = len(ranks) - sum(messages[index]["used"] for index in ranks)
    kept = {index for index, each in enumerate(messages) if each["attack"]}
    if ranks:
        kept.update(ranks[decile * (len(ranks) - 1) // 10] for decile in range(11))
    kept.update(ranks[max(0, cut - AROUND // 2) : cut + AROUND // 2])
    return [messages[index] for index in sorted(kept)]

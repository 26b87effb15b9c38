"""Fates: shows what became of messages, and why, for ``fedchain inspect``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fedchain.commands.formats import filled_table
from fedchain.results.tables import sent_by_attackers

if TYPE_CHECKING:
    from rich.table import Table

    from fedchain.results import MessageRecord

MOST_NAMED = 3
"""Maximum number of attackers that ``left_out_words`` names; it counts the others."""


def round_words(row: Mapping[str, Any]) -> str:
    """Return a line on the messages of a round, and on the part that attackers had in it."""
    words = (
        f"round {row['round']}: block {row['block'][:8]}, {row['used']} of {row['messages']} used"
    )
    if not row["byzantine"]:
        return words
    told = f"{words}; attackers sent {row['byzantine']} ({sent_by_attackers(row):.1%})"
    share = row.get("byzantine_share")
    return told if share is None else f"{told} and had {share:.1%} of the gradient"


def fates_table(told: Iterable[Mapping[str, Any]], judged_by: str) -> Table:
    """Return a table of messages: by round, and in a round those with the largest share first.

    ``judged_by`` says what the scores of the messages are; empty: the rule does not say, and the
    cosine with the sum is shown.
    """
    score = "score" if judged_by else "cosine"
    shown = (
        {
            **row,
            "who": sender_name(row["members"], row["holder"]),
            "share": short_number(row.get("share")) if row["used"] else "unused",
            "judged": "-" if row.get(score) is None else f"{row[score]:.4g}",
        }
        for row in sorted(told, key=_largest_first)
    )
    header = judged_by or "cosine with the sum"
    return filled_table(
        f"round | holder | attack | share | {header} | why not | norm | message",
        "{round} | {who} | {attack} | {share} | {judged} | {reason} | {norm:.5g} | {id:.8}",
        shown,
    )


def _largest_first(row: Mapping[str, Any]) -> tuple[int, float, float]:
    return row["round"], -row.get("share", 0.0), 2.0 if row["cosine"] is None else -row["cosine"]


def left_out_words(messages: Sequence[MessageRecord], letters: int) -> list[tuple[str, str]]:
    """Return words on the messages of a round that were left out, and on attackers that were used.

    Each word comes with a fate: ``used`` for attackers whose message was used (``h9!``), ``caught``
    for attackers whose message was left out (``h9``), and ``honest`` for the number of honest
    messages that were left out. As many attackers are named as fit into a number of letters, at
    most ``MOST_NAMED``; the others are counted (``+2!``, ``+2``).
    """
    named = {used: _names(messages, used) for used in (True, False)}
    honest = sum(not m.used and not m.attack for m in messages if m.members)  # without the root
    last = [(f"{honest} honest", "honest")] if honest else []
    for most in range(MOST_NAMED, -1, -1):
        used = _counted(named[True], most, "!")
        caught = _counted(named[False], most - len(named[True]), "")
        words = [*((w, "used") for w in used), *((w, "caught") for w in caught), *last]
        if len(" ".join(word for word, _ in words)) <= letters:
            break
    return words


def _names(messages: Iterable[MessageRecord], used: bool) -> list[str]:
    return [sender_name(m.members, m.holder) for m in messages if m.attack and m.used == used]


def _counted(names: Sequence[str], most: int, mark: str) -> list[str]:
    shown = names[: max(most, 0)]
    more = len(names) - len(shown)
    return [f"{name}{mark}" for name in shown] + ([f"+{more}{mark}"] if more else [])


def sender_name(members: int, number: int) -> str:
    """Return the name of a message's sender: a holder, a group of several members, or the root.

    >>> sender_name(1, 3), sender_name(10, 3), sender_name(0, 20)
    ('h3', 'g3', 'root')
    """
    return f"{'h' if members == 1 else 'g'}{number}" if members else "root"


def short_number(value: float | None, places: int = 3) -> str:
    """Return a number as text for a narrow column; a dash for None."""
    return "-" if value is None else f"{value:.{places}f}"

"""Fates: shows what became of messages, and why, for ``fedchain inspect``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fedchain.commands.formats import filled_table
from fedchain.commands.terminal import sender_name, short_number

if TYPE_CHECKING:
    from rich.table import Table


def round_words(row: Mapping[str, Any]) -> str:
    """Return a line on the messages of a round, and on the part that attackers had in it."""
    words = (
        f"round {row['round']}: block {row['block'][:8]}, {row['used']} of {row['messages']} used"
    )
    if not row["byzantine"]:
        return words
    told = f"{words}; attackers sent {row['byzantine']} ({row['byzantine'] / row['messages']:.1%})"
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

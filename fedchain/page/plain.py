"""Plain: what a reader without JavaScript sees of a run: its finding, and tables of its numbers."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fedchain.names import counted_words, legible
from fedchain.page.lines import PageRecord
from fedchain.results.finding import metric_words

MOST_ROWS = 200
"""Largest number of rows of a table; of more, one in n is shown."""


class Plain:
    """Collects the numbers of page records that readers see without JavaScript."""

    def __init__(self) -> None:
        self._run: PageRecord = {}
        self._rounds: dict[int, PageRecord] = {}
        self._messages: dict[str, PageRecord] = {}

    def take(self, record: PageRecord) -> None:
        """Take one record; the last telling of a round or a message counts."""
        if record["is"] == "run":
            self._run = record
        elif record["is"] == "round":
            self._rounds[record["round"]] = record
        elif record["is"] == "message":
            self._messages[record["id"]] = record

    def html(self) -> str:
        """Return the finding and the tables as HTML."""
        run = self._run
        lines = [
            f"<h1>{_text(run['name'])}</h1>",
            f"<p><strong>{_text(run['finding'])}</strong></p>",
        ]
        if run["description"]:
            lines.append(f"<p>{_text(run['description'])}</p>")
        if guarantee := run["privacy"].get("guarantee"):
            words = str(guarantee).rstrip(".")
            lines.append(f"<p>{_text(words[:1].upper() + words[1:])}.</p>")
        return "\n".join([*lines, self._baselines(), self._by_round(), self._by_holder()])

    def _baselines(self) -> str:
        scores = self._run["scores"]
        rows = [
            [name.replace("_", " "), *(_number(metrics.get(score)) for score in scores)]
            for name, metrics in self._run["baselines"].items()
        ]
        return _table("Baselines", ["baseline", *map(metric_words, scores)], rows) if rows else ""

    def _by_round(self) -> str:
        scores = list(dict.fromkeys([*self._run["scores"][:1], "loss"]))
        rounds = [self._rounds[number] for number in sorted(self._rounds)]
        shown = rounds[:: -(-len(rounds) // MOST_ROWS) or 1]
        fewer = "" if len(shown) == len(rounds) else f", of {counted_words(len(rounds), 'round')}"
        head = ["round", *map(metric_words, scores), "ε", "messages", "used", "of attackers"]
        head += ["attackers used", "stale blocks", "block"]
        rows = [
            [
                row["round"],
                *(_number(row["metrics"].get(score)) for score in scores),
                _number(row["epsilon"]),
                row["messages"],
                row["used"],
                row["byzantine"],
                row["byzantine_used"],
                row["stale_blocks"],
                row["block"][:16],
            ]
            for row in shown
        ]
        return _table(f"{counted_words(len(shown), 'round')}{fewer}", head, rows)

    def _by_holder(self) -> str:
        counts: dict[int, list[int]] = {}
        attacks: dict[int, str] = {}
        for message in self._messages.values():
            sent = counts.setdefault(message["holder"], [0, 0, 0])
            sent[0] += 1
            sent[1] += bool(message["used"])
            sent[2] += bool(message["late"])
            attacks[message["holder"]] = message["attack"] or attacks.get(message["holder"], "")
        rows = [[holder, *counts[holder], attacks[holder]] for holder in sorted(counts)]
        head = ["holder", "messages", "used", "late", "attack"]
        return _table("Messages by holder", head, rows[:MOST_ROWS]) if rows else ""


def runs_html(folder: str, runs: Iterable[Mapping[str, str]], left_out: int) -> str:
    """Return the list of runs as HTML; each run has ``href``, ``name``, ``status``, ``finding``."""
    items = [
        f'<li><a href="{_text(run["href"])}">{_text(run["name"])}</a> · {_text(run["status"])}'
        f"<br>{_text(run['finding'])}</li>"
        for run in runs
    ]
    more = f"<p>{left_out} more are not listed.</p>" if left_out else ""
    return f"<h1>Runs in {_text(folder)}</h1><ul>{''.join(items)}</ul>{more}"


def error_html(words: str) -> str:
    """Return an error as HTML."""
    return f"<h1>This cannot be shown</h1><p>{_text(words)}</p>"


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    heads = "".join(f"<th>{_text(words)}</th>" for words in head)
    cells = "".join(
        f"<tr>{''.join(f'<td>{_text(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    table = f"<thead><tr>{heads}</tr></thead><tbody>{cells}</tbody>"
    return f'<div class="scroll"><table><caption>{_text(caption)}</caption>{table}</table></div>'


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.4g}"


def _text(value: str) -> str:
    return html.escape(legible(value), quote=True)

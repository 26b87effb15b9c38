"""Blocks and messages that honest compute nodes refused, and their evidence, for `inspect`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from fedchain.commands.formats import Format, table
from fedchain.names import command
from fedchain.results import Run

Inspection = tuple[Mapping[str, Any], Sequence[str | Table]]
"""One view of a run: its values for programs, its lines and tables for people."""


def view_of_refusals(run: Run, which: str | None, form: Format) -> Inspection:
    """Return a view of everything that was refused, or only of the height ``which``.

    Raises:
        ValueError: ``which`` is not a height.
    """
    if which is not None and not which.isdigit():
        raise ValueError(f"refusals: {which!r} is no height; give a number, or nothing for all")
    of_height, pairs = (
        [row for row in rows if which in (None, str(row["height"]))]
        for rows in (_refusals(run), _pairs(run))
    )
    values = {
        "refused": run.manifest["refused"],
        "fooled": run.manifest["fooled"],
        "refusals": of_height,
        "evidence": pairs,
    }
    return values, [*_refusal_words(of_height, form), *_pair_words(pairs, form)]


def held_against(run: Run) -> list[str | Table]:
    """Return one line that counts refusals and evidence, or no line if there are none."""
    refused, pairs = run.manifest["refused"], run.manifest["evidence"]
    if not refused and not pairs:
        return []
    count = run.manifest["fooled"]
    wasted = f", {count} releases wasted on refused blocks" if count else ""
    return [
        f"honest compute nodes refused {refused} times and hold {pairs} pairs of blocks as "
        f"evidence{wasted}; see: {command('inspect', run.folder, 'refusals')}"
    ]


def judgement(run: Run, node: int) -> dict[str, Any]:
    """Return what one compute node did and refused, and the refusals and evidence against it."""
    tally = run.manifest["chain"].get("nodes", [])  # empty until the run ends
    return {
        "stale_blocks": tally[node]["stale_blocks"] if tally else None,
        "misconduct": [row for row in run.manifest["misconduct"] if row["node"] == node],
        "refused": sum(row["node"] == node for row in run.refusals),
        "refused_by_others": [row for row in _refusals(run) if row["maker"] == node],
        "evidence_against": [row for row in _pairs(run) if row["maker"] == node],
    }


def judged_words(judged: Mapping[str, Any], form: Format) -> list[str | Table]:
    """Return the result of ``judgement`` as lines and tables."""
    lines: list[str | Table] = [f"it refused {judged['refused']} blocks and messages of others"]
    if judged["stale_blocks"] is not None:
        lines.append(f"{judged['stale_blocks']} of its blocks are stale")
    for row in judged["misconduct"]:
        counters = ", ".join(f"{count} {what}" for what, count in row["deeds"].items()) or "nothing"
        lines.append(f"it is dishonest, {row['kind']}: {counters}")
    lines += _refusal_words(judged["refused_by_others"], form)
    return lines + _pair_words(judged["evidence_against"], form)


def _refusals(run: Run) -> list[dict[str, Any]]:
    """Return one row for each refused block or message, with all nodes that refused it."""
    names = ("what", "id", "maker", "reason", "time_s")
    return _gathered(
        ((row["id"], row["reason"]), {name: row[name] for name in names}, row)
        for row in run.refusals
    )


def _pairs(run: Run) -> list[dict[str, Any]]:
    """Return one row for each pair of blocks, with all nodes that hold it as evidence."""
    found = []
    for row in run.evidence:
        blocks = sorted((row["first"], row["second"]))
        values = {"maker": row["maker"], "blocks": blocks, "time_s": row["time_s"]}
        found.append((tuple(blocks), values, row))
    return _gathered(found)


def _gathered(
    found: Iterable[tuple[object, Mapping[str, Any], Mapping[str, Any]]],
) -> list[dict[str, Any]]:
    """Merge the (key, values, event) with the same key into one row, with the events' nodes."""
    rows: dict[object, dict[str, Any]] = {}
    for key, values, event in found:
        row = rows.setdefault(key, {"height": event["round"], **values, "nodes": []})
        row["nodes"] = sorted({*row["nodes"], event["node"]})
    return list(rows.values())


def _refusal_words(rows: Sequence[dict[str, Any]], form: Format) -> list[str | Table]:
    if not rows:
        return ["nothing was refused"]
    shown = table(form, "height", "refused", "by maker", "at", "by nodes", "reason")
    for row in rows:
        shown.add_row(
            str(row["height"]),
            f"{row['what']} {row['id'][:8]}",
            "-" if row["maker"] is None else f"c{row['maker']}",
            f"{row['time_s']:.1f} s",
            _nodes(row["nodes"]),
            _short(row["reason"]),
        )
    kinds = Counter(row["what"] for row in rows)
    return [", ".join(f"{count} {what}s refused" for what, count in kinds.items()), shown]


def _pair_words(rows: Sequence[dict[str, Any]], form: Format) -> list[str | Table]:
    if not rows:
        return []
    shown: Table = table(form, "height", "two blocks on one parent", "by maker", "at", "seen by")
    for row in rows:
        shown.add_row(
            str(row["height"]),
            " ".join(name[:8] for name in row["blocks"]),
            "-" if row["maker"] is None else f"c{row['maker']}",
            f"{row['time_s']:.1f} s",
            _nodes(row["nodes"]),
        )
    return [shown]


def _nodes(numbers: Sequence[int]) -> str:
    return " ".join(f"c{number}" for number in numbers)


def _short(reason: str) -> str:
    """Return the reason without the name of the block or message, which the row shows already."""
    name, _, rest = reason.partition(": ")
    return rest if name.startswith(("block ", "message ")) else reason

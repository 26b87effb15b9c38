"""Refusals and evidence of honest compute nodes, as `inspect` shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from fedchain.commands.formats import Format, table
from fedchain.commands.sights import Shown, Sight
from fedchain.names import command
from fedchain.results import Run

Row = dict[str, Any]


def refusals_sight(run: Run, which: str | None) -> Sight:
    """Return a view of everything that was refused, or of what was refused at one height.

    Args:
        run: open.
        which: a height; None: all.

    Raises:
        ValueError: ``which`` is not a height.
    """
    if which is not None and not which.isdigit():
        raise ValueError(f"refusals: {which!r} is no height; give a number, or nothing for all")
    of_height = [row for row in _gathered(run) if which is None or str(row["height"]) == which]
    pairs = [row for row in _pairs(run) if which is None or str(row["height"]) == which]
    values = {
        "refused": run.manifest["refused"],
        "fooled": run.manifest["fooled"],
        "refusals": of_height,
        "evidence": pairs,
    }
    return Sight(values, lambda form: [*_refusal_words(of_height, form), *_pair_words(pairs, form)])


def held_against(run: Run) -> list[Shown]:
    """Return a line that counts refusals and evidence; no line where there are none."""
    refused, pairs = run.manifest["refused"], run.manifest["evidence"]
    if not refused and not pairs:
        return []
    count = run.manifest["fooled"]
    wasted = f", {count} releases wasted on refused blocks" if count else ""
    return [
        f"honest compute nodes refused {refused} times and hold {pairs} pairs of blocks as "
        f"evidence{wasted}; see: {command('inspect', run.folder, 'refusals')}"
    ]


def judgement(run: Run, node: int) -> Row:
    """Return what one compute node did and refused, and the refusals and evidence against it.

    Args:
        run: open.
        node: number of the compute node.
    """
    tally = run.manifest["chain"].get("nodes", [])  # empty until the run ends
    return {
        "stale_blocks": tally[node]["stale_blocks"] if tally else None,
        "misconduct": [row for row in run.manifest["misconduct"] if row["node"] == node],
        "refused": sum(row["node"] == node for row in run.refusals),
        "refused_by_others": [row for row in _gathered(run) if row["maker"] == node],
        "evidence_against": [row for row in _pairs(run) if row["maker"] == node],
    }


def judged_words(judged: Mapping[str, Any], form: Format) -> list[Shown]:
    """Return a judgement as lines and tables."""
    lines: list[Shown] = [f"it refused {judged['refused']} blocks and messages of others"]
    if judged["stale_blocks"] is not None:
        lines.append(f"{judged['stale_blocks']} of its blocks are stale")
    for row in judged["misconduct"]:
        counters = ", ".join(f"{count} {what}" for what, count in row["deeds"].items()) or "nothing"
        lines.append(f"it is dishonest, {row['kind']}: {counters}")
    lines += _refusal_words(judged["refused_by_others"], form)
    return lines + _pair_words(judged["evidence_against"], form)


def _gathered(run: Run) -> list[Row]:
    """Return one row for each refused block or message, with all nodes that refused it."""
    rows: dict[tuple[str, str], Row] = {}
    for refusal in run.refusals:
        row = rows.setdefault(
            (refusal["id"], refusal["reason"]),
            {
                "height": refusal["round"],
                "what": refusal["what"],
                "id": refusal["id"],
                "maker": refusal["maker"],
                "reason": refusal["reason"],
                "time_s": refusal["time_s"],
                "nodes": [],
            },
        )
        row["nodes"] = sorted({*row["nodes"], refusal["node"]})
    return list(rows.values())


def _pairs(run: Run) -> list[Row]:
    """Return one row for each pair of blocks, with all nodes that hold it as evidence."""
    rows: dict[frozenset[str], Row] = {}
    for pair in run.evidence:
        both = frozenset((pair["first"], pair["second"]))
        row = rows.setdefault(
            both,
            {
                "height": pair["round"],
                "maker": pair["maker"],
                "blocks": sorted(both),
                "time_s": pair["time_s"],
                "nodes": [],
            },
        )
        row["nodes"] = sorted({*row["nodes"], pair["node"]})
    return list(rows.values())


def _refusal_words(rows: Sequence[Row], form: Format) -> list[Shown]:
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


def _pair_words(rows: Sequence[Row], form: Format) -> list[Shown]:
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
    """Return the reason without the name of the block or message, which the row has already."""
    name, _, rest = reason.partition(": ")
    return rest if name.startswith(("block ", "message ")) else reason

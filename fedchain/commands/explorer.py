"""Explorer behind ``fedchain inspect``: views of a chain, block, round, node, or refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from fedchain.commands.formats import Format, table
from fedchain.commands.refusals import (
    Inspection,
    held_against,
    judged_words,
    judgement,
    view_of_refusals,
)
from fedchain.commands.terminal import letter, short_number
from fedchain.ledger.chain.block import Block
from fedchain.ledger.storage.store import Store
from fedchain.registry import suggest
from fedchain.results import LEDGER, Run


def look(folder: Path, what: str | None, which: str | None, form: Format) -> Inspection:
    """Return one view of a run.

    Args:
        folder: the run's folder.
        what: None for the whole chain, or ``block``, ``round``, ``node``, ``refusals``.
        which: a block's height or hash, a round, or a node (holder ``h3``, group ``g3``, compute
            node ``c0``); for refusals a height, or None for all.
        form: the format of the tables; the values do not depend on it.

    Raises:
        RunError: the folder has no run.
        ValueError: the run has no such view, block, round or node.
    """
    run = Run.open(folder)
    if what is None:
        return _chain(run, form)
    views = {"block": _block, "round": _round, "node": _node}
    if what == "refusals":
        return view_of_refusals(run, which, form)
    if what not in views:
        known = [*views, "refusals"]
        raise ValueError(f"inspect: no view called {what!r}; {suggest(what, known)}")
    if which is None:
        raise ValueError(f"inspect {what}: which one? give a number, a hash, h3 or c0")
    return views[what](run, which, form)


def _chain(run: Run, form: Format) -> Inspection:
    rounds, score, status = run.metrics, run.manifest["score"], run.manifest["status"]
    columns = ("height", "block", "by", "at", "messages", "used", "Byzantine", "stale", score)
    chain = table(form, *columns)
    for row in rounds:
        byzantine = f"{row['byzantine_used']} of {row['byzantine']} used"
        chain.add_row(
            str(row["height"]),
            row["block"][:8],
            f"c{row['miner']}",
            f"{row['time_s']:.1f} s",
            str(row["messages"]),
            str(row["used"]),
            byzantine if row["byzantine"] else "-",
            str(row["stale_blocks"]),
            short_number(row.get(score)),
        )
    values = {"run": str(run.folder), "status": status, "rounds": rounds}
    head = f"{run.folder}: {status}, {len(rounds)} rounds"
    return values, [head, chain, *held_against(run)]


def _block(run: Run, which: str, form: Format) -> Inspection:
    with Store.open(run.folder / LEDGER, writable=False) as store:
        block = _find(store, run, which)
    header = {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in asdict(block.header).items()
    }
    holders = {row["id"]: row["holder"] for row in run.messages}
    messages = [
        {
            "id": (name := message.id.hex()),
            "holder": holders.get(name),
            "norm": message.norm,
            "exponent": message.exponent,
            **asdict(message.declaration),
        }
        for message in block.messages
    ]
    fields = table(form, "header", "value")
    for name, value in header.items():
        fields.add_row(name, str(value))
    kind = run.scenario.nodes.participant[0]
    bodies = table(form, "message", "holder", "norm", "mechanism", "noise", "records")
    for m in messages:
        bodies.add_row(
            m["id"][:8],
            "-" if m["holder"] is None else f"{kind}{m['holder']}",
            f"{m['norm']:.6g}",
            m["mechanism"],
            f"{m['noise']:.4g}",
            str(m["records"]),
        )
    values = {"hash": block.header.hash.hex(), "header": header, "messages": messages}
    return values, [f"block {values['hash']}", fields, bodies]


def _round(run: Run, which: str, form: Format) -> Inspection:
    rounds = [row for row in run.metrics if str(row["round"]) == which]
    if not rounds:
        raise ValueError(f"round: there is no round {which}; the run has 1 to {len(run.metrics)}")
    told = [row for row in run.messages if str(row["round"]) == which]
    return {**rounds[0], "told": told}, [_fates(form, told)]


def _node(run: Run, which: str, form: Format) -> Inspection:
    kind, place = which[:1], which[1:]
    who = run.scenario.nodes.participant
    if kind not in {who[0], "c"} or not place.isdigit():
        words = f"{who[0]}3 for {who} 3, c0 for compute node 0"
        raise ValueError(f"node: no node {which!r}; write {words}")
    if kind == "c":
        nodes = run.scenario.nodes.miners
        if int(place) >= nodes:
            raise ValueError(f"node: no compute node {place}; the run has c0 to c{nodes - 1}")
        mined = [row for row in run.metrics if row["miner"] == int(place)]
        heights = [row["height"] for row in mined]
        line = f"compute node {place}: {len(mined)} blocks on the main chain: {heights}"
        judged = judgement(run, int(place))
        values = {"node": which, "blocks": heights, **judged}
        return values, [line, *judged_words(judged, form)]
    told = [row for row in run.messages if row["holder"] == int(place)]
    if not told:
        raise ValueError(f"node: {who} {place} has sent nothing in this run")
    used = sum(row["used"] for row in told)
    # A holder's epsilon grows with each release; it is None where no privacy is promised.
    spent = max((r["epsilon"] for r in told if r["epsilon"] is not None), default=None)
    line = f"{who} {place}: {len(told)} releases, {used} used, epsilon {short_number(spent, 2)}"
    return {"node": which, "messages": told}, [line, _fates(form, told)]


def _fates(form: Format, told: list[dict[str, Any]]) -> Table:
    columns = ("round", "holder", "message", "norm", "cosine", "share", "why not", "attack")
    rows = table(form, *columns)
    for row in sorted(told, key=_nearest_first):
        rows.add_row(
            str(row["round"]),
            f"{letter(row['members'])}{row['holder']}",
            row["id"][:8],
            f"{row['norm']:.5g}",
            short_number(row["cosine"]),
            short_number(row["share"]) if row["used"] else "unused",
            row["reason"],
            row["attack"],
        )
    return rows


def _nearest_first(row: Mapping[str, Any]) -> tuple[int, float]:
    return row["round"], 2.0 if row["cosine"] is None else -row["cosine"]


def _find(store: Store, run: Run, which: str) -> Block:
    if which == "0":
        return store.genesis
    on_chain = {str(row["height"]): row["block"] for row in run.metrics}
    wanted = on_chain.get(which, which)
    if len(wanted) >= 4:
        for block in store.blocks():
            if block.header.hash.hex().startswith(wanted):
                return block
    raise ValueError(
        f"block: there is no block {which}; give a height from 0 to {len(on_chain)}, "
        "or at least 4 digits of a hash"
    )

"""Explorer: shows a chain, block, round, node or refusals for ``fedchain inspect``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from fedchain.commands.fates import fates_table, round_words, short_number
from fedchain.commands.formats import filled_table, refuse, table
from fedchain.commands.headings import count_words
from fedchain.commands.terminal import held_against
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.work import target_from_compact, work_of
from fedchain.ledger.storage.store import Store
from fedchain.registry import suggest
from fedchain.results import LEDGER, OVER, Run

Inspection = tuple[Mapping[str, Any], Sequence[str | Table]]
"""One view of a run: its values for programs, and its lines and tables for people."""
TableRows = list[dict[str, Any]]


def look(folder: Path, what: str | None, which: str | None) -> Inspection:
    """Return one view of a run; end the command if no such view, block, round or node exists.

    Args:
        folder: the run's folder.
        what: None for the whole chain, or ``block``, ``round``, ``node``, ``refusals``.
        which: a block's height or hash, a round, or a node (holder ``h3``, group ``g3``, compute
            node ``c0``, the public ``root``); for refusals a height, or None for all.

    Raises:
        RunError: the folder has no run.
    """
    run = Run.open(folder)
    if what is None:
        return _chain(run)
    if what == "refusals":
        return _refusals(run, which)
    views = {"block": _block, "round": _round, "node": _node}
    if what not in views:
        refuse(f"inspect: no view called {what!r}; {suggest(what, [*views, 'refusals'])}")
    if which is None:
        refuse(f"inspect {what}: which one? give a number, a hash, h3 or c0")
    return views[what](run, which)


def _chain(run: Run) -> Inspection:
    rounds, score, status = _rounds_on_disk(run), run.manifest["score"], run.manifest["status"]
    attacked = "{byzantine_used} of {byzantine} used"
    shown = (
        {
            **row,
            "fate": attacked.format_map(row) if row["byzantine"] else "-",
            "score": short_number(row.get(score)),
        }
        for row in rounds
    )
    chain = filled_table(
        f"height | block | by | at | messages | used | Byzantine | stale | {score}",
        "{height} | {block:.8} | c{miner} | {time_s:.1f} s | {messages} | {used} | {fate} | "
        "{stale_blocks} | {score}",
        shown,
    )
    values = {"run": str(run.folder), "status": status, "rounds": rounds}
    head = f"{run.folder}: {status}, {len(rounds)} rounds"
    return values, [head, chain, *held_against(run.manifest, run.folder)]


def _rounds_on_disk(run: Run) -> TableRows:
    """Return the rows of the rounds whose blocks the ledger has."""
    if run.manifest["status"] in OVER:
        return run.metrics
    # The ledger is written in the background, so after a kill it may have fewer rounds.
    with Store.open(run.folder / LEDGER, writable=False) as store:
        return [row for row in run.metrics if row["height"] <= store.highest]


def _block(run: Run, which: str) -> Inspection:
    with Store.open(run.folder / LEDGER, writable=False) as store:
        block = _find(store, run, which)
    header = {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in asdict(block.header).items()
    }
    told = run.messages_in(block.header.height)
    holders = {row["id"]: row["holder"] for row in told}
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
    kind = _participant(run)[0]
    shown = {**header, "bits": bits_words(block.header.bits)}
    fields = table(("header", "value"), ((name, str(value)) for name, value in shown.items()))
    bodies = filled_table(
        "message | holder | norm | mechanism | noise | records",
        "{id:.8} | {who} | {norm:.6g} | {mechanism} | {noise:.4g} | {records}",
        ({**m, "who": _named(kind, m["holder"]) if m["records"] else "root"} for m in messages),
    )
    values = {"hash": block.header.hash.hex(), "header": header, "messages": messages}
    return values, [f"block {values['hash']}", fields, bodies]


def bits_words(bits: int) -> str:
    """Return a target in compact form in words: the zeros before it, and the tries that it asks.

    >>> bits_words(521142271)
    '521142271: 12 leading zero bits, one try in 4,096 succeeds'
    """
    zeros = 256 - target_from_compact(bits).bit_length()
    return f"{bits}: {zeros} leading zero bits, one try in {work_of(bits):,} succeeds"


def _participant(run: Run) -> str:
    """Return the word for a participant: holder or group."""
    # The scenario is not loaded, because it may name code.
    return "group" if run.manifest["scenario"]["nodes"].get("groups") else "holder"


def _nodes(run: Run) -> dict[str, int]:
    """Return the numbers of participants and compute nodes, by the letter of their names."""
    nodes = run.manifest["scenario"]["nodes"]
    groups, compute = nodes.get("groups"), nodes["compute"]
    participants = nodes["holders"] // groups["size"] if groups else nodes["holders"]
    miners = compute if isinstance(compute, int) else len(compute)
    return {_participant(run)[0]: participants, "c": miners}


def _named(kind: str, number: int | None) -> str:
    return "-" if number is None else f"{kind}{number}"


def _find(store: Store, run: Run, which: str) -> Block:
    if which == "0":
        return store.genesis
    on_chain = {str(row["height"]): row["block"] for row in run.metrics}
    wanted = on_chain.get(which, which)
    found = store.named(wanted) if len(wanted) >= 4 else None
    if found is None:
        known = f"give a height from 0 to {len(on_chain)}, or at least 4 digits of a hash"
        refuse(f"block: there is no block {which}; {known}")
    return store.shown(found)


def _round(run: Run, which: str) -> Inspection:
    rounds = [row for row in run.metrics if str(row["round"]) == which]
    if not rounds:
        refuse(f"round: there is no round {which}; the run has 1 to {len(run.metrics)}")
    told = [row for row in run.messages if str(row["round"]) == which]
    judged_by = run.manifest.get("judged_by", "")
    values = {**rounds[0], "judged_by": judged_by, "told": told}
    return values, [round_words(rounds[0]), fates_table(told, judged_by)]


def _node(run: Run, which: str) -> Inspection:
    if which == "root":
        return _messages_of(run, [row for row in run.messages if not row["members"]], which, which)
    kind, place = which[:1], which[1:]
    who, there = _participant(run), _nodes(run)
    if kind not in there or not re.fullmatch("[0-9]{1,9}", place):
        refuse(f"node: no node {which!r}; write {who[0]}3 for {who} 3, c0 for compute node 0")
    if int(place) >= there[kind]:
        refuse(f"node: there is no {which}; the run has {kind}0 to {kind}{there[kind] - 1}")
    if kind == "c":
        return _compute_node(run, int(place))
    told = [row for row in run.messages if row["holder"] == int(place)]
    return _messages_of(run, told, which, f"{who} {place}")


def _messages_of(run: Run, told: TableRows, which: str, name: str) -> Inspection:
    """Return a view of the messages of one participant, whose name in words is ``name``."""
    if not told:
        refuse(f"node: {name} has sent nothing in this run")
    used = sum(row["used"] for row in told)
    # A holder's epsilon grows with each release; it is None where no privacy is promised.
    spent = max((r["epsilon"] for r in told if r["epsilon"] is not None), default=None)
    line = f"{name}: {len(told)} releases, {used} used, epsilon {short_number(spent, 2)}"
    table = fates_table(told, run.manifest.get("judged_by", ""))
    return {"node": which, "messages": told}, [line, table]


def _compute_node(run: Run, node: int) -> Inspection:
    """Return a view of a node's blocks and refusals, and of refusals and evidence against it."""
    manifest = run.manifest
    heights = [row["height"] for row in run.metrics if row["miner"] == node]
    tally = manifest["chain"].get("nodes", [])  # empty until the run ends
    values = {
        "node": f"c{node}",
        "blocks": heights,
        "stale_blocks": tally[node]["stale_blocks"] if tally else None,
        "misconduct": [row for row in manifest["misconduct"] if row["node"] == node],
        "refused": sum(row["node"] == node for row in run.refusals),
        "refused_by_others": [row for row in _refused(run) if row["maker"] == node],
        "evidence_against": [row for row in _pairs(run) if row["maker"] == node],
    }
    lines = [
        f"compute node {node}: {len(heights)} blocks on the main chain: {heights}",
        f"it refused {values['refused']} blocks and messages of others",
        *([f"{values['stale_blocks']} of its blocks are stale"] if tally else ()),
        *(f"it is dishonest, {r['kind']}: {count_words(r['deeds'])}" for r in values["misconduct"]),
        *_refusal_tables(values["refused_by_others"]),
        *_pair_tables(values["evidence_against"]),
    ]
    return values, lines


def _refusals(run: Run, which: str | None) -> Inspection:
    """Return a view of all refusals, or only of those at the height ``which``."""
    if which is not None and not re.fullmatch("[0-9]{1,9}", which):
        refuse(f"refusals: {which!r} is no height; give a number, or nothing for all")
    refused, pairs = (
        [row for row in rows if which in (None, str(row["height"]))]
        for rows in (_refused(run), _pairs(run))
    )
    counts = {name: run.manifest[name] for name in ("refused", "fooled")}
    values = {**counts, "refusals": refused, "evidence": pairs}
    return values, [*_refusal_tables(refused), *_pair_tables(pairs)]


def _refused(run: Run) -> TableRows:
    """Return one row for each refused block or message, with all nodes that refused it."""
    return _gathered(run.refusals, ("id", "reason"))


def _pairs(run: Run) -> TableRows:
    """Return one row for each pair of blocks, with all nodes that hold the pair as evidence."""
    kept = ("round", "node", "maker", "time_s")
    events = (
        {name: e[name] for name in kept} | {"blocks": sorted((e["first"], e["second"]))}
        for e in run.evidence
    )
    return _gathered(events, ("blocks",))


def _gathered(events: Iterable[Mapping[str, Any]], alike: Sequence[str]) -> TableRows:
    """Merge events with equal values of the fields ``alike`` into one row, with all their nodes."""
    rows: dict[str, dict[str, Any]] = {}
    for event in events:
        values = {name: each for name, each in event.items() if name not in ("round", "node")}
        first = {"height": event["round"], **values, "nodes": []}
        row = rows.setdefault(str([event[name] for name in alike]), first)
        row["nodes"] = sorted({*row["nodes"], event["node"]})
    return list(rows.values())


def _refusal_tables(rows: TableRows) -> list[str | Table]:
    if not rows:
        return ["nothing was refused"]
    kinds = Counter(row["what"] for row in rows)
    shown = filled_table(
        "height | refused | by maker | at | by nodes | reason",
        "{height} | {what} {id:.8} | {by} | {time_s:.1f} s | {seen} | {reason}",
        ({**_with_names(row), "reason": _short(row["reason"])} for row in rows),
    )
    return [", ".join(f"{count} {what}s refused" for what, count in kinds.items()), shown]


def _pair_tables(rows: TableRows) -> list[str | Table]:
    shown = filled_table(
        "height | two blocks on one parent | by maker | at | seen by",
        "{height} | {blocks[0]:.8} {blocks[1]:.8} | {by} | {time_s:.1f} s | {seen}",
        map(_with_names, rows),
    )
    return [shown] if rows else []


def _with_names(row: Mapping[str, Any]) -> dict[str, Any]:
    seen = " ".join(f"c{number}" for number in row["nodes"])
    return {**row, "by": _named("c", row["maker"]), "seen": seen}


def _short(reason: str) -> str:
    """Return the reason without the name of the block or message."""
    name, _, rest = reason.partition(": ")
    return rest if name.startswith(("block ", "message ")) else reason

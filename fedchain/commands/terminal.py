"""View of a run in the terminal: a heading, one line for each round, the time left, a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fedchain.commands.formats import Format, table
from fedchain.names import command

if TYPE_CHECKING:
    from fedchain.results import MessageRecord, RoundRecord
    from fedchain.simulation.setup import RunSetup

NAMED_NODES = 6
"""Most compute nodes whose shares of the blocks are shown."""
NAMED_REJECTIONS = 3
"""Most Byzantine holders that a round's line names; the line counts the others."""
WIDTHS = (5, 6, 8, 7, 6, 18, 8, 7, 6)
"""Width of each column in characters; the line of a round fits a terminal of 80 characters."""


class Terminal:
    """View of a run on stderr while the run goes on: one line for each round, and the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._score, self._stale = "score", 0
        self._bar = Progress(
            TextColumn("Training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("left    Ctrl-C saves and stops"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._rounds = self._bar.add_task("rounds", total=None)
        self._preparing = console.status("Preparing the data, the noise and the keys")
        self._preparing.start()

    def on_run_begin(self, folder: Path, setup: RunSetup) -> None:
        """Show what is about to run."""
        self._score = setup.task.score
        self._preparing.stop()
        self._console.print(f"{folder.name}  ({setup.task.name})", style="bold", markup=False)
        if setup.task.note:
            self._console.print(setup.task.note, soft_wrap=True, markup=False)
        self._console.print(heading(setup), soft_wrap=True, markup=False)
        numbers = ("round", "loss", self._score[:8], "epsilon", "used")
        columns = (*numbers, "rejected", "block", "fork", "time")
        self._console.print(in_columns(columns), style="dim")
        self._bar.update(self._rounds, total=setup.rules.rounds)
        self._bar.start()

    def on_round_end(self, record: RoundRecord, messages: list[MessageRecord]) -> None:
        """Show one round."""
        self._bar.print(self._round_line(record, messages), soft_wrap=True)
        self._bar.update(self._rounds, completed=record.round)

    def close(self) -> None:
        """Remove the progress bar when the run ends or fails."""
        self._preparing.stop()
        self._bar.stop()

    def _round_line(self, record: RoundRecord, messages: list[MessageRecord]) -> str:
        stale, self._stale = record.stale_blocks - self._stale, record.stale_blocks
        return in_columns(
            (
                str(record.round),
                short_number(record.metrics.get("loss")),
                short_number(record.metrics.get(self._score)),
                short_number(record.epsilon, 2),
                f"{record.used}/{record.messages}",
                rejections(messages),
                record.block[:8],
                f"{stale} stale" if stale > 0 else "-",
                f"{sum(record.seconds.values()):.1f} s",
            )
        )


def _counts(kinds: Counter[str]) -> str:
    named = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f" ({named})" if named else ""


def heading(setup: RunSetup) -> str:
    """Return a line with the numbers of nodes, rounds and weights, privacy, and hashing time."""
    from fedchain.nodes.compute.hashing import expected_hashing_s, hashing_words
    from fedchain.scenario import ComputeAttack, attackers_of

    scenario, mechanism = setup.scenario, setup.mechanism
    attacks = dict(enumerate(scenario.attacks))
    holders = attackers_of(attacks, scenario.nodes.holders, scenario.seed).items()
    others = [a for a in scenario.attacks if isinstance(a, ComputeAttack)]
    named = _counts(Counter(attacks[i].part.kind for i, those in holders for _ in those))
    dishonest = _counts(Counter(a.part.kind for a in others for _ in a.nodes))
    total = mechanism.epsilon_after(mechanism.terms.releases)
    privacy = "no privacy"
    if mechanism.noise_multiplier:
        privacy = (
            f"epsilon <= {total:.3g} (delta {mechanism.terms.delta:g}, "
            f"{mechanism.name} {mechanism.noise_multiplier:.3g})"
        )
    nodes = scenario.nodes
    asked = f", {nodes.asked} a round" if nodes.asked < nodes.participants else ""
    if nodes.groups:
        found = nodes.groups
        honest = f"{found.honest_members} honest, {found.dropouts} may be lost"
        asked = f" in {nodes.participants} groups of {found.size} ({honest}){asked}"
    return " · ".join(
        (
            f"{nodes.holders} holders" + named + asked,
            f"{nodes.miners} compute nodes" + dishonest,
            f"{scenario.rounds} rounds",
            f"{setup.rules.dimension:,} weights",
            privacy,
            f"hashing {hashing_words(expected_hashing_s(scenario))}",
        )
    )


def in_columns(words: Sequence[str]) -> str:
    """Return words as one line: numbers aligned right, names left."""
    cells = zip(words, WIDTHS, strict=True)
    return " ".join(
        f"{word:<{width}}" if 5 <= place <= 7 else f"{word:>{width}}"
        for place, (word, width) in enumerate(cells)
    )


def rejections(messages: list[MessageRecord]) -> str:
    """Return the names of the Byzantine holders, and the number of unused honest messages.

    An exclamation mark marks a Byzantine holder whose message was used: the rule missed it.
    """
    attackers = [(m.used, f"{letter(m.members)}{m.holder}") for m in messages if m.attack]
    caught = [name for used, name in attackers if not used]
    missed = [f"{name}!" for used, name in attackers if used]
    honest = sum(not m.used and not m.attack for m in messages)
    named = (missed + caught)[:NAMED_REJECTIONS]
    more = len(missed + caught) - len(named)
    words = [*named, f"+{more}" if more else "", f"{honest} honest" if honest else ""]
    return " ".join(word for word in words if word) or "-"


def letter(members: int) -> str:
    """Return the first letter of a participant's name: h for a holder (1 member), g for a group."""
    return "h" if members == 1 else "g"


def short_number(value: float | None, places: int = 3) -> str:
    """Return a number for a narrow column; a dash for None."""
    return "-" if value is None else f"{value:.{places}f}"


def summary_lines(form: Format, summary: Mapping[str, Any]) -> list[str | Table]:
    """Return the final metrics of a run beside its baselines, and what to do next."""
    metrics = {k: v for k, v in summary["metrics"].items() if k != "baselines"}
    baselines: dict[str, dict[str, float | None]] = summary["metrics"]["baselines"]
    rows = table(form, "metric", "model", *baselines)
    for name, value in metrics.items():
        beside = [short_number(b.get(name)) for b in baselines.values()]
        rows.add_row(name, short_number(value), *beside)
    return [*([rows] if metrics else []), *closing_lines(summary)]


def _dishonest_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return what dishonest compute nodes did, and what the honest ones did about it."""
    lines = []
    for row in summary["misconduct"]:
        counters = ", ".join(f"{count} {what}" for what, count in row["deeds"].items()) or "nothing"
        lines.append(f"dishonest c{row['node']} {row['kind']}: {counters}")
    if summary["refused"] or summary["evidence"]:
        wasted = f", {summary['fooled']} releases wasted" if summary["fooled"] else ""
        lines.append(
            f"refused   {summary['refused']} times by honest compute nodes, "
            f"{summary['evidence']} pairs of blocks as evidence{wasted}; "
            f"see {command('inspect', Path(summary['run']), 'refusals')}"
        )
    return lines


def _traffic_lines(traffic: Mapping[str, Any]) -> list[str]:
    """Return a line on the traffic over the links; no line if the run has not ended."""
    if not traffic:
        return []
    miners, holders = traffic["nodes"], traffic["holders"]
    sent = sum(node["sent"] for node in miners) + holders["sent"]
    received = sum(node["received"] for node in miners) + holders["received"]
    lost = f", {(sent - received) / 1e6:.3g} MB of it lost" if sent > received else ""
    return [
        f"traffic   {sent / 1e6:.3g} MB sent over the links{lost}; "
        f"compute nodes received {(received - holders['received']) / 1e6:.3g} MB, "
        f"holders {holders['received'] / 1e6:.3g} MB"
    ]


def _weights_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return a line on how much each message counts; none if nothing counts, or by no weights."""
    from fedchain.aggregation.weights import weights_in_words

    if summary["weights"] is None or not summary["messages"]["messages"]:
        return []
    return [f"weights   {weights_in_words(summary['weights'])}"]


def closing_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return the lines on status, privacy, messages, ledger, time and the next command."""
    epsilon, told, seconds = summary["epsilon"], summary["messages"], summary["seconds"]
    if epsilon["total"] is None:
        privacy = "none was asked for"
    else:
        privacy = (
            f"epsilon {epsilon['total']:.3g} at delta {epsilon['delta']:g} for the worst holder, "
            f"over {epsilon['worst_holder_releases']} releases"
        )
    attackers = ""
    if told["byzantine"]:
        caught = told["byzantine"] - told["byzantine_used"]
        attackers = f"{caught} of {told['byzantine']} Byzantine messages rejected, "
    stages = ", ".join(
        f"{name} {value:.1f}"
        for name, value in seconds.items()
        if name != "total" and value >= 0.05
    )
    run = Path(summary["run"])
    head = f"#{summary['height']} {summary['head'][:16]}" if summary["head"] else "genesis"
    diverged = "loss" in summary["metrics"] and summary["metrics"]["loss"] is None
    advice = "; the loss is no finite number: a smaller update.learning_rate may help"
    chain = summary["chain"]
    won = [f"{n['main_share']:.3g}" for n in chain.get("nodes", ())[:NAMED_NODES]]
    more = ", .." if len(chain.get("nodes", ())) > NAMED_NODES else ""
    return [
        f"status    {summary['status']}, {summary['height']} of {summary['rounds']} rounds"
        f"{advice if diverged else ''}",
        f"privacy   {privacy}",
        f"messages  {attackers}{told['used']} of {told['messages']} used",
        *_weights_lines(summary),
        f"ledger    head {head}, {summary['stale_blocks']} stale, "
        f"{summary['reorganisations']} reorganisations",
        *([f"blocks    {', '.join(won)}{more} of them by node 0, 1, .."] if won else ()),
        *_traffic_lines(summary["traffic"]),
        *_dishonest_lines(summary),
        f"seconds   {seconds['total']:.1f} in all ({stages})",
        f"memory    {summary['peak_rss_mb']:.0f} MB",
        f"files     {summary['run']}",
        f"next      {command('verify', run)}   ·   {command('report', run)}",
    ]

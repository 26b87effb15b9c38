"""Terminal: shows a run on stderr, with a line for each round, the time left and a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from fedchain.cache import size_words
from fedchain.commands.fates import left_out_words, short_number
from fedchain.commands.formats import tables_that_fit
from fedchain.commands.headings import count_words, heading, settings_line
from fedchain.commands.waiting import WaitingSign
from fedchain.names import command
from fedchain.runs.callbacks import Callback, RoundEnd
from fedchain.scenario import HolderAttack

if TYPE_CHECKING:
    from fedchain.results import RoundRecord
    from fedchain.simulation.setup import RunSetup

NAMED_NODES = 6
"""Maximum number of compute nodes whose shares of the blocks are shown."""
LINE = "{:>5} {:>6} {:>8} {:>7} {:>6} {:<18} {:<8} {:<7} {:>6}"
"""Columns of a round's line, for a terminal of 80 characters."""
LEFT_OUT_LETTERS = 18
"""Width of the column of messages that were left out."""
ATTACKERS_LEGEND = (
    "left out: h9 and +9 are attackers whom the rule left out, h9! and +9! attackers\n"
    "whom it USED; honest holders that it left out are counted"
)
AGAIN_LEGEND = "        * told again: after a fork, another block took the place of this round's"
ALARM, CALM = "bold red", "dim"
"""Styles: of attackers whose messages were used, and of honest messages that were left out."""


class Terminal(Callback):
    """View of a run in progress on stderr: one line for each round, and the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._score, self._stale, self._highest, self._told_again = "score", 0, 0, False
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
        self._preparing = WaitingSign(console, "Preparing the data, the noise and the keys")

    def on_run_begin(self, folder: Path, setup: RunSetup) -> None:
        """Show the run's heading and the columns."""
        self._score = setup.task.score
        self._preparing.stop()
        title = f"{folder.name}  ({setup.task.name})"
        # A terminal would break lines inside words; a file keeps each as one line.
        whole = not self._console.is_terminal
        self._console.print(title, style="bold", soft_wrap=whole)
        if setup.task.note:
            self._console.print(setup.task.note, soft_wrap=whole)
        self._console.print(heading(setup), soft_wrap=whole)
        self._console.print(settings_line(setup.scenario, setup.task.learns), soft_wrap=whole)
        if any(isinstance(attack, HolderAttack) for attack in setup.scenario.attacks):
            self._console.print(ATTACKERS_LEGEND, style="dim", soft_wrap=True)
        columns = LINE.format(
            "round", "loss", self._score[:8], "epsilon", "used", "left out", "block", "fork", "time"
        )
        self._console.print(columns, style="dim", soft_wrap=True)
        self._bar.update(self._rounds, total=setup.rules.rounds)
        self._bar.start()

    def on_round_end(self, ended: RoundEnd) -> None:
        """Show one round; a star marks a round that is told again after a fork."""
        record, messages = ended.record, ended.messages
        if again := record.round <= self._highest:
            self._tell_legend_of_star()
        self._highest = max(self._highest, record.round)
        cells, words = self._cells(record, again), left_out_words(messages, LEFT_OUT_LETTERS)
        line = LINE.format(*cells[:5], " ".join(word for word, _ in words) or "-", *cells[5:])
        if not self._console.is_terminal:  # nobody sees a bar, and rich takes long to print a line
            self._console.file.write(f"{line}\n")
            return
        self._bar.print(coloured(line, words), soft_wrap=True)
        self._bar.update(self._rounds, completed=record.round)

    def _tell_legend_of_star(self) -> None:
        if not self._told_again:
            self._bar.print(AGAIN_LEGEND, style="dim", soft_wrap=True)
        self._told_again = True

    def close(self) -> None:
        """Remove the progress bar when the run ends or fails."""
        self._preparing.stop()
        self._bar.stop()

    def _cells(self, record: RoundRecord, again: bool) -> tuple[str, ...]:
        """Return the columns of a round's line, without the one of what was left out."""
        stale, self._stale = record.stale_blocks - self._stale, record.stale_blocks
        diverged = record.metrics.get("loss", 0.0) is None
        return (
            f"{record.round}{'*' if again else ''}",
            "nan" if diverged else short_number(record.metrics.get("loss")),
            short_number(record.metrics.get(self._score)),
            short_number(record.epsilon, 2),
            f"{record.used}/{record.messages}",
            record.block[:8],
            f"{stale} stale" if stale > 0 else "-",
            f"{sum(record.seconds.values()):.1f} s",
        )


def coloured(line: str, words: Sequence[tuple[str, str]]) -> Text:
    """Return a round's line, with each of the words of ``left_out_words`` in its style."""
    styles = {"used": ALARM, "honest": CALM}
    text = Text(line)
    for word, fate in words:
        if fate in styles:
            text.highlight_words([word], styles[fate])
    return text


def summary_lines(summary: Mapping[str, Any]) -> list[str | Table]:
    """Return the lines after a run: its finding, final metrics and baselines, ``closing_lines``."""
    metrics = {k: v for k, v in summary["metrics"].items() if k != "baselines"}
    baselines: dict[str, dict[str, float | None]] = summary["metrics"]["baselines"]
    rows = (
        (name, short_number(value), *(short_number(b.get(name)) for b in baselines.values()))
        for name, value in metrics.items()
    )
    heads = (name.replace("_", " ") for name in baselines)  # which break between words
    shown = tables_that_fit(("metric", "model", *heads), list(rows)) if metrics else []
    return [summary["finding"], *shown, *closing_lines(summary)]


def divergence_words(summary: Mapping[str, Any]) -> list[str]:
    """Return what must not be overlooked: losses and gradients that are no finite numbers.

    >>> divergence_words({"diverged": 3, "silent": {}, "faults": []})[0][:36]
    'round 3: the loss on the held-out re'
    """
    from fedchain.nodes.holders.data_holder import NOT_FINITE
    from fedchain.results import silent_words

    faults, found = summary["faults"], list[str]()
    if faults:
        more = f"; and so with {len(faults) - 1} or more other holders" if faults[1:] else ""
        found.append(f"{faults[0]}{more}; what has no finite loss teaches nothing")
    if summary["diverged"] is not None:
        found.append(
            f"round {summary['diverged']}: the loss on the held-out records is no finite number; "
            "a smaller update.learning_rate may help, or a loss without log or root of 0"
        )
    odd = {why: names for why, names in summary["silent"].items() if why.startswith(NOT_FINITE)}
    return found + ([f"{silent_words(odd)}; their messages are missing"] if odd else [])


def held_against(counts: Mapping[str, Any], run: Path) -> list[str]:
    """Return a line that counts refusals and evidence, or no line if there are none.

    ``counts`` is a run's manifest or summary.
    """
    if not counts["refused"] and not counts["evidence"]:
        return []
    wasted = f", {counts['fooled']} releases wasted" if counts["fooled"] else ""
    return [
        f"refused   {counts['refused']} times by honest compute nodes, {counts['evidence']} pairs "
        f"of blocks as evidence{wasted}; see {command('inspect', run, 'refusals')}"
    ]


def _traffic_lines(traffic: Mapping[str, Any]) -> list[str]:
    """Return a line on the traffic over the links, or no line if the run has not ended."""
    if not traffic:
        return []
    ends = (*traffic["nodes"], traffic["holders"])
    sent, received = (sum(end[way] for end in ends) for way in ("sent", "received"))
    to_holders = traffic["holders"]["received"]
    lost = f", {size_words(sent - received)} of it lost" if sent > received else ""
    return [
        f"traffic   {size_words(sent)} sent over the links{lost}; compute nodes received "
        f"{size_words(received - to_holders)}, holders {size_words(to_holders)}"
    ]


def _weights_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return a line on how much each message counts, or no line without weights or messages."""
    from fedchain.aggregation.weights import weights_in_words

    if summary["weights"] is None or not summary["messages"]["messages"]:
        return []
    return [f"weights   {weights_in_words(summary['weights'])}"]


def _privacy_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return a line on the epsilon that was spent, and the privacy warnings."""
    epsilon, privacy = summary["epsilon"], "none was asked for"
    if epsilon["total"] is not None:
        privacy = (
            f"epsilon {epsilon['total']:.3g} at delta {epsilon['delta']:g} for the worst holder, "
            f"over {epsilon['worst_holder_releases']} releases"
        )
    return [f"privacy   {privacy}", *(f"warning   {each}" for each in summary["warnings"])]


def _status_words(summary: Mapping[str, Any]) -> str:
    stopped = summary["stopped"]
    return f"{summary['status']} ({stopped['reason']})" if stopped else str(summary["status"])


def closing_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return the lines on status, privacy, messages, ledger, time and the next command."""
    from fedchain.results import silent_words

    told, seconds = summary["messages"], summary["seconds"]
    attackers = ""
    if told["byzantine"]:
        caught = told["byzantine"] - told["byzantine_used"]
        attackers = f"{caught} of {told['byzantine']} Byzantine messages left out, "
        if summary["capture"] is not None:
            attackers += f"they had {summary['byzantine_share']:.1%} of the gradient and captured "
            attackers += f"{summary['capture']:.0%} of the attacked rounds, "
    counted = {name: value for name, value in seconds.items() if name != "total"}
    stages = ", ".join(f"{name} {value:.1f}" for name, value in counted.items() if value >= 0.05)
    run = Path(summary["run"])
    head = f"#{summary['height']} {summary['head'][:16]}" if summary["head"] else "genesis"
    nodes = summary["chain"].get("nodes", ())
    won = ", ".join(f"{node['main_share']:.3g}" for node in nodes[:NAMED_NODES])
    more = ", .." if len(nodes) > NAMED_NODES else ""
    return [
        f"status    {_status_words(summary)}, {summary['height']} of {summary['rounds']} rounds"
        f"{'; the loss is no finite number' if summary['diverged'] else ''}",
        *_privacy_lines(summary),
        f"messages  {attackers}{told['used']} of {told['messages']} used",
        *_weights_lines(summary),
        f"ledger    head {head}, {summary['stale_blocks']} stale, "
        f"{summary['reorganisations']} reorganisations",
        *([f"blocks    {won}{more} of them by node 0, 1, .."] if won else ()),
        *_traffic_lines(summary["traffic"]),
        *(
            f"dishonest c{row['node']} {row['kind']}: {count_words(row['deeds'])}"
            for row in summary["misconduct"]
        ),
        *held_against(summary, run),
        *([f"silent    {silent_words(summary['silent'])}"] if summary["silent"] else ()),
        f"seconds   {seconds['total']:.1f} in all{f' ({stages})' if stages else ''}",
        f"memory    {summary['peak_rss_mb']:.0f} MB",
        f"files     {summary['run']}",
        f"next      {command('verify', run)}   ·   {command('report', run)}",
    ]

"""Rounds that no machine at hand can run, by the cost model: tables for ``docs/scale.md``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fedchain.forecasts.costs import (
    Configuration,
    Learning,
    Rates,
    block_bytes,
    message_bytes,
    state_bytes,
    wire_bytes,
)

HOLDER_LINE, NODE_LINE = 12.5e6, 125e6
"""Bytes a second of a holder's line and of a compute node's: 100 Mbit/s and 1 Gbit/s."""
ROUNDS = 1000
"""Of the runs that are planned: the identities of all of them are registered."""
MODEL, BILLION, MILLION, COHORT = 50_890, 10**9, 10**6, 1000
"""Parameters of the dense network of the benchmarks, of a large one; holders; a sample of them."""
SUBSET, GROUP, SHARDS, KEPT_EVERY = 100, 25, 10, 100
"""One number of so many is sent; holders of a group; parts of d; rounds between kept states."""


def dense(holders: int, dimension: int) -> Configuration:
    """Return a round of a dense network of 8 layers that is one multiply-add a parameter."""
    layers, examples = 8, 60
    width = math.sqrt(dimension / layers)
    return Configuration(
        holders=holders,
        learning=Learning(
            examples=examples,
            dimension=dimension,
            products=float(dimension),
            activations=2 * layers * width,
            layers=2 * layers,
            method="segments",
            pieces=1,
            held_out=0,
        ),
        private=True,
        compute=3,
        workers=2,
        storage=2,
        path=math.ceil(math.log2(holders * ROUNDS)),
        state=3,
        weights=8,
        difficulty_bits=20,
        measured_every=1,
    )


CASES = {
    "today: K = 50, d = 50,890": dense(50, MODEL),
    "K = 10^6": dense(MILLION, MODEL),
    "d = 10^9": dense(50, BILLION),
    "K = 1,000 of 10^6, d = 10^9": dense(COHORT, BILLION),
}
"""What is asked of the model, by words."""


def tables(rates: Rates) -> dict[str, str]:
    """Return the tables by name."""
    columns = [limits(asked, rates) for asked in CASES.values()]
    rows = [(what, *(column[what] for column in columns)) for what in columns[0]]
    return {
        "breaks": table(("a round", *CASES), rows),
        "parameters": table(ANSWERED, answers(dense(COHORT, BILLION), dense(MILLION, BILLION))),
        "holders": table(ANSWERED, answers(dense(COHORT, MODEL), dense(MILLION, MODEL))),
    }


def limits(asked: Configuration, rates: Rates) -> dict[str, str]:
    """Return what one holder and one compute node, a machine like this one each, have to do."""
    d, k, cores = asked.dimension, asked.holders, rates.cores
    gradient = rates.gradients["segments"].seconds(asked.learning.gradient)
    private = d * (rates.noise + rates.quantise)
    wire = wire_bytes(asked)
    checked = k * (d * (asked.storage * rates.hash / cores + rates.check) + rates.verify / cores)
    stepped = k * d * rates.aggregate + asked.state * d * rates.update
    stepped += state_bytes(asked) * rates.hash
    return {
        "holder: gradient": duration(gradient),
        "holder: noise, quantising, hash": duration(private + d * asked.storage * rates.hash),
        "holder: its message": size(message_bytes(asked)),
        "holder: fetch weights, send to three": duration(wire["holder"] / HOLDER_LINE),
        "compute node: receives and sends": size(wire["compute node"]),
        "compute node: on its line": duration(wire["compute node"] / NODE_LINE),
        "compute node: hash and check": duration(checked),
        "compute node: aggregation, update": duration(stepped),
        "compute node: directions in memory": size(k * d * asked.storage),
        "a block": size(block_bytes(asked)),
        "the state after it": size(state_bytes(asked)),
    }


ANSWERED = ("answer", "built", "messages", "a message", "a compute node receives", "on its line",
            "stored a round")  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """How a round travels and is kept."""

    messages: int
    """That reach a compute node."""
    message: int
    """Bytes of one."""
    copies: int
    """How often a message reaches a compute node: by itself, and in a block."""
    shards: int
    """Parts of d, each with compute nodes of its own."""
    state: float
    """Bytes of the state that is stored a round."""
    history: int
    """Whether the messages stay stored: 1 or 0."""

    def row(self, words: str, built: str) -> tuple[str, ...]:
        """Return a row of the table."""
        received = self.messages * self.message * self.copies / self.shards
        stored = (self.messages * self.message * self.history + self.state) / self.shards
        figures = size(self.message), size(received), duration(received / NODE_LINE), size(stored)
        return words, built, f"{self.messages:,}", *figures


def answers(cohort: Configuration, everybody: Configuration) -> list[tuple[str, ...]]:
    """Return what each answer of the design leaves to do, all the answers above it included."""
    d, k, full = cohort.dimension, cohort.holders, float(state_bytes(cohort))
    light = float(d * 4 * cohort.state)  # weights and moments as float32
    byte = replace(cohort, storage=1)
    overhead = message_bytes(cohort) - d * cohort.storage
    few = overhead + d // SUBSET
    groups, summed = k // GROUP, overhead + 2 * (d // SUBSET)  # sums of 25 int8 need 13 bits
    plan = Plan(everybody.holders, message_bytes(everybody), 2, 1, full, 1)
    sampled = replace(plan, messages=k, message=message_bytes(cohort))
    narrow = replace(sampled, message=message_bytes(byte))
    once = replace(narrow, copies=1)
    subset = replace(once, message=few)
    grouped = replace(subset, messages=groups, message=summed)
    sharded = replace(grouped, shards=SHARDS)
    return [
        plan.row("everybody is asked", "yes"),
        sampled.row("a sampled cohort: `nodes.cohort`", "yes"),
        narrow.row("int8 directions: `ledger.storage`", "yes"),
        once.row("blocks name messages instead of carrying them", "no"),
        subset.row(f"one number in {SUBSET}, the same for all, drawn from the parent", "no"),
        grouped.row(f"groups of {GROUP} with secure aggregation", "yes"),
        sharded.row(f"{SHARDS} committees, each a part of d", "no"),
        replace(sharded, state=light, history=0).row(
            "float32 state, messages pruned once they are final", "yes"
        ),
        replace(sharded, state=light / KEPT_EVERY, history=0).row(
            f"the state kept every {KEPT_EVERY} rounds", "yes"
        ),
    ]


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown.

    >>> table(("a", "b"), [("1", "2")]).splitlines()
    ['| a | b |', '| --- | --- |', '| 1 | 2 |']
    """
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def size(count: float) -> str:
    """Return bytes as people say them.

    >>> size(2_000_000_512), size(622)
    ('2 GB', '622 B')
    """
    value, step = float(count), 0
    while value >= 1000 and step < 5:
        value, step = value / 1000, step + 1
    return f"{value:.3g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[step]}"


def duration(seconds: float) -> str:
    """Return a time as people say it.

    >>> duration(0.0042), duration(7200), duration(32_000_000)
    ('4.2 ms', '2 h', '370 days')
    """
    units = (("ms", 1e-3, 1.0), ("s", 1.0, 120.0), ("min", 60.0, 7200.0), ("h", 3600.0, 172_800.0))
    fitting = [(unit, scale) for unit, scale, limit in units if seconds < limit]
    unit, scale = fitting[0] if fitting else ("days", 86_400.0)
    value = seconds / scale
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.2g} {unit}"

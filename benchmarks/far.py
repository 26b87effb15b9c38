"""Rounds that no machine at hand can run, by the cost model: tables for ``docs/scale.md``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fedchain.forecasts.rates import Rates
from fedchain.forecasts.trial import Trial
from fedchain.ledger.chain.block import START_BYTES

HOLDER_LINE, NODE_LINE = 12.5e6, 125e6
"""Bytes a second of a holder's line and of a compute node's: 100 Mbit/s and 1 Gbit/s."""
ROUNDS = 1000
"""Rounds of a planned run; the identities of all rounds are registered."""
MODEL, BILLION, MILLION, COHORT = 50_890, 10**9, 10**6, 1000
"""Parameters of the benchmarks' dense network and of a large network; holders, and a sample."""
SUBSET, GROUP, SHARDS, KEPT_EVERY = 100, 25, 10, 100
"""One number in SUBSET is sent; holders in a group; parts of the parameters; rounds from one
kept state to the next."""
COMPUTE, NUMBER, STATE = 3, 2, 24
"""Number of compute nodes; bytes of one number of a direction (int16); bytes of the state for each
weight (Adam, float64)."""
PROOF = 32
"""Bytes that a proof grows with each doubling of the number of identities."""


@dataclass(frozen=True)
class Tried:
    """Costs of one holder on a machine like this one, measured by a trial."""

    dimension: int
    """Number of entries of a gradient, d."""
    identities: int
    """Number of registered identities."""
    message: int
    """Bytes of the holder's message."""
    gradient_s: float
    """Time of the holder's gradient, in seconds."""
    release_s: float
    """Time of noise, quantising, hashing and signing, in seconds."""

    @classmethod
    def of(cls, trial: Trial) -> Tried:
        """Return the costs of one holder of a trial."""
        spent, asked = trial.spent_s, trial.scenario.nodes.asked
        return cls(
            dimension=trial.dimension,
            identities=asked * trial.scenario.rounds,
            message=trial.message,
            gradient_s=spent["gradients"] / asked,
            release_s=(spent["noise"] + spent["signing"]) / asked,
        )

    def at(self, holders: int, dimension: int) -> Round:
        """Return a round of many such holders; times and message grow with ``dimension``."""
        path = (holders * ROUNDS - 1).bit_length() - (self.identities - 1).bit_length()
        growth = dimension / self.dimension
        return Round(
            holders=holders,
            dimension=dimension,
            overhead=self.message - NUMBER * self.dimension + PROOF * path,
            gradient_s=growth * self.gradient_s,
            release_s=growth * self.release_s,
        )


@dataclass(frozen=True)
class Round:
    """A predicted round."""

    holders: int
    """Number of holders that are asked in the round, K."""
    dimension: int
    """Number of entries of a gradient, d."""
    overhead: int
    """Bytes of a message without its direction."""
    gradient_s: float
    """Time of a holder's gradient, in seconds."""
    release_s: float
    """Time of the rest of a holder's release, in seconds."""

    @property
    def message(self) -> int:
        """Bytes of a message."""
        return self.overhead + NUMBER * self.dimension

    @property
    def block(self) -> int:
        """Bytes of a block."""
        return START_BYTES + 4 + self.holders * (4 + self.message)

    @property
    def state(self) -> int:
        """Bytes of the state."""
        return STATE * self.dimension

    def limits(self, rates: Rates) -> dict[str, str]:
        """Return the work of a holder and of a compute node, each on a machine like this one."""
        fetched = START_BYTES + 8 * self.dimension
        received = self.holders * self.message + self.block + self.holders * fetched // COMPUTE
        stepped = self.block * rates.message + self.state * rates.state
        sent = (COMPUTE * self.message + fetched) / HOLDER_LINE
        return {
            "holder: gradient": duration(self.gradient_s),
            "holder: noise, quantising, hash": duration(self.release_s),
            "holder: its message": size(self.message),
            "holder: fetch weights, send to three": duration(sent),
            "compute node: receives and sends": size(received),
            "compute node: on its line": duration(received / NODE_LINE),
            "compute node: check, aggregation, update": duration(stepped),
            "compute node: directions in memory": size(self.holders * NUMBER * self.dimension),
            "a block": size(self.block),
            "the state after it": size(self.state),
        }


def tables(rates: Rates, small: Tried, large: Tried) -> dict[str, str]:
    """Return the tables by name.

    Args:
        rates: rates of this machine.
        small: costs of a holder of the benchmarks' dense network.
        large: costs of a holder of a network of a million parameters.
    """
    cases = {
        "today: K = 50, d = 50,890": small.at(50, MODEL),
        "K = 10^6": small.at(MILLION, MODEL),
        "d = 10^9": large.at(50, BILLION),
        "K = 1,000 of 10^6, d = 10^9": large.at(COHORT, BILLION),
    }
    columns = [asked.limits(rates) for asked in cases.values()]
    rows = [(what, *(column[what] for column in columns)) for what in columns[0]]
    return {
        "breaks": table(("a round", *cases), rows),
        "parameters": table(ANSWERED, answers(large, BILLION)),
        "holders": table(ANSWERED, answers(small, MODEL)),
    }


ANSWERED = ("answer", "built", "messages", "a message", "a compute node receives", "on its line",
            "stored a round")  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """A way to send and store the data of a round."""

    messages: int
    """Number of messages that reach a compute node."""
    message: int
    """Bytes of one message."""
    copies: int
    """How often a message reaches a compute node: 2, alone and in a block, or 1."""
    shards: int
    """Parts into which the parameters are split, each with its own compute nodes."""
    state: float
    """Bytes of the state stored per round."""
    history: int
    """Whether the messages stay stored: 1 or 0."""

    def row(self, words: str, built: str) -> tuple[str, ...]:
        """Return a row of the table."""
        received = self.messages * self.message * self.copies / self.shards
        stored = (self.messages * self.message * self.history + self.state) / self.shards
        figures = size(self.message), size(received), duration(received / NODE_LINE), size(stored)
        return words, built, f"{self.messages:,}", *figures


def answers(tried: Tried, d: int) -> list[tuple[str, ...]]:
    """Return one row for each answer of the design; each row includes all answers above it."""
    everybody, cohort = tried.at(MILLION, d), tried.at(COHORT, d)
    k, full, overhead = cohort.holders, float(cohort.state), cohort.overhead
    light = full / 2  # weights and moments as float32
    few = overhead + d // SUBSET
    groups, summed = k // GROUP, overhead + 2 * (d // SUBSET)  # sums of 25 int8 need 13 bits
    plan = Plan(everybody.holders, everybody.message, 2, 1, full, 1)
    sampled = replace(plan, messages=k, message=cohort.message)
    narrow = replace(sampled, message=overhead + d)
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

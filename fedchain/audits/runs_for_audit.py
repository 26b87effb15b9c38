"""Runs for an audit: find or make the runs of a scenario, and read what the runs publish."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedchain.arrays import Vector
from fedchain.errors import Problem, RunRefused, ScenarioError
from fedchain.ledger.chain.message import Message
from fedchain.ledger.chain.verdict_cache import MOST
from fedchain.ledger.storage.store import Store
from fedchain.nodes.holders.momentum import LastMessage, release_behind
from fedchain.nodes.holders.trail import Trail
from fedchain.results import LEDGER, Run
from fedchain.runs.callbacks import Callback, RoundEnd
from fedchain.runs.running import run_or_resume
from fedchain.scenario import (
    Momentum,
    Scenario,
    from_mapping,
    plain_values,
    run_name,
    scenario_digest,
)
from fedchain.simulation.setup import RunSetup

KEEP_ALL = {"keep_weights": "all", "keep_messages": "all"}
"""Values of the scenario section ``disk`` with which a run keeps everything."""
AuditProgress = Callable[[str, int, int], None]
"""Function that is called with (current activity, steps done, steps in all)."""


@dataclass(frozen=True)
class Listener(Callback):
    """Callback of a run that reports the run's progress."""

    show: Callable[[int], None]
    """Function that is called with the number of finished rounds."""

    def on_run_begin(self, folder: Path, setup: RunSetup) -> None:  # noqa: ARG002
        """Report that the first round begins."""
        self.show(0)

    def on_round_end(self, ended: RoundEnd) -> None:
        """Report the end of a round."""
        self.show(ended.record.round)


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The user's settings of an audit."""

    epsilons: tuple[float, ...] = ()
    """Epsilons to audit; if empty, only the scenario's epsilon."""
    runs: int | None = None
    """Number of runs per claimed epsilon, each with another seed; None for the audit's default."""
    canaries: int | None = None
    """Number of canaries planted among the records of each holder; None for the audit's default."""
    records: int = 1
    """Number of records of each holder in the audit ``inversion``."""
    confidence: float = 0.95
    """Confidence of every bound."""
    workers: int | None = None
    """Number of workers of the engine; None for the scenario's number."""
    secret: str | Path | None = None
    """The secret file of all runs, as in ``fedchain.run``; None if they have no secret file."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A scenario to audit, with the user's settings and the folder for the audit's runs."""

    scenario: Scenario
    """The scenario that is audited."""
    done: Run | None
    """The finished run that the user named; None for a scenario."""
    runs: Path
    """Folder of the runs that the audit makes."""
    choices: Choices
    """The user's settings."""
    progress: AuditProgress
    """Called with (current activity, steps done, steps in all)."""

    def claims(self) -> list[Scenario]:
        """Return one scenario for each epsilon to audit."""
        chosen = self.choices.epsilons
        if not chosen:
            return [self.scenario]
        return [
            for_audit(self.scenario, {"privacy.epsilon": value, "privacy.noise_multiplier": None})
            for value in chosen
        ]

    def seeded(self, scenario: Scenario, count: int = 1) -> list[Scenario]:
        """Return ``choices.runs`` or else ``count`` copies of a scenario, with successive seeds."""
        seeds = range(scenario.seed, scenario.seed + (self.choices.runs or count))
        return [for_audit(scenario, {"seed": seed}) for seed in seeds]

    def run(self, scenario: Scenario) -> Run:
        """Return a finished run of a scenario: the user's run, an earlier run, or a new one."""
        if self.done is not None and same_run(self.done.scenario, scenario):
            return self.done
        place, choices = self.runs / run_name(scenario), self.choices
        workers, secret = choices.workers, choices.secret
        listener = Listener(lambda done: self.progress(place.name, done, scenario.rounds))
        return run_or_resume(
            scenario, self.runs, workers=workers, secret=secret, callbacks=[listener]
        )


def same_run(one: Scenario, other: Scenario) -> bool:
    """Return whether two scenarios, apart from their names, describe the same run."""
    return one.seed == other.seed and scenario_digest(one) == scenario_digest(other)


def for_audit(scenario: Scenario, values: Mapping[str, Any]) -> Scenario:
    """Return a scenario with changed values and no sweep, whose runs keep everything on disk.

    The keys of ``values`` are dotted paths; a key without a dot replaces a whole section.
    """
    whole = plain_values(scenario) | {"sweep": None, "disk": KEEP_ALL}
    sections = {key: value for key, value in values.items() if "." not in key}
    single = {key: value for key, value in values.items() if "." in key}
    return from_mapping(whole | sections, set=single)


def refuse_local_steps(scenario: Scenario, what: str) -> None:
    """Raise ScenarioError if messages are sums of several local steps.

    ``what`` says what an audit does with a single gradient.
    """
    local = scenario.local
    if local is not None and local.steps > 1:
        text = f"must be 1, since {what} in the gradient at the weights of the chain"
        raise ScenarioError([Problem(("local", "steps"), f"{text}, got {local.steps}")])


@dataclass(frozen=True)
class Promise:
    """The epsilon and delta that a run claims for each record."""

    epsilon: float | None
    """Tight total epsilon; None if the run claims no epsilon."""
    delta: float
    """The delta of this epsilon."""

    def ceiling(self, false_positives: float) -> float:
        """Return the largest true positive rate that the claim allows at a false positive rate."""
        if self.epsilon is None:
            return 1.0
        return min(1.0, math.exp(min(self.epsilon, 700.0)) * false_positives + self.delta)


def promise_of(made: Run) -> Promise:
    """Return the epsilon and delta that a run claims."""
    epsilon = made.manifest["epsilon"]
    return Promise(epsilon["total"], float(epsilon["delta"]))


@dataclass(frozen=True)
class PublishedRelease:
    """One release of an honest data holder."""

    holder: int
    """Id of the holder, which a reader of the chain does not know."""
    message: Message
    """The message that a block carries."""
    last: LastMessage | None = None
    """The holder's previous message on the branch; None if there is none, or if nothing depends on
    it."""
    momentum: Momentum | None = None
    """The momentum of the run; None if the message is the release itself."""

    @property
    def vector(self) -> Vector:
        """The noisy mean gradient as a flat vector, without momentum."""
        return release_behind(self.message, self.last, self.momentum)


def releases_of(made: Run) -> Iterator[PublishedRelease]:
    """Yield the honest holders' releases from all blocks of a finished run, including stale blocks.

    Raises:
        RunRefused: the run did not keep the directions of its messages.
        LedgerError: the ledger is damaged.
    """
    told = (row for row in made.messages if not row["attack"] and row["members"])  # not the root
    honest = {row["id"]: int(row["holder"]) for row in told}
    momentum = made.scenario.nodes.momentum
    follows = momentum or made.scenario.privacy.parameters.get("clip_quantile")
    with ledger_of(made) as store:
        trail = _trail_in(made, store)
        for block in store.blocks():
            if not store.is_whole(block.header.height):
                raise RunRefused(
                    f"{made.folder}: the directions of block {block.header.height} were not kept; "
                    "an audit reads them all: disk.keep_messages must be all"
                )
            last = trail.at(block.header.parent) if follows else {}
            for message in block.messages:
                holder = honest.pop(message.id.hex(), None)
                if holder is not None:
                    yield PublishedRelease(holder, message, last.get(holder), momentum)
            if follows:
                trail.at(block.header.hash)  # while the store still holds the block


def _trail_in(made: Run, store: Store) -> Trail:
    """Return the trail of a finished run: the last message of each participant on every branch."""
    # as in the run, what a holder sends under an attack is not its last message
    grouped = made.scenario.nodes.groups is not None
    sent = {row["id"]: int(row["holder"]) for row in made.messages if grouped or not row["attack"]}
    genesis = store.genesis.header.hash
    return Trail(genesis, store.block, lambda message: sent.get(message.id.hex()), MOST)


def ledger_of(made: Run) -> Store:
    """Open the ledger of a run for reading."""
    return Store.open(made.folder / LEDGER, writable=False)

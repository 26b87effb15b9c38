"""Play: simulates a run again from scenario and ledger, and compares the events with the folder's.

As in a resumed run, messages and blocks come from the ledger. Nothing is written. A block that the
ledger lacks ends the play.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedchain.agreement import differing_values
from fedchain.checks.replay import Replay
from fedchain.engines import Source, at_work, chosen
from fedchain.errors import FedchainError, NotRecorded
from fedchain.interruption import stop_if_asked
from fedchain.learning.evaluation import UNMEASURED, Evaluations
from fedchain.ledger.storage.store import Store
from fedchain.machine import exact_arithmetic
from fedchain.results import EVENTS, LEDGER
from fedchain.results.events import read_events
from fedchain.results.records import Record
from fedchain.runs.manifest import silent_names
from fedchain.runs.rounds import status_of
from fedchain.runs.running import figures_of
from fedchain.simulation.setup import RunSetup
from fedchain.simulation.simulation import Simulation
from fedchain.timing import Stopwatch

SAME, SAME_METRIC, SAME_MESSAGE = 1e-6, 1e-4, 1e-3
"""Largest relative differences that rounding may cause, in values that follow from the ledger, in
metrics, and in the norm of a message."""
# cosines and shares are rounded to nine digits
_LEAST = 1e-8
"""Absolute difference below which values count as equal."""

Progress = Callable[[int, int, str], None]
"""Function that is called with (steps done, steps in all, current activity)."""


@dataclass
class Played:
    """Result of a play."""

    events: int = 0
    """Number of events that are equal to those of the folder."""
    wrong: str = ""
    """The first event that differs, and how; empty if none does."""
    lacking: str = ""
    """The block that the play makes but the ledger lacks; empty if there is none."""
    fault: str = ""
    """Why the play failed; empty if it did not."""
    measured: int = 0
    """Number of rounds whose metrics were measured."""
    unlike: str = ""
    """The first metric that differs from the measured value; empty if none does."""
    largest: float = 0.0
    """Largest difference between a stated metric and its measured value."""
    elsewhere: int = 0
    """Number of messages that are in no block, and that differ here only by rounding."""
    head: str = ""
    """Hash of the last head of the play, as hexadecimal text."""
    height: int = 0
    """Height of the last head of the play."""
    status: str = ""
    """Status of the run at the end of the play; empty if the play did not reach the end."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Figures that the manifest should state."""
    releases: Mapping[int, int] = field(default_factory=dict)
    """Number of releases of each participant by id, including releases in no block."""


def differences(there: Any, here: Any, most: float = SAME) -> Iterator[str]:
    """Yield a sentence for each key at which two JSON values differ by more than rounding.

    ``most`` is the largest relative difference that counts as rounding.

    >>> list(differences({"epsilon": 0.01, "rounds": 3}, {"epsilon": 3.98, "rounds": 3}))
    ['epsilon: is 0.01, where 3.98 follows']
    """
    for key, one, other in differing_values(there, here):
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (one, other))
        if not (numbers and math.isclose(one, other, rel_tol=most, abs_tol=_LEAST)):
            yield f"{key}: is {one!s:.80}, where {other!s:.80} follows"


def play(
    folder: Path,
    setup: RunSetup,
    replay: Replay,
    *,
    metrics: bool,
    whole: bool,
    progress: Progress,
    stopped: Mapping[str, Any] | None = None,
) -> Played:
    """Play a run again, and compare each event with the folder's.

    The genesis of ``setup`` must be that of the ledger. ``metrics`` says whether to measure the
    model of each round. ``whole`` says whether the run has ended; otherwise the play ends with the
    folder's events. ``stopped`` says after which record a callback ended the run, as the manifest
    does.
    """
    played, source = Played(), Source(setup.scenario, setup.mechanism, setup.task)
    with (
        exact_arithmetic(),
        Store.open(folder / LEDGER, writable=False) as store,
        at_work(chosen(setup.scenario, "threads", None), source) as ask,
        contextlib.closing(Evaluations(setup.task)) as evaluations,
        contextlib.closing(read_events(folder / EVENTS)) as told,
    ):
        simulation = Simulation(
            setup=setup,
            store=store,
            ask=replay.of(store, ask),
            measure=evaluations.measure if metrics else lambda *_: UNMEASURED,
            watch=Stopwatch(),
        )
        with contextlib.closing(simulation):
            try:
                _compare(played, setup, simulation, told, metrics, whole, progress, stopped)
            except NotRecorded as error:
                if whole or next(told, None) is not None:
                    played.lacking = str(error)
            except (FedchainError, LookupError, TypeError, ValueError, ArithmeticError) as error:
                played.fault = str(error)
            played.head, played.height = simulation.chain.head.hex(), simulation.chain.height
            played.figures = figures_of(setup, simulation)
            played.releases = simulation.releases
    return played


def _compare(
    played: Played,
    setup: RunSetup,
    simulation: Simulation,
    told: Iterator[dict[str, Any]],
    metrics: bool,
    whole: bool,
    progress: Progress,
    stopped: Mapping[str, Any] | None,
) -> None:
    """Compare the events of a simulation with those of the folder, up to the first that differs."""
    rounds = simulation.chain.rules.rounds
    for name, record in _records_of(simulation, stopped):
        there, number = next(told, None), played.events + 1
        if there is None:
            if whole:
                played.wrong = f"{EVENTS}: ends after {number - 1} events; a {name} follows"
            return
        here = {"event": name, **vars(record)}
        if name == "round":
            stop_if_asked()
            progress(here["round"], rounds, "Playing the rounds again")
            stated, measured = there.pop("metrics", {}), here.pop("metrics")
            there.pop("seconds", None), here.pop("seconds")
            if metrics:
                compare_metrics(played, f"{EVENTS}:{number}", stated, measured)
        if wrong := [] if _rounded_otherwise(there, here) else list(differences(there, here)):
            played.wrong = f"{EVENTS}:{number}: {name}: {wrong[0]}"
            return
        played.elsewhere += there.get("id") != here.get("id")
        played.events = number
    if next(told, None) is not None:
        played.wrong = f"{EVENTS}:{played.events + 1}: is an event that the scenario does not make"
    else:
        played.status = status_of(simulation, silent_names(setup, simulation.silent), stopped)


def _records_of(
    simulation: Simulation, stopped: Mapping[str, Any] | None
) -> Iterator[tuple[str, Record]]:
    """Yield the records of a simulation in the order in which a run writes them."""
    for number, (record, messages) in enumerate(simulation.rounds(), 1):
        yield from simulation.tracker.new()
        yield from (("message", message) for message in messages)
        yield "round", record
        if stopped is not None and number == stopped["after"]:
            simulation.stop()
    if stopped is not None:
        return
    yield from (("message", message) for message in simulation.stragglers())
    yield from simulation.tracker.new()


def compare_metrics(
    played: Played, where: str, stated: Mapping[str, Any], measured: Mapping[str, float | None]
) -> None:
    """Compare the stated metrics of a round with the measured ones; ``where`` names the round."""
    played.measured += bool(measured)
    if wrong := list(differences(stated, dict(measured), SAME_METRIC)):
        played.unlike = played.unlike or f"{where}: {wrong[0]}"
        return
    pairs = ((stated[name], value) for name, value in measured.items() if value is not None)
    played.largest = max(played.largest, *(abs(one - other) for one, other in pairs), 0.0)


def _rounded_otherwise(there: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Return whether two records of a message in no block differ only by rounding."""
    # The ledger lacks such a message, so the message was computed again.
    if not here.get("late") or there.keys() != here.keys():
        return False
    other = {key for key in here if there[key] != here[key]}
    norms = there["norm"], here["norm"]
    numbers = all(isinstance(norm, int | float) for norm in norms)
    return other <= {"id", "norm"} and numbers and math.isclose(*norms, rel_tol=SAME_MESSAGE)

"""Rounds of a run: plays the simulation, writes the records, and tells the callbacks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from fedchain.arrays import Vector, read_only
from fedchain.interruption import stop_if_asked
from fedchain.ledger.storage.store import Store
from fedchain.nodes.holders.data_holder import BUDGET_SPENT
from fedchain.results import STOPPED, EventLog, silent_words
from fedchain.results.travel import TravelLog
from fedchain.runs.callbacks import Callback, RoundEnd, end_round
from fedchain.runs.divergence import LossWatch
from fedchain.simulation.setup import RunSetup, deepest_read
from fedchain.simulation.simulation import Simulation
from fedchain.transition import model_of

_log = logging.getLogger("fedchain")
PRUNED_TOGETHER = 16
"""Number of block heights whose message directions are deleted from the disk together."""


def play_rounds(
    setup: RunSetup,
    store: Store,
    events: EventLog,
    simulation: Simulation,
    callbacks: Sequence[Callback],
    travel: TravelLog | None,
    watch: LossWatch,
) -> dict[str, Any] | None:
    """Play the simulation from genesis on, and write the records of every round.

    Returns:
        Why a callback has ended the run, and after how many records of rounds; None if none has.
    """
    deepest, stopped = deepest_read(setup.scenario), None
    for told, (record, messages) in enumerate(simulation.rounds(), 1):
        for name, found in simulation.tracker.new():
            events.write(name, found)
        for message in messages:
            events.write("message", message)
        events.write("round", record)
        if travel is not None:
            travel.flush()
        events.flush()
        if record.metrics:  # without learning a chain has too many rounds to log
            _log.info("round %d: block %s, %s", record.round, record.block[:8], record.metrics)
        ended = RoundEnd(record, messages, partial(_weights_after, simulation, record.block))
        reason = end_round(callbacks, ended)
        if reason and stopped is None and record.height < setup.rules.rounds:
            stopped = {"reason": reason, "after": told}
            simulation.stop()
        if watch.due(record.round):
            watch.look(record.round, simulation.blocks.state(bytes.fromhex(record.block)).weights)
        stop_if_asked()
        store.prune(record.height, deepest, PRUNED_TOGETHER)
    if stopped is not None and simulation.chain.height >= setup.rules.rounds:
        stopped = None  # the next block was made already, and was the last one
    if stopped is None:  # else a resumed run writes them when they are due
        for message in simulation.stragglers():
            events.write("message", message)
        for name, found in simulation.tracker.new():
            events.write(name, found)
    events.flush()
    events.sync()  # a run with the status finished is never played again
    return stopped


def _weights_after(simulation: Simulation, block: str) -> Vector:
    """Return the weights of the model after a block, given its hash in hexadecimal digits."""
    return read_only(model_of(simulation.blocks.state(bytes.fromhex(block))).astype(np.float64))


def status_of(
    simulation: Simulation,
    silent: Mapping[str, Sequence[str]],
    stopped: Mapping[str, Any] | None = None,
) -> str:
    """Return and log the status of a run whose simulation has ended.

    ``silent`` has the names of silent participants by reason. ``stopped`` says why a callback has
    ended the run; None if none has.
    """
    if simulation.chain.height >= simulation.chain.rules.rounds:
        _log.info("finished at height %d", simulation.chain.height)
        return "finished"
    if stopped is not None:
        _log.info("stopped at height %d: %s", simulation.chain.height, stopped["reason"])
        return STOPPED
    _log.warning("stopped at height %d: %s", simulation.chain.height, silent_words(silent))
    return "budget_exhausted" if BUDGET_SPENT in silent else "stalled"

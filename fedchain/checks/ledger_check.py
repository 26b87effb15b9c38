"""Check of a run that cannot be played again, because its keys or its directions are missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from fedchain.checks import rows
from fedchain.checks.files import BROKEN, PRIVACY, privacy_check
from fedchain.checks.play import Played, Progress, compare_metrics
from fedchain.checks.verdict import FAILED, OK, Checked
from fedchain.files import read_json
from fedchain.learning.evaluation import Evaluations
from fedchain.ledger.storage.store import Store
from fedchain.results import EVENTS, LEDGER
from fedchain.results.tables import main_rounds
from fedchain.simulation.setup import RunSetup
from fedchain.transition import model_of


def check_without_play(
    folder: Path, setup: RunSetup, *, metrics: bool, over: bool, progress: Progress
) -> Iterator[Checked]:
    """Check what follows from the ledger and the data alone.

    The keys and the commitment of ``setup`` may differ from those of the run. ``over`` says whether
    the run has ended, ``metrics`` whether to measure the model of each round.
    """
    played = Played()
    with (
        Store.open(folder / LEDGER, writable=False) as store,
        contextlib.closing(Evaluations(setup.task)) as evaluations,
    ):
        try:
            head = _follow(folder, store, evaluations if metrics else None, played, progress)
            if over and head != store.head:
                played.wrong = f"{EVENTS}: ends before the head of the ledger"
        except BROKEN as error:
            played.wrong = f"{EVENTS}: round {played.events + 1}: {error}"
    words = "rounds name the blocks of the main chain, with their numbers of messages"
    yield (
        Checked("events", FAILED, played.wrong)
        if played.wrong
        else Checked("events", OK, f"{played.events} {words}")
    )
    if setup.task.learns:
        yield rows.of_metrics(played, metrics)
    if over:
        yield _privacy(folder, setup)


def _follow(
    folder: Path,
    store: Store,
    evaluations: Evaluations | None,
    played: Played,
    progress: Progress,
) -> bytes:
    """Compare each round of the main chain with its block; return the hash of the last block."""
    before = store.genesis.header.hash
    for told in main_rounds(folder / EVENTS):
        number, name = played.events + 1, bytes.fromhex(told["block"])
        block = store.shown(name)
        header = block.header
        if (header.parent, header.height) != (before, told["round"]):
            raise ValueError(f"block {name.hex()[:8]} does not follow the block before")
        if told["messages"] != len(block.messages):
            raise ValueError(f"messages: is {told['messages']}, where {len(block.messages)} follow")
        measurable = bool(told["metrics"]) and evaluations is not None and store.has_state(header)
        if measurable and evaluations is not None:
            measured = evaluations.measure(name, model_of(store.state(name))).result().metrics
            compare_metrics(played, f"{EVENTS}: round {number}", told["metrics"], measured)
        progress(number, store.rules.rounds, "Comparing the rounds with their blocks")
        before, played.events = name, number
    return before


def _privacy(folder: Path, setup: RunSetup) -> Checked:
    """Check the privacy statement against the numbers of releases in the same file."""
    try:
        stated = read_json(folder / PRIVACY).get("releases", [])
    except BROKEN as error:
        return Checked("privacy", FAILED, f"{PRIVACY}: cannot be read: {error}")
    known = isinstance(stated, list) and all(type(each) is int and each >= 0 for each in stated)
    members = len(setup.scenario.nodes.members_of(0)) if setup.task.learns else 1
    releases = dict(enumerate(stated[::members])) if known else {}
    found = privacy_check(folder, setup, releases)
    if found.result == FAILED:
        return found
    words = f"{PRIVACY}: guarantee and epsilon follow from the releases that it states"
    return Checked("privacy", OK, f"{words}; their number shows only when the run is played again")

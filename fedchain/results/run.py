"""A run on disk: reads it, checks its ledger, damages a copy, exports and imports its chain."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fedchain.errors import RunRefused, cannot
from fedchain.files import check_folder, copy_files, write_output
from fedchain.ledger.storage.store import Store
from fedchain.ledger.tools.chain_file import exported, replayed
from fedchain.ledger.tools.tampering import tamper
from fedchain.ledger.tools.verification import BlockProgress, Verification, verify
from fedchain.results.agreed import ALONE, compared
from fedchain.results.events import read_events
from fedchain.results.finding import COUNTED, finding
from fedchain.results.folder import EVENTS, LEDGER, MANIFEST, RunFolder
from fedchain.results.resolved import read_resolved
from fedchain.results.tables import (
    attackers_share,
    capture_of,
    last_fates,
    main_rounds,
    round_rows,
    told_events,
)
from fedchain.scenario import Scenario, scenario_digest
from fedchain.system import move_folder, place_beside
from fedchain.transition import steps_of

OVER = ("finished", "budget_exhausted", "stalled")
"""Statuses of a run that has nothing left to do."""
INTERRUPTED = "interrupted"
"""Status of a run that does not go on, whatever its manifest says."""
NAMED = 6
"""Limit on the participants that a text names for each reason."""
SUMMARISED = (
    "status", "rounds", "height", "head", "stale_blocks", "reorganisations", "chain", "traffic",
    "silent", "refused", "evidence", "fooled", "misconduct", "score", "weights", "epsilon",
    "seconds", "peak_rss_mb",
)  # fmt: skip
"""Keys that a summary copies from the manifest."""


@dataclass(frozen=True)
class Run:
    """A run folder, open for reading."""

    folder: Path
    """The run folder."""
    given: Scenario | None = field(default=None, compare=False, repr=False)
    """The run's scenario; None: the scenario in the folder is used."""

    @classmethod
    def open(cls, folder: str | Path, *, trust_user_parts: bool = False) -> Run:
        """Open a run folder, finished or not.

        Args:
            folder: the run folder, without links, pipes and devices.
            trust_user_parts: whether to import user-defined code that the folder's scenario names.

        Raises:
            RunError: the folder holds no run, or a run of another format, or may not be read.
            ScenarioError: with ``trust_user_parts``, the folder's scenario is wrong.
        """
        check_folder(Path(folder))
        given = read_resolved(Path(folder), trust_user_parts=True) if trust_user_parts else None
        run = cls(Path(folder), given)
        _ = run.manifest
        return run

    @classmethod
    def of(cls, folder: str | Path, scenario: Scenario) -> Run:
        """Open the run folder of a scenario, finished or not.

        Raises:
            RunError: the folder holds no run, or the run of another scenario or seed.
        """
        run = cls.open(folder)
        there = run.manifest["digest"], run.manifest["seed"]
        if there != (scenario_digest(scenario), scenario.seed):
            raise RunRefused(
                f"{folder}: has the run of another scenario or seed under this name; choose "
                "another name, or another folder for all runs"
            )
        return replace(run, given=scenario)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The content of ``manifest.json``: the summary of the run."""
        return RunFolder(self.folder).manifest

    @property
    def scenario(self) -> Scenario:
        """The scenario with every value resolved.

        Raises:
            RunRefused: the scenario file in the folder cannot be read.
            ScenarioError: the folder's scenario is wrong, or names user-defined code that is not
                trusted.
        """
        return self.given or read_resolved(self.folder)

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """All events, in the order in which they were written."""
        return list(read_events(self.folder / EVENTS))

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of ``metrics.csv``, one per round."""
        return list(round_rows(main_rounds(self.folder / EVENTS)))

    @property
    def refusals(self) -> list[dict[str, Any]]:
        """The first blocks and messages that each honest compute node refused."""
        return self._events_of("refusal")

    @property
    def evidence(self) -> list[dict[str, Any]]:
        """Evidence against compute nodes, each of which made two blocks on the same parent."""
        return self._events_of("evidence")

    @property
    def heads(self) -> list[dict[str, Any]]:
        """New heads of all compute nodes; empty unless the scenario can cut nodes off."""
        return self._events_of("head")

    def _events_of(self, event: str) -> list[dict[str, Any]]:
        found = told_events(self.folder / EVENTS, event)
        return [{key: value for key, value in e.items() if key != "event"} for e in found]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The rows of ``messages.csv``, one per message."""
        return list(last_fates(self.folder / EVENTS))

    def messages_in(self, round_: int) -> list[dict[str, Any]]:
        """The events of the messages of one round, final or not."""
        return list(told_events(self.folder / EVENTS, "message", round_))

    def verify(
        self, progress: BlockProgress | None = None, trust_user_parts: bool = False
    ) -> Verification:
        """Check the ledger on disk: every hash, signature and link, every model, and genesis.

        ``fedchain.verify`` checks all other files of the folder too.

        Args:
            progress: called with the number of checked blocks and the number of all blocks.
            trust_user_parts: whether to run user-defined code that the ledger names.

        Raises:
            RunRefused: the folder has a link, a pipe or a device.
        """
        check_folder(self.folder)
        found = verify(self.folder / LEDGER, steps_of(trust_user_parts), progress)
        if not (self.folder / MANIFEST).is_file() and (self.folder / LEDGER).is_dir():
            return replace(found, notes=(*found.notes, ALONE))  # an imported chain
        stated = self.manifest["head"]
        if found.ok and self.manifest["status"] in OVER and found.block != (stated or found.block):
            return replace(found, ok=False, reason=f"head: manifest.json names {str(stated)[:8]}")
        if not found.ok:
            return found
        secret = bool(self.manifest.get("secret"))
        return compared(found, self.folder, self.folder / LEDGER, secret, trust_user_parts)

    def summary(self) -> dict[str, Any]:
        """Return the summary of the run that ``fedchain run --format json`` prints."""
        manifest = self.manifest
        measured: Mapping[str, Any] = {}
        messages = dict.fromkeys(COUNTED, 0)
        last = None
        for each in main_rounds(self.folder / EVENTS):
            measured = each["metrics"] or measured
            messages = {name: count + each[name] for name, count in messages.items()}
            last = each
        reached = manifest
        if last is not None and (
            manifest["status"] not in OVER or last["height"] < manifest["height"]
        ):
            # The manifest of a run that was killed, or that goes on, says nothing of its rounds.
            epsilon = {**manifest["epsilon"], "total": last["epsilon"]}
            reached = {**manifest, "height": last["height"], "epsilon": epsilon}

        def rounds() -> Iterable[dict[str, Any]]:
            return main_rounds(self.folder / EVENTS) if messages["byzantine"] else ()

        return {
            "run": str(self.folder),
            "finding": finding(reached, measured, messages),
            **{name: manifest[name] for name in SUMMARISED},
            **{name: reached[name] for name in ("height", "epsilon")},
            "warnings": manifest.get("warnings", []),
            "metrics": {**measured, "baselines": manifest["baselines"]},
            "messages": messages,
            "byzantine_share": attackers_share(rounds()),
            "capture": capture_of(rounds()),
        }


def current_status(run: Run) -> str:
    """Return the status of a run, which is ``interrupted`` for one that was killed."""
    status = str(Run(run.folder).manifest["status"])
    killed = status == "running" and not RunFolder(run.folder).in_use()
    return INTERRUPTED if killed else status


def tampered_copy(source: Path, copy: Path, height: int, field: str) -> None:
    """Copy a run into a new folder, and damage a field of one block in the copy's ledger.

    ``field`` is one of ``fedchain.ledger.tools.tampering.DAMAGEABLE``.

    Raises:
        RunError: the source is no run, or the copy exists already or cannot be written.
        ValueError: the field or the block does not exist.
    """
    Run.open(source)
    if copy.exists():
        raise RunRefused(f"{copy}: is there already; a damaged copy goes into a new folder")
    if source.resolve() in copy.resolve().parents:
        raise RunRefused(f"{copy}: lies in the run's folder; a place outside of it is allowed")
    files = [file for file in source.iterdir() if file.is_file() and file.name[0] != "."]
    try:
        tamper(source / LEDGER, copy / LEDGER, height, field)
        copy_files({file: copy / file.name for file in files})
    except BaseException as error:
        shutil.rmtree(copy, ignore_errors=True)  # it was not there before
        if isinstance(error, OSError):
            raise cannot(copy, "be written", error) from error
        raise


def exported_to(run: Path, file: Path, progress: BlockProgress | None = None) -> int:
    """Write the chain of a run, or an imported chain, into one file.

    Returns:
        The number of blocks after the genesis block.

    Raises:
        RunError: there is no ledger, or the file cannot be written.
        LedgerError: the ledger is damaged.
    """
    check_folder(run)
    with Store.open(run / LEDGER, writable=False) as store:
        write_output(file, exported(store, progress))
        return len(store)


def imported_from(
    file: Path, folder: Path, trust_user_parts: bool = False, progress: BlockProgress | None = None
) -> Verification:
    """Check an exported chain, and write its ledger to a new folder if every block is valid.

    Args:
        file: the file from ``exported_to``.
        folder: the new folder. A failure leaves no folder behind.
        trust_user_parts: whether to run user-defined code that the chain names.
        progress: called with the number of checked blocks and the number of all blocks.

    Raises:
        RunError: the file cannot be read, or the folder exists already or cannot be written.
    """
    if folder.exists():
        raise RunRefused(f"{folder}: is there already; give a new folder")
    try:
        with place_beside(folder) as place:
            draft = place / folder.name
            draft.mkdir()
            found = replayed(file, draft / LEDGER, steps_of(trust_user_parts), progress)
            if found.ok:
                move_folder(draft, folder)
    except OSError as error:
        raise cannot(folder, "be made", error) from error
    return found


def silent_words(silent: Mapping[str, Sequence[str]]) -> str:
    """Return a text with the reasons why participants could not send, and their names.

    >>> silent_words({"gradient is not finite": ["h0", "h3"]})
    'h0, h3: gradient is not finite'
    """
    return "; ".join(
        f"{', '.join(names[:NAMED])}{f' and {more} more' if more > 0 else ''}: {reason}"
        for reason, names in silent.items()
        for more in [len(names) - NAMED]
    )

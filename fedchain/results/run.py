"""A run on disk: reads it, checks its ledger, damages a copy, exports and imports its chain."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fedchain.arrays import Vector, read_only
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
from fedchain.scenario import Scenario, changes_since, provenance_of, run_digest
from fedchain.system import move_folder, place_beside
from fedchain.transition import model_of, steps_of

if TYPE_CHECKING:
    from pandas import DataFrame

    from fedchain.learning.preparation import Prepared
    from fedchain.learning.task import Task
    from fedchain.results.models import ModelFormat


STOPPED = "stopped"
"""Status of a run that a callback has ended early: its results are written, and it can go on."""
COMPLETE = ("finished", "budget_exhausted", "stalled")
"""Statuses of a run that has nothing left to do."""
OVER = (*COMPLETE, STOPPED)
"""Statuses of a run that has ended, and has written its results."""
INTERRUPTED = "interrupted"
"""Status of a run that does not go on, whatever its manifest says."""
NAMED = 6
"""Limit on the participants that a text names for each reason."""
TABLES = ("metrics", "messages", "refusals", "evidence", "heads")
"""Properties of a run that ``Run.frame`` returns as DataFrames."""
SUMMARISED = (
    "status", "rounds", "height", "head", "stale_blocks", "reorganisations", "chain", "traffic",
    "silent", "stopped", "refused", "evidence", "fooled", "misconduct", "score", "weights",
    "epsilon", "seconds", "peak_rss_mb",
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
        if there != (run_digest(scenario), scenario.seed):
            raise RunRefused(
                f"{folder}: has the run of another scenario, seed, code or data under this name; "
                "choose another name, or another folder for all runs"
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

    def check_unchanged(self, why: str, *, any_version: bool = False) -> None:
        """Check that the user's code, the data and fedchain are as they were when the run began.

        Args:
            why: the reason why they must be, for the error message.
            any_version: whether the version of fedchain may be another one.

        Raises:
            RunRefused: something was changed since then.
            ScenarioError: as in ``scenario``.
        """
        began, now = self.manifest["provenance"], provenance_of(self.scenario)
        if any_version:
            began = {**began, "fedchain": now.fedchain}
        if changes := changes_since(began, now):
            told = "; ".join(changes)
            raise RunRefused(
                f"{self.folder}: {why}, and meanwhile something was changed ({told}); put it back, "
                "or begin a new run"
            )

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

    def block_of(self, round_: int | None = None) -> bytes:
        """Return the hash of the block that ended a round.

        Args:
            round_: number of the round; 0 for the genesis block, None for the last round.

        Raises:
            RunRefused: the run has no such round.
        """
        with Store.open(self.folder / LEDGER, writable=False) as store:
            return self._block_in(store, round_)

    def _block_in(self, store: Store, round_: int | None) -> bytes:
        blocks = {row["round"]: row["block"] for row in self.metrics}
        if round_ is None:
            round_ = max(blocks, default=0)
        if round_ == 0:
            return store.genesis.header.hash
        if round_ not in blocks:
            allowed = f"0 (before the first round) to {len(blocks)}"
            raise RunRefused(f"{self.folder}: no round {round_}; allowed: {allowed}")
        return bytes.fromhex(blocks[round_])

    def weights(self, round_: int | None = None) -> Vector:
        """Return the weights of the model after a round, float64, shape (weights,), read-only.

        If the update averages the weights over rounds, this is the average. ``module`` returns the
        weights inside a model of torch, and ``export-model`` writes them to a file.

        Args:
            round_: number of the round; 0 for the initial weights, None for the last round.

        Raises:
            RunRefused: the run has no such round, or its ledger has not kept the weights.

        >>> import fedchain
        >>> run = fedchain.run("breast_cancer")  # doctest: +SKIP
        >>> run.weights().shape  # doctest: +SKIP
        (31,)
        """
        with Store.open(self.folder / LEDGER, writable=False) as store:
            block = self._block_in(store, round_)
            try:
                state = store.state(block)
            except KeyError as error:
                raise RunRefused(f"{self.folder}: {error.args[0]}; give another round") from error
        return read_only(model_of(state).astype(np.float64))

    @cached_property
    def task(self) -> Task:
        """The task of the run, built again: records, model and loss.

        Raises:
            RunRefused: code of the user's own or data have changed since the run, or the run learns
                nothing.
            DataError: the task's data cannot be read.
            ScenarioError: the run's scenario names user-defined code that is not trusted.
        """
        from fedchain.results.models import task_of

        return task_of(self)

    def module(self, round_: int | None = None) -> Prepared:
        """Return the model after a round as a module of torch that is ready to predict.

        Its part ``prepare`` turns inputs, as the task's data have them, into those of the part
        ``model``: it subtracts the public means by which the task standardises its records, or
        computes features. On scans, the inputs are channel images; ``predict`` reads scans.

        Args:
            round_: number of the round; 0 for the initial weights, None for the last round.

        Raises:
            RunRefused, DataError, ScenarioError: as in ``task`` and ``weights``.

        >>> import fedchain, torch
        >>> run = fedchain.run("digits")  # doctest: +SKIP
        >>> run.module()(torch.zeros(1, 8, 8)).shape  # doctest: +SKIP
        torch.Size([1, 10])
        """
        from fedchain.results.models import module_of

        return module_of(self, round_)

    def export_model(
        self, file: str | Path, to: ModelFormat = "state_dict", round_: int | None = None
    ) -> None:
        """Write the model after a round, as ``module`` returns it, to a file that holds no code.

        Args:
            file: the file; it is replaced if it exists.
            to: ``state_dict``: tensors by name, which ``torch.load(file, weights_only=True)``
                reads. ``safetensors``: the same, with notes on the run. ``onnx``: the whole
                computation for any number of examples, with the same notes.
            round_: number of the round; 0 for the initial weights, None for the last round.

        Raises:
            RunRefused, DataError, ScenarioError: as in ``module``; RunRefused also if ONNX lacks an
                operation of the model, or the file cannot be written.
            MissingExtra: the package for the format is not installed.
            ValueError: there is no such format.
        """
        from fedchain.results.models import model_bytes

        write_output(Path(file), model_bytes(self, to, round_))

    def predict(self, inputs: Any, round_: int | None = None) -> Any:
        """Return what the model after a round says about new inputs.

        Args:
            inputs: numbers of shape (examples, ...), as the task's data have them: for ``digits``
                pixels from 0 to 16, shape (examples, 8, 8). If the task is on scans, the path of a
                file with a scan, or a list of paths of scans that may be views of each other.
            round_: number of the round; 0 for the initial weights, None for the last round.

        Returns:
            The classes, int64, shape (examples,), if the task has classes; else the outputs of the
            model. On scans: for each file a boolean array, the points to keep, over the scan's grid
            or over the points of the file.

        Raises:
            RunRefused, DataError, ScenarioError: as in ``module``; DataError also for a file.
            ValueError: the inputs have another shape or type.

        >>> import fedchain, numpy as np
        >>> run = fedchain.run("digits")  # doctest: +SKIP
        >>> run.predict(np.zeros((2, 8, 8))).shape  # doctest: +SKIP
        (2,)
        """
        from fedchain.results.models import keep_masks, predictions_of
        from fedchain.results.scan_models import scan_task_of

        if scan_task_of(self) is None:
            return predictions_of(self, inputs, round_)[0]
        if isinstance(inputs, str | os.PathLike):
            return keep_masks(self, [Path(inputs)], round_)[0]
        return keep_masks(self, [Path(each) for each in inputs], round_)

    def frame(self, table: str = "metrics") -> DataFrame:
        """Return one of the run's tables as a DataFrame of pandas.

        Args:
            table: ``metrics``: a row for each round, with its metrics and counts. ``messages``: a
                row for each message. ``refusals``, ``evidence`` or ``heads``: what compute nodes
                refused, proofs against them, and their heads.

        Raises:
            MissingExtra: pandas is not installed.
            ValueError: there is no such table.

        >>> import fedchain
        >>> run = fedchain.run("breast_cancer")  # doctest: +SKIP
        >>> run.frame().plot(x="round", y="accuracy")  # doctest: +SKIP
        """
        if table not in TABLES:
            raise ValueError(f"table: no table {table!r}; allowed: {', '.join(TABLES)}")
        from fedchain.extras import needed_package

        pandas = needed_package("pandas", "frames", "frame")
        frame: DataFrame = pandas.DataFrame(getattr(self, table))
        return frame

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
        last, diverged = None, None
        for each in main_rounds(self.folder / EVENTS):
            measured = each["metrics"] or measured
            if diverged is None and each["metrics"].get("loss", 0.0) is None:
                diverged = each["round"]
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
            "diverged": diverged,
            "faults": manifest.get("faults", []),
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


def name_of_export(run: Path) -> str:
    """Return the name of the file into which the chain of a run is written.

    It is the folder's name; or, if the run has a secret, only the scenario's name: the digest in
    the folder's name covers a plain hash of the data, with which a guess could be confirmed.

    Raises:
        RunError: as in ``RunFolder.manifest``.
    """
    name = run.resolve().name
    if (run / MANIFEST).is_file() and (manifest := RunFolder(run).manifest).get("secret"):
        name = manifest["name"]
    return f"{name}.fedchain"


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


def found_again(run: Run) -> str:
    """Return a line that says that a run had ended before, and that nothing was run now."""
    manifest = run.manifest
    told = f"{manifest['status'].replace('_', ' ')} on {manifest['ended']}, nothing was run"
    if manifest["status"] == STOPPED:
        rounds = f"round {manifest['height']} of {manifest['rounds']}"
        told += f"; it ended at {rounds} ({manifest['stopped']['reason']}): fedchain resume goes on"
    return f"{run.folder}: {told}"


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

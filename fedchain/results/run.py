"""A run on disk: reads it, checks its ledger, and returns its model."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedchain.arrays import Vector
from fedchain.errors import RunRefused
from fedchain.files import check_folder, write_output
from fedchain.ledger.tools.verification import BlockProgress, Verification
from fedchain.results.events import read_events
from fedchain.results.folder import EVENTS, RunFolder
from fedchain.results.resolved import read_resolved
from fedchain.results.summary import summary_of
from fedchain.results.tables import (
    last_fates,
    main_rounds,
    round_rows,
    told_events,
)
from fedchain.scenario import Scenario, run_digest

if TYPE_CHECKING:
    from pandas import DataFrame

    from fedchain.learning.preparation import PreparedModel
    from fedchain.learning.task import Task
    from fedchain.results.models import ModelFormat


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
        from fedchain.results.models import block_after

        return block_after(self, round_)

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
        from fedchain.results.models import weights_after

        return weights_after(self, round_)

    @cached_property
    def task(self) -> Task:
        """The task of the run, built again: records, model and loss.

        Raises:
            RunRefused: the code or the data of the task have changed since the run, or the run
                learns nothing.
            DataError: the task's data cannot be read.
            ScenarioError: the run's scenario names user-defined code that is not trusted.
        """
        from fedchain.results.models import task_of

        return task_of(self)

    def module(self, round_: int | None = None) -> PreparedModel:
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
        from fedchain.results.models import run_module

        return run_module(self, round_)

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
        from fedchain.results.tables import frame_of

        return frame_of(self, table)

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
        from fedchain.results.verdict import ledger_verdict

        return ledger_verdict(self, progress, trust_user_parts)

    def summary(self) -> dict[str, Any]:
        """Return the summary of the run that ``fedchain run --format json`` prints."""
        return summary_of(self)

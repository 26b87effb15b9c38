"""Trackers: hand the rounds of a run to TensorBoard, MLflow or Weights & Biases, without network.

A tracker is a run callback. It imports its library when the run begins.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedchain.errors import MissingExtra
from fedchain.results import RoundRecord, Run
from fedchain.runs.callbacks import Callback, RoundEnd
from fedchain.scenario.writing import plain_values
from fedchain.simulation.setup import RunSetup

ROUND_COUNTS = (
    "messages",
    "used",
    "byzantine",
    "byzantine_used",
    "stale_blocks",
    "reorganisations",
)
"""Counts of a round that trackers get."""


def scalars_of(record: RoundRecord) -> dict[str, float]:
    """Return the numbers of a round by name; numbers that are not finite are left out.

    Metrics stand under ``metrics/``, epsilon under ``privacy/``, counts of messages and of blocks
    under ``round/``, and the seconds of each stage under ``seconds/``.
    """
    found: dict[str, float | None] = {f"metrics/{k}": v for k, v in record.metrics.items()}
    found |= {"privacy/epsilon": record.epsilon, "privacy/releases": record.releases}
    found |= {f"round/{name}": getattr(record, name) for name in ROUND_COUNTS}
    found |= {"round/byzantine_share": record.byzantine_share, "round/time_s": record.time_s}
    found |= {f"seconds/{stage}": spent for stage, spent in record.seconds.items()}
    return {k: float(v) for k, v in found.items() if v is not None and math.isfinite(v)}


class Tracker(Callback):
    """A run callback that writes the numbers of every round.

    A round that is told again after a fork, or by a run that is resumed, is written again.
    """

    def __init__(self, sink: Callable[[Path, Mapping[str, Any]], Sink]) -> None:
        """Take a function that opens a sink for a run's folder and the values of its scenario."""
        self._make = sink
        self._sink: Sink | None = None

    def on_run_begin(self, folder: Path, setup: RunSetup) -> None:
        """Open the sink."""
        self._sink = self._make(folder, plain_values(setup.scenario))

    def on_round_end(self, ended: RoundEnd) -> None:
        """Write the numbers of a round."""
        if self._sink is not None:
            self._sink.write(ended.record.round, scalars_of(ended.record))

    def on_run_end(self, run: Run) -> None:  # noqa: ARG002
        """Write what is left, and close the sink."""
        if self._sink is not None:
            self._sink.close()
        self._sink = None


@dataclass(frozen=True)
class Sink:
    """Where a tracker writes."""

    write: Callable[[int, dict[str, float]], object]
    """Writes the numbers of a round, given its number."""
    close: Callable[[], object]
    """Writes what is left, and ends."""


def tensorboard(log_dir: str | Path | None = None) -> Tracker:
    """Return a tracker that writes event files of TensorBoard (extra ``tensorboard``).

    ``log_dir`` is the folder of the event files; None: ``tensorboard/`` in the run's folder. Show
    them with ``tensorboard --logdir runs``.

    >>> tracker = tensorboard()
    """

    def open_(folder: Path, scenario: Mapping[str, Any]) -> Sink:
        _needed("tensorboard", "tensorboard")
        writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        made = writer(str(log_dir or folder / "tensorboard"))
        made.add_text("scenario", _indented(scenario))

        def write(round_: int, scalars: Mapping[str, float]) -> None:
            for name, value in scalars.items():
                made.add_scalar(name, value, round_)

        return Sink(write, made.close)

    return Tracker(open_)


def mlflow(experiment: str = "fedchain", store: str | Path | None = None) -> Tracker:
    """Return a tracker that writes a run of MLflow into a database file (extra ``mlflow``).

    Args:
        experiment: name of the experiment.
        store: folder with MLflow's ``mlflow.db`` and files; None: ``mlruns`` beside all runs. Show
            it with ``mlflow ui --backend-store-uri sqlite:///FOLDER/mlflow.db``.

    >>> tracker = mlflow()
    """

    def open_(folder: Path, scenario: Mapping[str, Any]) -> Sink:
        client = _needed("mlflow", "mlflow").MlflowClient
        place = (Path(store) if store is not None else folder.parent / "mlruns").absolute()
        place.mkdir(parents=True, exist_ok=True)
        made = client(tracking_uri=f"sqlite:///{place / 'mlflow.db'}")
        found = made.get_experiment_by_name(experiment)
        files = (place / "files").as_uri()
        key = found.experiment_id if found else made.create_experiment(experiment, files)
        run = made.create_run(key, run_name=folder.name).info.run_id
        made.log_text(run, _indented(scenario), "scenario.json")

        def write(round_: int, scalars: Mapping[str, float]) -> None:
            for name, value in scalars.items():
                made.log_metric(run, name, value, step=round_)

        return Sink(write, lambda: made.set_terminated(run))

    return Tracker(open_)


def wandb(project: str = "fedchain", folder: str | Path | None = None) -> Tracker:
    """Return a tracker that writes an offline run of Weights & Biases (extra ``wandb``).

    Nothing is sent; ``wandb sync wandb/offline-run-*`` does that, if you want.

    Args:
        project: name of the project.
        folder: where the folder ``wandb`` is made; None: beside the run's folder. It has links,
            which a run's folder may not have.

    >>> tracker = wandb()
    """

    def open_(run_folder: Path, scenario: Mapping[str, Any]) -> Sink:
        made = _needed("wandb", "wandb").init(
            project=project, name=run_folder.name, dir=str(folder or run_folder.parent),
            mode="offline", config=dict(scenario), reinit="create_new",
        )  # fmt: skip
        return Sink(lambda round_, scalars: made.log({"round": round_, **scalars}), made.finish)

    return Tracker(open_)


def _needed(module: str, extra: str) -> Any:
    """Import a library, or say how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        words = f"callbacks: {module} is not installed; install it with: pip install"
        raise MissingExtra(f"{words} 'fedchain[{extra}]'") from error


def _indented(scenario: Mapping[str, Any]) -> str:
    return json.dumps(scenario, indent=2, default=str)

"""Trackers: what TensorBoard, MLflow and Weights & Biases are told of a run."""

import json
import math
import sys
from pathlib import Path

import pytest
from small_runs import small

import fedchain
from fedchain.errors import MissingExtra
from fedchain.results import RoundRecord
from fedchain.runs import trackers
from fedchain.runs.trackers import Sink, Tracker, mlflow, scalars_of, tensorboard, wandb

ROUND = RoundRecord(
    round=1, height=1, block="ab", miner=0, time_s=1.5, messages=3, used=2, byzantine=1,
    byzantine_used=0, epsilon=None, releases=1, stale_blocks=0, reorganisations=0,
    metrics={"loss": math.nan, "accuracy": 0.5}, seconds={"noise": 0.25},
)  # fmt: skip


def test_the_numbers_of_a_round_have_names_and_are_finite():
    found = scalars_of(ROUND)
    assert found["metrics/accuracy"] == 0.5
    assert found["seconds/noise"] == 0.25
    assert found["round/used"] == 2.0
    assert "metrics/loss" not in found  # not finite
    assert "privacy/epsilon" not in found  # no guarantee
    assert all(math.isfinite(value) for value in found.values())


def test_a_tracker_gets_every_round_of_a_run_and_changes_nothing(tmp_path):
    told, closed = {}, []

    def open_(folder, scenario):
        assert scenario["name"] == "small"
        return Sink(
            lambda round_, scalars: told.update({round_: scalars}), lambda: closed.append(folder)
        )

    run = fedchain.run(small(rounds=3), out=tmp_path / "a", callbacks=[Tracker(open_)])
    assert closed == [run.folder]
    rows = {row["round"]: row for row in run.metrics}
    assert told.keys() == rows.keys() == {1, 2, 3}
    for round_, row in rows.items():
        assert told[round_]["metrics/accuracy"] == row["accuracy"]
        assert told[round_]["privacy/epsilon"] == row["epsilon"]
    plain = fedchain.run(small(rounds=3), out=tmp_path / "b")
    assert plain.manifest["head"] == run.manifest["head"]


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_library_that_is_missing_is_told_with_its_extra(name, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=rf"pip install 'fedchain\[{name}\]'"):
        fedchain.run(small(rounds=1), out=tmp_path, callbacks=[getattr(trackers, name)()])


def tracked(tracker: Tracker, folder: Path) -> fedchain.Run:
    return fedchain.run(small(rounds=2), out=folder, callbacks=[tracker])


def test_tensorboard_reads_every_metric_of_every_round(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = tracked(tensorboard(), tmp_path)
    events = reader.EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    found = events.Scalars("metrics/accuracy")
    assert [each.step for each in found] == [1, 2]
    assert [each.value for each in found] == pytest.approx([row["accuracy"] for row in run.metrics])
    assert fedchain.verify(run.folder).ok


def test_mlflow_reads_every_metric_of_every_round(tmp_path):
    library = pytest.importorskip("mlflow")
    run = tracked(mlflow(), tmp_path)
    client = library.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    (found,) = client.search_runs([client.get_experiment_by_name("fedchain").experiment_id])
    history = client.get_metric_history(found.info.run_id, "metrics/accuracy")
    assert [each.value for each in history] == [row["accuracy"] for row in run.metrics]
    assert (found.info.status, found.info.run_name) == ("FINISHED", run.folder.name)
    assert fedchain.verify(run.folder).ok


def test_wandb_writes_an_offline_run_and_sends_nothing(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = tracked(wandb(), tmp_path)
    (found,) = (tmp_path / "wandb").glob("offline-run-*")
    assert list(found.glob("*.wandb"))
    assert json.loads((run.folder / "manifest.json").read_text())["status"] == "finished"
    assert fedchain.verify(run.folder).ok

"""The main scenarios at full size: minutes, not seconds (`make test-long`)."""

from __future__ import annotations

import csv
import math
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from shared_data import PHOXI, beside_shared

from fedchain import load, resume, run
from fedchain.ledger.storage.store import Store
from fedchain.results import LEDGER, Run
from fedchain.sweeps.sweep import sweep

pytestmark = pytest.mark.long
SCENARIOS = Path(__file__).parents[1] / "scenarios"


@pytest.fixture(scope="module")
def first_light(tmp_path_factory) -> Run:
    return run(load(SCENARIOS / "first_light.yaml"), tmp_path_factory.mktemp("private"))


def test_first_light_beats_its_baselines_within_its_budget(first_light):
    summary = first_light.summary()
    better = max(baseline["iou"] for baseline in summary["metrics"]["baselines"].values())
    assert summary["metrics"]["iou"] >= max(0.55, better + 0.25)
    assert summary["epsilon"]["total"] <= 8.0
    assert summary["peak_rss_mb"] <= 1500
    assert first_light.verify().ok


def test_first_light_loses_little_to_privacy(first_light, tmp_path):
    free = run(load(SCENARIOS / "first_light.yaml", set={"privacy.kind": "none"}), tmp_path)
    private = first_light.summary()["metrics"]["iou"]
    assert private >= free.summary()["metrics"]["iou"] - 0.05


def test_first_light_rejects_the_sign_flippers_in_most_rounds(first_light):
    told = first_light.summary()["messages"]
    assert told["byzantine"] >= 40
    assert told["byzantine_used"] < told["byzantine"] / 2


def test_first_light_ends_with_one_chain_and_keeps_every_stale_block(first_light):
    assert first_light.manifest["status"] == "finished"
    assert [row["height"] for row in first_light.metrics] == list(range(1, 41))
    with Store.open(first_light.folder / LEDGER, writable=False) as store:
        assert len(store) == 40 + first_light.manifest["stale_blocks"]


def rounds_told(out: Path) -> int:
    """Count the rounds in the events of the only run in a folder, replaced rounds included."""
    files = list(out.glob("*/events.ndjson"))
    return files[0].read_text().count('"event": "round"') if files else 0


def test_first_light_killed_at_twenty_random_moments_reaches_the_same_head(first_light, tmp_path):
    begin = "from fedchain.commands import main; main()"
    command = [sys.executable, "-c", begin, "run", str(SCENARIOS / "first_light.yaml")]
    command += ["--out", str(tmp_path), "--format", "json"]
    moments, told = random.Random(0), 0
    for kill in range(20):
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        until = told + moments.choice((1, 1, 2))
        while told < until:
            assert child.poll() is None
            time.sleep(0.05)
            told = rounds_told(tmp_path)
        time.sleep(moments.uniform(0.0, 1.0))  # somewhere in the round that follows
        assert child.poll() is None
        child.kill()
        child.communicate()
        told = rounds_told(tmp_path)
        (folder,) = (path.parent for path in tmp_path.glob("*/manifest.json"))
        workers = str(1 + kill % 2)
        command = [*command[:3], "resume", str(folder), "--workers", workers]
    assert resume(folder).manifest["head"] == first_light.manifest["head"]


def test_digits_reach_their_accuracies_over_five_seeds(tmp_path):
    swept = sweep(load(SCENARIOS / "convergence_vs_epsilon.yaml"), tmp_path)
    with (swept.folder / "points.csv").open() as file:
        rows = list(csv.DictReader(file))

    def accuracy(epsilon: float) -> float:
        asked = [row for row in rows if float(row["privacy.epsilon"]) == epsilon]
        return statistics.mean(float(row["accuracy"]) for row in asked)

    assert accuracy(1.0) >= 0.70
    assert accuracy(math.inf) >= 0.94
    for made in ("figures/accuracy_against_epsilon.pdf", "figures/accuracy_against_epsilon.png"):
        assert (swept.folder / made).stat().st_size > 1000
    assert {path.suffix for path in (swept.folder / "tables").iterdir()} == {".csv", ".md", ".tex"}


@beside_shared
@pytest.mark.long
def test_a_private_model_of_real_scans_beats_keeping_and_erasing_everything(tmp_path):
    scenario = load(SCENARIOS / "real_scans.yaml", set={"task.path": str(PHOXI)})
    metrics = run(scenario, tmp_path).summary()["metrics"]
    baselines = metrics["baselines"]
    assert metrics["iou"] > baselines["keep_everything"]["iou"]
    assert metrics["outlier_f1"] > baselines["erase_everything"]["outlier_f1"] + 0.05
    assert metrics["outlier_ap"] > 2 * baselines["keep_everything"]["outlier_ap"]

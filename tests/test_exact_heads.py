"""Runs with exact gradients end at heads that stand here, on every processor.

``make test-elsewhere`` runs this file under the kernels of other processors; one of its settings is
also tried here.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import small

import fedchain
from fedchain.agreement import mechanism_of
from fedchain.scenario import scenario_digest

EXACT = {"kind": "threads", "exact": True}
DIGITS = {"kind": "digits", "model": {"kind": "mlp", "hidden": [32]}}
WHOLE = {"kind": "gaussian", "epsilon": 8.0, "clip": 0.5, "unit": "holder"}
SAMPLED = {"kind": "gaussian", "noise_multiplier": 1.5, "clip": 0.1, "sampling_rate": 0.5}
RUNS = {
    "tables": {},
    "digits": {"task": DIGITS},
    "local training": {
        "task": DIGITS,
        "local": {"steps": 3, "learning_rate": 0.1, "batch": 20},
        "privacy": WHOLE,
    },
    "sampled records": {"privacy": SAMPLED},
}
HEADS = {
    "tables": "0334bfd0d6d75561d81dff41a0b615a387e03d2ee873dafe2c4388c2ee588f01",
    "digits": "01a7ec38293fa0a179b13160210750e9d49f2ebe95873b477e8da2352bba1c57",
    "local training": "01ea7c7b11abeabd9b36d5b7e614454e3b4b638ef78af46f5e82fc5083735b49",
    "sampled records": "00a223b1b0995479eaa8cffd8260b9f2890c250e92b556e7078df74acab6cc4e",
}
"""The last block of each run."""


def exact(**overrides):
    one = {"nodes": {"holders": 10, "compute": 1}, "engine": EXACT}
    return small(4, **{**one, **overrides})


def heads(folder) -> dict[str, str]:
    made = {n: fedchain.run(exact(**values), folder / n) for n, values in RUNS.items()}
    return {name: run.manifest["head"] for name, run in made.items()}


def test_exact_runs_end_at_the_heads_that_stand_here(tmp_path):
    assert heads(tmp_path) == HEADS


@pytest.mark.parametrize("setting", ["ATEN_CPU_CAPABILITY=default", "FEDCHAIN_NATIVE=0"])
def test_exact_runs_end_there_with_the_kernels_of_another_processor(setting, tmp_path):
    program = (
        "import pathlib, sys; sys.path[:0] = sys.argv[2:]; import test_exact_heads as t; "
        "assert t.heads(pathlib.Path(sys.argv[1])) == t.HEADS"
    )
    name, _, value = setting.partition("=")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parent)],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_processes_end_at_the_same_head(tmp_path):
    run = fedchain.run(exact(), tmp_path, engine="processes", workers=2)
    assert run.manifest["head"] == HEADS["tables"]


def test_exact_runs_have_names_of_their_own_and_others_keep_theirs():
    plain = small(4)
    assert scenario_digest(exact()) != scenario_digest(exact(engine={"kind": "threads"}))
    assert scenario_digest(plain) == scenario_digest(small(4, engine={**EXACT, "exact": False}))
    assert scenario_digest(plain) == scenario_digest(small(4, engine={"kind": "processes"}))


def test_a_replay_computes_the_same_messages(tmp_path):
    run = fedchain.run(exact(), tmp_path)
    verdict = fedchain.verify(run.folder, replay=True)
    assert verdict.ok, verdict.reason


def test_noise_that_epsilon_asks_for_is_rounded_up_to_six_digits():
    noise = mechanism_of(exact(), 31).noise_multiplier
    plain = mechanism_of(small(4), 31).noise_multiplier
    assert plain <= noise <= plain * (1 + 1e-4)
    assert float(f"{noise:.5e}") == noise
    assert mechanism_of(exact(**{"privacy.epsilon": math.inf}), 31).noise_multiplier == 0


REFUSED = {
    "sampled epsilon": (
        {"privacy": {**SAMPLED, "noise_multiplier": None, "epsilon": 30.0}},
        "privacy.epsilon: must be null with engine.exact where privacy.sampling_rate is 0.5, since "
        "the search for the noise ends at other numbers elsewhere; write noise_multiplier: ",
    ),
    "another accountant": (
        {"privacy.accountant": "rdp"},
        "privacy.epsilon: must be null with engine.exact where the accountant is rdp",
    ),
    "another mechanism": (
        {"privacy": {"kind": "laplace", "epsilon": 30.0, "clip": 1.0}},
        "privacy.epsilon: must be null with engine.exact where the mechanism is laplace",
    ),
    "a clip that follows": (
        {"privacy.clip_quantile": 0.5, "privacy.epsilon": None, "privacy.noise_multiplier": 1.0},
        "engine.exact: must be false where the clip follows a quantile, got true",
    ),
    "a model trained before": (
        {"task": {"kind": "warm_start", "of": {"kind": "breast_cancer"}, "records": 30}},
        "engine.exact: must be false where task warm_start computes by torch before the first "
        "round, got true",
    ),
    "a GPU": (
        {"engine": {**EXACT, "device": "cuda"}},
        "engine.exact: must be false where the device is cuda, got true",
    ),
    "a convolution": (
        {
            "task": {
                "kind": "scan_segmentation",
                "records_per_holder": 2,
                "held_out": 2,
                "size": 16,
                "model": {"kind": "gajdosech_unet", "levels": 1, "width": 2},
            }
        },
        "engine.exact: must be false where the task's loss is not cross_entropy, got true",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_other_bits_elsewhere_is_refused_with_the_reason(name, tmp_path):
    values, text = REFUSED[name]
    with pytest.raises(fedchain.ScenarioError) as refused:
        fedchain.run(exact(**values), tmp_path)
    assert str(refused.value).startswith(text)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())

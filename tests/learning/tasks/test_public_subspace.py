"""Public subspaces: what is projected, when, and on whose directions."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from adversaries import told
from group_runs import FIVE, SHARED, read
from hypothesis import given
from hypothesis import strategies as st
from small_runs import small

from fedchain import run
from fedchain.engines import Source
from fedchain.errors import ScenarioError
from fedchain.learning.evaluation import flat_weights
from fedchain.learning.task import Records, tasks
from fedchain.learning.tasks.public_subspace import PublicDirections, leading
from fedchain.nodes.holders.release import ReleaseContext, ReleaseRequest
from fedchain.runs.manifest import initial_manifest
from fedchain.scenario.writing import resolved_yaml
from fedchain.simulation.setup import build_setup

HERE = b"p" * 32
TASK = {
    "kind": "public_subspace",
    "of": {"kind": "breast_cancer"},
    "records": 30,
    "directions": 4,
    "steps": 20,
}
GROUPED = {
    "nodes.groups": FIVE,
    "privacy": SHARED,
    "aggregation": {"kind": "mean"},
}


def scenario(**overrides):
    return small(**{"task": TASK, "attacks": [], "ledger.storage": "int32", **overrides})


def made(seed: int = 0, **settings):
    task = {**TASK, "of": {"kind": "digits"}, **settings}
    return tasks.build(tasks.check(task), 10, seed)


def released(asked_of, subspace: bool) -> np.ndarray:
    """Return what everybody says at the initial weights, (n, d), projected or not."""
    setup = build_setup(asked_of)
    task = setup.task if subspace else replace(setup.task, subspace=None)
    voices = Source(setup.scenario, setup.mechanism, task).backend("cpu")
    chain, identities = setup.genesis.header.hash, setup.identities
    asked = [
        ReleaseRequest(
            ReleaseContext(secret=bytes(32), chain_id=chain, parent=HERE, round=1, holder=k),
            identities.of(k, 1),
        )
        for k in range(asked_of.nodes.participants)
    ]
    sent = told(asked_of, voices, setup.state.weights, asked)
    return np.array([read(message) for message in sent])


def basis(asked_of) -> np.ndarray:
    """Return the projection (d, d) at the initial weights."""
    setup = build_setup(asked_of)
    whole = np.eye(len(setup.state.weights))
    return PublicDirections(setup.task).projected(whole, setup.state.weights, HERE)


@pytest.mark.parametrize("overrides", [{}, GROUPED], ids=["holders", "groups"])
def test_what_is_sent_is_the_projection_of_the_noisy_gradient(overrides):
    asked_of = scenario(**overrides)
    plain, sent = released(asked_of, subspace=False), released(asked_of, subspace=True)
    kept = basis(asked_of)
    assert np.linalg.matrix_rank(kept) == TASK["directions"]
    off = np.linalg.norm(plain - plain @ kept, axis=1) / np.linalg.norm(plain, axis=1)
    assert off.min() > 0.2, "noise reaches out of it"
    np.testing.assert_allclose(sent, plain @ kept, atol=1e-5 * np.abs(plain).max())


def test_an_attacker_sends_what_it_likes_and_not_its_projection():
    attack = {"kind": "random_direction", "holders": [3], "from_round": 1}
    sent = released(scenario(attacks=[attack]), subspace=True)
    off = np.linalg.norm(sent - sent @ basis(scenario()), axis=1)
    assert off[3] > 0.5 * np.linalg.norm(sent[3])
    assert np.delete(off, 3).max() < 1e-4


def test_the_directions_are_those_of_public_records_at_the_same_weights_alone():
    task = made(records=50, directions=50)
    weights = flat_weights(task.model())
    weights[:] = np.random.default_rng(0).normal(size=len(weights)) / 10
    public = task.subspace.public
    pixels = public.inputs.reshape(50, 64).astype(np.float64)
    outputs = pixels @ weights[:640].reshape(10, 64).T + weights[640:]
    errors = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True) - np.eye(10)[public.targets]
    slow = np.hstack([np.einsum("nc,nf->ncf", errors, pixels).reshape(50, 640), errors])
    rows = np.random.default_rng(1).normal(size=(3, 650))
    found = PublicDirections(task).projected(rows, weights, HERE)
    expected = np.linalg.lstsq(slow.T, rows.T)[0].T @ slow  # the nearest of what they span
    np.testing.assert_allclose(found, expected, atol=1e-3)
    strangers = tuple(Records(-own.inputs, own.targets) for own in task.holders)
    other = PublicDirections(replace(task, holders=strangers)).projected(rows, weights, HERE)
    np.testing.assert_array_equal(found, other)


def test_new_weights_have_new_directions_and_a_twin_has_the_same():
    task = made()
    rows, weights = np.eye(650)[:20], flat_weights(task.model())
    one = PublicDirections(task)
    first = one.projected(rows, weights, HERE)
    later = one.projected(rows, weights + np.linspace(-1, 1, 650), b"q" * 32)
    assert np.abs(first - later).max() > 0.01
    np.testing.assert_array_equal(one.twin().projected(rows, weights, HERE), first)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_leading_directions_are_orthonormal_and_keep_the_most(records, rank, most, seed):
    generator = np.random.default_rng(seed)
    rank = min(rank, records)
    gradients = generator.normal(size=(records, rank)) @ generator.normal(size=(rank, 12))
    found = leading(torch.from_numpy(gradients), most).numpy()
    scales = np.linalg.svd(gradients)[1]
    assert (scales[:most] > 1.1e-4 * scales[0]).sum() <= len(found)
    assert len(found) <= (scales[:most] > 0.9e-4 * scales[0]).sum()
    np.testing.assert_allclose(found @ found.T, np.eye(len(found)), atol=1e-6)
    other = np.linalg.qr(generator.normal(size=(12, len(found))))[0].T
    assert np.linalg.norm(gradients @ found.T) >= np.linalg.norm(gradients @ other.T) * (1 - 1e-6)


def test_public_gradients_that_are_not_finite_say_nothing():
    rows = torch.tensor([[0.0, 2.0], [torch.inf, 1.0], [torch.nan, 1.0]], dtype=torch.float64)
    assert leading(rows, 2).abs().tolist() == [[0.0, 1.0]]
    assert leading(rows[1:], 2).shape == (0, 2)


def test_a_run_that_overflows_ends_as_it_does_without_a_subspace(tmp_path):
    far = {"kind": "gradient_descent", "learning_rate": 1e300}
    done = run(scenario(rounds=4, update=far, **{"ledger.quorum": 0.1}), tmp_path)
    assert done.manifest["status"] in ("finished", "stalled")


@pytest.mark.long
def test_a_run_has_the_same_head_whatever_numpy_may_use(tmp_path):
    """OpenBLAS reads its number of threads once, when numpy is loaded."""
    model = {"kind": "digits", "model": {"kind": "mlp", "hidden": [100]}}
    asked_of = scenario(rounds=2, task={**TASK, "of": model, "directions": 30})
    (tmp_path / "s.yaml").write_text(resolved_yaml(asked_of))
    text = (
        "import sys; from fedchain import load, run; "
        "print(run(load(sys.argv[1]), sys.argv[2]).manifest['head'])"
    )
    heads = {
        subprocess.run(
            [sys.executable, "-c", text, str(tmp_path / "s.yaml"), str(tmp_path / threads)],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            capture_output=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(heads) == 1


def test_public_records_are_nobodys_and_a_warm_start_is_that_of_warm_start():
    start = {key: value for key, value in TASK.items() if key != "directions"}
    warm = tasks.build(
        tasks.check({**start, "kind": "warm_start", "of": {"kind": "digits"}}), 10, 0
    )
    cold, also = made(), made(warm=True)
    assert cold.public == also.public == warm.public == 30
    for one, other in zip(cold.holders, warm.holders, strict=True):
        np.testing.assert_array_equal(one.inputs, other.inputs)
    np.testing.assert_array_equal(flat_weights(also.model()), flat_weights(warm.model()))
    assert not flat_weights(cold.model()).any(), "a softmax begins with zeros"
    assert cold.baselines == also.baselines == warm.baselines
    assert "public_only" in initial_manifest(build_setup(scenario()))["baselines"]


def test_a_run_has_the_same_head_with_any_workers(tmp_path):
    heads = {
        run(scenario(rounds=3), tmp_path / str(workers), workers=workers).manifest["head"]
        for workers in (1, 2)
    }
    assert len(heads) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"directions": 31}, r"task\.directions: must be at most records = 30, got 31"),
        ({"of": {"kind": "none"}}, "none has no records"),
        (
            {"of": {"kind": "warm_start", "of": {"kind": "digits"}, "steps": 1}},
            r"warm_start declares 100 public records; only one task",
        ),
    ],
)
def test_what_makes_no_subspace_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        made(**settings)


def test_a_scenario_with_too_many_directions_is_refused_before_it_runs(tmp_path):
    with pytest.raises(ScenarioError, match="must be at most records = 30, got 31"):
        run(scenario(task={**TASK, "directions": 31}), tmp_path / "run")
    assert not list(tmp_path.iterdir())

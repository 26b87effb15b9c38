"""The Flower strategy of ``examples/``: signed updates, a rule of fedchain, and a ledger."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fedchain

app = pytest.importorskip("flwr.app")

EXAMPLE = Path(__file__).parents[1] / "examples" / "flower_strategy.py"
CLIENTS, RATE = 5, 0.5


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("flower_strategy", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def server(example, tmp_path):
    first = app.ArrayRecord([np.zeros((2, 3), np.float32), np.ones(3, np.float32)])
    strategy = example.LedgerStrategy(
        tmp_path / "run",
        first,
        clients=CLIENTS,
        rounds=4,
        learning_rate=RATE,
        aggregation={"kind": "median", "scale": "restore"},
        secret=bytes(32),
    )
    yield SimpleNamespace(strategy=strategy, first=first, folder=tmp_path / "run")
    strategy.close()


def reply(example, server, arrays, client, moved, round_=1, signed=None):
    """Return what a client sends that has moved every weight by about a number."""
    config = app.ConfigRecord({**server.strategy.place(), "server-round": round_})
    draw = np.random.default_rng(client)  # equal directions would be refused as copies
    after = app.ArrayRecord(
        [
            array - np.float32(moved + 1e-3 * draw.standard_normal(array.shape))
            for array in arrays.to_numpy_ndarrays()
        ]
    )
    made = example.signed_update(arrays, after, config, bytes([client]) * 32, records=10)
    told = {
        "arrays": after,
        "signed": app.ConfigRecord({"message": signed}) if signed is not None else made,
        "metrics": app.MetricRecord({"num-examples": 10}),
    }
    return SimpleNamespace(content=app.RecordDict(told), has_error=lambda: False)


def test_the_median_of_what_clients_send_is_the_next_model(example, server):
    moves = [0.1, 0.2, 0.3, 5.0, 9.0]
    replies = [reply(example, server, server.first, k, moved) for k, moved in enumerate(moves)]
    arrays, metrics = server.strategy.aggregate_train(1, replies)
    for before, after in zip(
        server.first.to_numpy_ndarrays(), arrays.to_numpy_ndarrays(), strict=True
    ):
        np.testing.assert_allclose(before - after, 0.3, atol=1e-2)
        assert before.dtype == after.dtype
    assert (metrics["messages"], metrics["height"]) == (5, 1)
    assert list(arrays) == list(server.first)


def test_every_round_is_a_block_that_verify_computes_again(example, server):
    arrays = server.first
    for number in (1, 2, 3):
        replies = [reply(example, server, arrays, k, 0.1 * (k + 1), number) for k in range(CLIENTS)]
        arrays, _ = server.strategy.aggregate_train(number, replies)
    server.strategy.close()
    verdict = fedchain.verify(server.folder)
    assert verdict.ok
    assert (verdict.ledger.height, verdict.ledger.block) == (3, server.strategy.head.hex())


def test_a_message_that_was_changed_or_is_of_another_round_is_refused(example, server):
    good = [reply(example, server, server.first, k, 0.1) for k in range(3)]
    data = good[0].content["signed"]["message"]
    changed = data[:-1] + bytes([data[-1] ^ 1])
    others = [
        reply(example, server, server.first, 3, 0.1, signed=changed),
        reply(example, server, server.first, 4, 0.1, signed=b"nonsense"),
        reply(example, server, server.first, 5, 0.1, round_=2),
    ]
    _, metrics = server.strategy.aggregate_train(1, [*good, *others])
    assert metrics["messages"] == 3
    assert len(server.strategy.refused) == 3


def test_a_round_without_any_message_makes_no_block(server):
    assert server.strategy.aggregate_train(1, []) == (None, None)


def test_the_example_runs_in_the_simulation_of_flower(tmp_path):
    pytest.importorskip("ray")
    done = subprocess.run(
        [sys.executable, EXAMPLE, "--rounds", "2", "--out", tmp_path / "run"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(EXAMPLE.parents[1]), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "used [6, 6] of 10 messages" in done.stdout
    verdict = fedchain.verify(tmp_path / "run")
    assert verdict.ok
    assert verdict.ledger.height == 2
    assert verdict.ledger.block in done.stdout

"""Small scenarios that run in a second or two, for tests of everything around a run."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

from fedchain.engines import Source
from fedchain.learning.evaluation import Measured
from fedchain.ledger.storage.store import Store
from fedchain.nodes.holders.holder_pool import HolderPool
from fedchain.nodes.holders.pool_parts import PoolParts
from fedchain.scenario import Scenario, from_mapping
from fedchain.simulation.setup import build_setup
from fedchain.simulation.simulation import Simulation
from fedchain.timing import Stopwatch

EPSILON = 30.0
"""Large enough for the sign-flippers to stand out among ten holders of 43 records."""
FORKING = {"kind": "hashcash", "difficulty_bits": 6, "interval_s": 1.0}
SLOW = {"kind": "complete", "latency_ms": {"kind": "lognormal", "median": 2500.0, "sigma": 0.8}}
"""Blocks come nearly as fast as they travel, so that forks happen, cost releases, and heal."""


def small(rounds: int = 6, **overrides: Any) -> Scenario:
    """Return a scenario: ten holders of the breast cancer table, two flip signs from round 3."""
    values = {
        "version": 1,
        "name": "small",
        "rounds": rounds,
        "task": {"kind": "breast_cancer"},
        "nodes": {"holders": 10, "compute": 3},
        "privacy": {"kind": "gaussian", "epsilon": EPSILON, "delta": 1e-3, "clip": 1.0},
        "aggregation": {"kind": "l_nearest", "keep": 7, "scale": "median_clip"},
        "update": {"kind": "adam", "learning_rate": 0.1},
        "ledger": {"work": {"kind": "hashcash", "difficulty_bits": 6}},
        "attacks": [{"kind": "sign_flip", "holders": [8, 9], "from_round": min(3, rounds)}],
    }
    return from_mapping(values, set=overrides)


def forking(rounds: int = 12, **overrides: Any) -> Scenario:
    """Return the scenario of ``small`` with many forks, and spare releases that forks cost."""
    fast = {"ledger.work": FORKING, "network": SLOW, "privacy.spare_releases": rounds}
    return small(rounds, **{**fast, **overrides})


SPENDING = {"kind": "privacy_filter", "epsilon": EPSILON, "delta": 1e-3, "clip": 1.0}


def spending(rounds: int = 6, growth: float = 2.0, **overrides: Any) -> Scenario:
    """Return the scenario of ``small`` with many forks, and noise under a privacy filter."""
    fast = {"ledger.work": FORKING, "network": SLOW, "privacy": {**SPENDING, "growth": growth}}
    return small(rounds, **{**fast, **overrides})


def simulate(scenario, folder, gradients=None):
    """Return a scenario's setup, its store, and a simulation that has not begun."""
    setup = build_setup(scenario)
    path = folder / "ledger"
    store = (
        Store.open(path)
        if path.exists()
        else Store.create(path, setup.rules, setup.genesis, setup.state)
    )
    pool = Source(setup.scenario, setup.mechanism, setup.task).backend("cpu")
    if gradients is not None:
        parts = PoolParts(
            gradients=gradients, scenario=setup.scenario, task=setup.task, mechanism=setup.mechanism
        )
        pool = HolderPool(parts)
    made = Simulation(
        setup=setup,
        store=store,
        ask=lambda *asked: iter([pool(*asked)]),
        measure=unmeasured,
        watch=Stopwatch(),
    )

    def close():
        made.close()
        store.close()

    return SimpleNamespace(setup=setup, store=store, simulation=made, close=close)


def unmeasured(*_):
    nothing = Future()
    nothing.set_result(Measured({}))
    return nothing

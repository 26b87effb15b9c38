"""Small scenarios that run in a second or two, for tests of everything around a run."""

from __future__ import annotations

from typing import Any

from fedchain.scenario import Scenario, from_mapping

EPSILON = 30.0
"""Large enough for the sign-flippers to stand out among ten holders of 43 records."""
FORKING = {"kind": "hashcash", "difficulty_bits": 6, "interval_s": 1.0}
SLOW = {"kind": "complete", "latency_ms": {"kind": "lognormal", "median": 2500.0, "sigma": 0.8}}
"""Blocks come nearly as fast as they travel, so that forks happen, cost releases, and heal."""


def small(rounds: int = 6, **overrides: Any) -> Scenario:
    """Return ten holders of the breast cancer table, two of them sign-flippers from round 3."""
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
    """Return the same with many forks, and room for the releases that they cost."""
    fast = {"ledger.work": FORKING, "network": SLOW, "privacy.spare_releases": rounds}
    return small(rounds, **{**fast, **overrides})

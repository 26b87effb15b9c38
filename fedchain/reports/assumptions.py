"""Assumptions of the laws of chains: each function names an assumption that a run breaks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

QUIET: Mapping[str, Any] = {
    "relay": "push",
    "bandwidth_mbit_s": None,
    "loss": 0.0,
    "churn": None,
    "partitions": [],
    "late_joiners": None,
}
"""Settings of ``gossip`` with which a block reaches every node after one latency."""
AT_ONCE = 0.01
"""Share of the mean time between two blocks up to which a latency counts as zero."""
GIVEN_UP = 0.005
"""Probability of an attack's success up to which the attack counts as hopeless."""


def stale_flaw(manifest: Mapping[str, Any]) -> str:
    """Return the assumption of the law of stale blocks that a run breaks; empty if none."""
    return _unquiet(manifest["scenario"]) or _uneven(manifest["chain"]["nodes"])


def selfish_flaw(manifest: Mapping[str, Any]) -> str:
    """Return the assumption of the law of selfish mining that a run breaks; empty if none."""
    (attack,) = manifest["scenario"]["attacks"]
    own = manifest["chain"]["nodes"][attack["nodes"][0]]
    honest = [node for node in manifest["chain"]["nodes"] if node is not own]
    return _race_flaw(manifest["scenario"], attack, own["hash_share"]) or _uneven(honest)


def double_spend_flaw(manifest: Mapping[str, Any]) -> str:
    """Return the assumption of the law of double spends that a run breaks; empty if none."""
    (attack,) = manifest["scenario"]["attacks"]
    share = manifest["chain"]["nodes"][attack["nodes"][0]]["hash_share"]
    if flaw := _race_flaw(manifest["scenario"], attack, share):
        return flaw
    behind = attack["gives_up"]
    if behind is not None and (share / (1 - share)) ** (behind + 1) > GIVEN_UP:
        return f"the attacker gives up when it is {behind} blocks behind, where it may still win"
    return ""


def _race_flaw(scenario: Mapping[str, Any], attack: Mapping[str, Any], share: float) -> str:
    if flaw := _unquiet(scenario):
        return flaw
    if attack["from_round"] != 1 or attack["to_round"] is not None:
        return "the attack does not last for the whole run (from_round, to_round)"
    if share >= 0.5:
        return f"the attacker has {share:.3g} of all work, not less than half"
    slowest = _slowest_ms(scenario["network"]["latency_ms"])
    interval_s = scenario["ledger"]["work"]["interval_s"]
    if slowest is None or slowest / 1000.0 > AT_ONCE * interval_s:
        words = "an unknown time" if slowest is None else f"up to {slowest / 1000.0:g} s"
        most = f"{AT_ONCE:.0%} of the {interval_s:g} s between blocks"
        return f"a block travels for {words}, more than {most}"
    return ""


def _unquiet(scenario: Mapping[str, Any]) -> str:
    if (kind := scenario["network"]["kind"]) != "complete":
        return f"the network is {kind}, not complete"
    for key, value in QUIET.items():
        if scenario["gossip"][key] != value:
            return f"gossip.{key} is not {json.dumps(value)}"
    if window := scenario["ledger"]["work"]["retarget_window"]:
        return f"the difficulty changes every {window} blocks (ledger.work.retarget_window)"
    return ""


def _slowest_ms(latency: Mapping[str, Any]) -> float | None:
    """Return a latency that hardly any link exceeds, milliseconds; None if it is unknown."""
    wide = math.exp(3.0 * latency.get("sigma", 0.0))  # one of 740 draws is above
    if latency["kind"] == "regions":
        return wide * float(max(map(max, latency["matrix"])))
    key = {"constant": "value", "uniform": "high", "lognormal": "median"}.get(latency["kind"])
    return wide * float(latency[key]) if key else None


def _uneven(nodes: list[Mapping[str, Any]]) -> str:
    shares = [float(node["hash_share"]) for node in nodes]
    alike = max(shares) - min(shares) < 1e-9
    return "" if alike else "honest compute nodes have different shares of the work"

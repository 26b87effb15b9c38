"""The scenario: one strict YAML file, checked, frozen, and able to say where each value is from."""

from fedchain.scenario.groups import Groups
from fedchain.scenario.loading import from_mapping, load
from fedchain.scenario.overriding import parse_choices, parse_overrides
from fedchain.scenario.sections import (
    Attack,
    Evaluate,
    Gossip,
    LedgerSettings,
    Misconduct,
    Nodes,
    Scenario,
    Sweep,
)
from fedchain.scenario.writing import digest, layer_of, plain, resolved_yaml, run_name, written

__all__ = [
    "Attack",
    "Evaluate",
    "Gossip",
    "Groups",
    "LedgerSettings",
    "Misconduct",
    "Nodes",
    "Scenario",
    "Sweep",
    "digest",
    "from_mapping",
    "layer_of",
    "load",
    "parse_choices",
    "parse_overrides",
    "plain",
    "resolved_yaml",
    "run_name",
    "written",
]

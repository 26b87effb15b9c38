"""Scenario: a strict YAML file as a checked, frozen record that knows each value's source."""

from fedchain.scenario.groups import Groups
from fedchain.scenario.loading import from_mapping, load
from fedchain.scenario.overriding import parse_choices, parse_overrides
from fedchain.scenario.sections import (
    Attack,
    ComputeAttack,
    Evaluate,
    Gossip,
    LedgerSettings,
    Nodes,
    Scenario,
    Sweep,
)
from fedchain.scenario.shipped import (
    description_of,
    files_of,
    first_sentence,
    hidden_by,
    located,
    shipped_files,
)
from fedchain.scenario.writing import digest, layer_of, plain, resolved_yaml, run_name, written

__all__ = [
    "Attack",
    "ComputeAttack",
    "Evaluate",
    "Gossip",
    "Groups",
    "LedgerSettings",
    "Nodes",
    "Scenario",
    "Sweep",
    "description_of",
    "digest",
    "files_of",
    "first_sentence",
    "from_mapping",
    "hidden_by",
    "layer_of",
    "load",
    "located",
    "parse_choices",
    "parse_overrides",
    "plain",
    "resolved_yaml",
    "run_name",
    "shipped_files",
    "written",
]

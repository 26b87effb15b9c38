"""Scenario: a strict YAML file as a checked, frozen record that knows each value's source."""

from fedchain.scenario.groups import Groups
from fedchain.scenario.loading import from_mapping, load
from fedchain.scenario.overriding import parse_choices, parse_overrides
from fedchain.scenario.sections import (
    ComputeAttack,
    Evaluate,
    Gossip,
    HolderAttack,
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
from fedchain.scenario.writing import (
    layer_of,
    plain_values,
    resolved_yaml,
    run_name,
    scenario_digest,
    written,
)

__all__ = [
    "ComputeAttack",
    "Evaluate",
    "Gossip",
    "Groups",
    "HolderAttack",
    "LedgerSettings",
    "Nodes",
    "Scenario",
    "Sweep",
    "description_of",
    "files_of",
    "first_sentence",
    "from_mapping",
    "hidden_by",
    "layer_of",
    "load",
    "located",
    "parse_choices",
    "parse_overrides",
    "plain_values",
    "resolved_yaml",
    "run_name",
    "scenario_digest",
    "shipped_files",
    "written",
]

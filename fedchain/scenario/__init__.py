"""Scenario: reads and checks a YAML file, and makes an immutable record of its values."""

from fedchain.scenario.attackers import ComputeAttack, HolderAttack, attackers_of
from fedchain.scenario.groups import Groups
from fedchain.scenario.loading import (
    ScenarioLike,
    as_scenario,
    from_mapping,
    from_resolved,
    load,
    source_of,
    user_parts,
)
from fedchain.scenario.local import Local
from fedchain.scenario.nodes import Momentum, Nodes
from fedchain.scenario.overriding import parse_choices, parse_overrides
from fedchain.scenario.provenance import changes_since, provenance_of, run_digest, run_name
from fedchain.scenario.sections import Gossip, Scenario
from fedchain.scenario.shipped import (
    description_of,
    files_of,
    first_sentence,
    hidden_by,
    located,
    shipped_files,
)
from fedchain.scenario.writing import (
    is_exact,
    plain_values,
    resolved_yaml,
    scenario_digest,
    written,
)

__all__ = [
    "ComputeAttack",
    "Gossip",
    "Groups",
    "HolderAttack",
    "Local",
    "Momentum",
    "Nodes",
    "Scenario",
    "ScenarioLike",
    "as_scenario",
    "attackers_of",
    "changes_since",
    "description_of",
    "files_of",
    "first_sentence",
    "from_mapping",
    "from_resolved",
    "hidden_by",
    "is_exact",
    "load",
    "located",
    "parse_choices",
    "parse_overrides",
    "plain_values",
    "provenance_of",
    "resolved_yaml",
    "run_digest",
    "run_name",
    "scenario_digest",
    "shipped_files",
    "source_of",
    "user_parts",
    "written",
]

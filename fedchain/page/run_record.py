"""Run record: what the page says of a run as a whole."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from fedchain.errors import FedchainError, RunRefused
from fedchain.files import read_json
from fedchain.ledger.chain.rules import Rules
from fedchain.names import command
from fedchain.page.lines import PageRecord, page_record
from fedchain.page.noise import noise_norms
from fedchain.results import COMPLETE, Run
from fedchain.scenario import Scenario, attackers_of


def run_record(run: Run, rules: Rules) -> PageRecord:
    """Return the record of a run, finished or not.

    Args:
        run: the run. User-defined parts that its scenario names count as unknown, unless the run
            was opened with trust in them.
        rules: the rules of its chain.
    """
    manifest, scenario = run.manifest, scenario_of(run)
    privacy, summary = _privacy(run), run.summary()
    last = {name: value for name, value in summary["metrics"].items() if name != "baselines"}
    records = _records(scenario, rules, privacy)
    return page_record(
        "run",
        name=manifest["name"],
        description=manifest["description"],
        status=manifest["status"],
        seed=manifest["seed"],
        rounds=rules.rounds,
        holders=rules.holders if scenario is None else scenario.nodes.participants,
        compute=None if scenario is None else scenario.nodes.miners,
        attackers=_attackers(scenario),
        groups=json.loads(rules.agreed)["groups"] is not None,
        rule=json.loads(rules.aggregation),
        update=json.loads(rules.update),
        weights=rules.dimension,
        model=_model_words(manifest["scenario"], rules),
        task=_kind(manifest["scenario"], "task"),
        network=_kind(manifest["scenario"], "network"),
        score=manifest["score"],
        scores=list(dict.fromkeys([*last, *_names(manifest["baselines"])])),
        baselines=manifest["baselines"],
        epsilon_budget=manifest["scenario"].get("privacy", {}).get("epsilon"),
        delta=manifest["epsilon"]["delta"],
        privacy=privacy,
        noise_norm=noise_norms(scenario, rules, records),
        records=records,
        judged_by=manifest.get("judged_by") or None,
        versions=manifest["versions"],
        arithmetic=manifest["arithmetic"],
        finding=summary["finding"],
        resume=None if manifest["status"] in COMPLETE else command("resume", run.folder),
    )


def scenario_of(run: Run) -> Scenario | None:
    """Return the scenario of a run; None if it cannot be read, or names untrusted parts."""
    try:
        return run.scenario
    except (FedchainError, ValueError):
        return None


def _attackers(scenario: Scenario | None) -> dict[str, str]:
    """Return the name of each attacker's attack, by the index of the holder, or of its group."""
    if scenario is None:
        return {}
    nodes, attacks = scenario.nodes, dict(enumerate(scenario.attacks))
    group_of = {
        holder: group for group in range(nodes.participants) for holder in nodes.members_of(group)
    }
    return {
        str(group_of[holder]): scenario.attacks[index].part.kind
        for index, holders in attackers_of(attacks, nodes.holders, scenario.seed).items()
        for holder in holders
        if holder in group_of
    }


def _records(
    scenario: Scenario | None, rules: Rules, privacy: Mapping[str, Any]
) -> list[int | None]:
    """Return the registered number of records of each participant; None where it is not known."""
    if scenario is None:
        return []
    nodes = scenario.nodes
    if len(rules.records) == 1:
        return [rules.records[0][0]] * nodes.participants
    counts = privacy.get("records")
    if not isinstance(counts, list) or len(counts) != nodes.holders:
        return [None] * nodes.participants
    return [
        sum(counts[holder] for holder in nodes.members_of(k)) for k in range(nodes.participants)
    ]


def _privacy(run: Run) -> dict[str, Any]:
    """Return the content of ``privacy.json``; {} until the run has ended."""
    with contextlib.suppress(FileNotFoundError, RunRefused):
        found = read_json(run.folder / "privacy.json")
        return found if isinstance(found, dict) else {}
    return {}


def _names(baselines: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [name for metrics in baselines.values() for name in metrics]


def _kind(scenario: Mapping[str, Any], section: str) -> str:
    return str(scenario.get(section, {}).get("kind", ""))


def _model_words(scenario: Mapping[str, Any], rules: Rules) -> str:
    """Return the model in words: its kind, and its parameters that are numbers or texts."""
    model = _inner_model(scenario.get("task", {}))
    inside = [
        f"{key} {value}" for key, value in model.items() if key != "kind" and value is not None
    ]
    kind = str(model.get("kind", f"{rules.dimension} weights"))
    return f"{kind} ({', '.join(inside)})" if inside else kind


def _inner_model(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the model of a task, or of the task inside it."""
    while isinstance(task, Mapping):
        found: object = task.get("model")
        if isinstance(found, Mapping):
            return found
        task = task.get("of", ())
    return {}

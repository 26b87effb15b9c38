"""Settings: what a study was asked to do, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedchain.names import counted_words, short_kind
from fedchain.reports.study import Study
from fedchain.reports.words import labelled, value_words


def settings_of(study: Study) -> dict[str, str]:
    """Return the settings of a study in words: seed, task, model, parts, attacks, what varies."""
    scenario, nodes = study.first.manifest["scenario"], study.first.manifest["scenario"]["nodes"]
    facts = {
        "seed": str(scenario["seed"]),
        "task": _kind(study, "task"),
        **_inner(study),
        "network": _kind(study, "network"),
        "data holders": str(nodes["holders"]),
        "compute nodes": str(nodes["compute"]),
        "rounds": str(scenario["rounds"]),
        **_locally(scenario.get("local")),
        **{section: _kind(study, section) for section in ("aggregation", "update", "privacy")},
        "attacks": "; ".join(map(attack_words, scenario["attacks"])) or "none",
    }
    if study.kind == "run":
        return {**facts, "status": study.first.manifest["status"].replace("_", " ")}
    return {
        **facts,
        "varied": ", ".join(study.keys),
        "runs": f"{len(study.runs)} of {len(study.runs) + len(study.unfinished)}",
        "points": "; ".join(labelled(study)),
    }


def _kind(study: Study, section: str) -> str:
    return _part(study, section, study.first.manifest["scenario"].get(section))


def _locally(local: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the local training in words; nothing without it."""
    if local is None:
        return {}
    records = "all records" if local["batch"] is None else f"batches of {local['batch']}"
    steps = counted_words(local["steps"], "step")
    return {"local training": f"{steps} of {value_words(local['learning_rate'])}, {records}"}


def _inner(study: Study) -> dict[str, str]:
    """Return the model and the loss in words, which are parts of the task."""
    path, task = "task", study.first.manifest["scenario"]["task"]
    while isinstance(task.get("of"), Mapping):  # a task around another one
        path, task = f"{path}.of", task["of"]
    return {n: _part(study, f"{path}.{n}", task[n]) for n in ("model", "loss") if n in task}


def _part(study: Study, path: str, part: Any) -> str:
    if not isinstance(part, Mapping):
        return "–"
    inside = []
    for key, value in part.items():
        name = key.replace("_", " ")
        if f"{path}.{key}" in study.keys:
            inside.append(f"{name} varied")
        elif key != "kind" and isinstance(value, int | float | str):
            inside.append(f"{name} {value_words(value) if isinstance(value, float) else value}")
    return short_kind(part.get("kind")) + (f" ({', '.join(inside)})" if inside else "")


def attack_words(attack: Mapping[str, Any]) -> str:
    """Return an entry of ``attacks`` in words: kind, attackers, rounds."""
    last = attack.get("to_round")
    until = f" to {last}" if last is not None else ""
    who = _attackers(attack)
    if (names := attack.get("names", 1)) > 1:
        who += f" under {names} names each"
    if (knowledge := attack.get("knowledge", "own")) != "own":
        who += f", knowledge {knowledge},"
    return f"{short_kind(attack.get('kind'))} by {who} from round {attack.get('from_round')}{until}"


def _attackers(attack: Mapping[str, Any]) -> str:
    """Return the attackers in words: the ids of nodes or holders, or the number of holders."""
    if attack.get("nodes"):
        return f"compute nodes {', '.join(map(str, attack['nodes']))}"
    if attack.get("holders"):
        return f"holders {', '.join(map(str, attack['holders']))}"
    if attack.get("share") is not None:
        return f"a share of {attack['share']:g} of the holders (drawn by the seed)"
    return f"{attack.get('count')} holders (drawn by the seed)"

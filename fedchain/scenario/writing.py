"""Writing: turns a Scenario into plain values, their hash, or YAML with each value's source."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Set
from typing import Any

from fedchain.names import escaped
from fedchain.registry import Where, plain_value
from fedchain.scenario.attackers import Misbehaving
from fedchain.scenario.reading import scalar
from fedchain.scenario.sections import Scenario

UNHASHED = ("name", "description", "seed", "disk", "trace", "engine", "sweep", "labels", "tuning")
"""Keys that do not change what is computed for a given seed; the digest leaves them out."""

# With 48 bits, two of 5,000 runs have the same name with a probability of 5e-8.
NAMED_DIGITS = 12
"""Number of hexadecimal digits of the digest in the name of a run or a sweep."""


def plain_values(scenario: Scenario) -> dict[str, Any]:
    """Return all values of a scenario as plain YAML values; ``from_mapping`` reads them back."""
    values: dict[str, Any] = plain_value(scenario)
    values["attacks"] = [_flat(attack) for attack in scenario.attacks]
    return values


def written(scenario: Scenario) -> dict[str, Any]:
    """Return the plain values that come from a file or an option, without defaults."""
    layers = scenario._sources.layers
    known = {where[:depth] for where in layers for depth in range(len(where) + 1)}
    values: dict[str, Any] = _known(plain_values(scenario), (), known)
    return values


def scenario_digest(scenario: Scenario) -> str:
    """Return a hash, 64 hex digits, of the values that change the computation, without the seed."""
    values = plain_values(scenario).items()
    content = {k: v for k, v in values if k not in UNHASHED and v is not None}
    content |= {"exact": True} if is_exact(scenario) else {}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def is_exact(scenario: Scenario) -> bool:
    """Return whether a scenario asks for gradients with the same bits on every processor.

    It is the only key of the engine that changes what a run computes.
    """
    return bool(scenario.engine.parameters.get("exact", False))


def resolved_yaml(scenario: Scenario) -> str:
    """Return the scenario as YAML with all values; a comment names the source of each value."""
    rows = list(_lines(plain_values(scenario), (), 0, scenario._sources.layers))
    width = min(56, max(len(text) for text, _ in rows))
    return "".join(
        f"{text:<{width}}  # {layer}\n" if layer else f"{text}\n" for text, layer in rows
    )


def _known(value: object, where: Where, known: Set[Where]) -> Any:
    if isinstance(value, Mapping):
        places = {key: (*where, key) for key in value if (*where, key) in known}
        return {key: _known(value[key], place, known) for key, place in places.items()}
    if isinstance(value, list):
        return [_known(entry, (*where, index), known) for index, entry in enumerate(value)]
    return value


def _flat(attack: Misbehaving) -> dict[str, Any]:
    own = {name: value for name, value in plain_value(attack).items() if name != "part"}
    return {**attack.part.plain(), **own}


def _lines(
    value: Mapping[str, Any], where: Where, indent: int, layers: Mapping[Where, str]
) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, inner in value.items():
        head, place = f"{'  ' * indent}{yaml_text(key)}:", (*where, key)
        if isinstance(inner, Mapping) and inner:
            rows += [(head, ""), *_lines(inner, place, indent + 1, layers)]
        elif isinstance(inner, list) and inner and all(isinstance(e, Mapping) for e in inner):
            rows.append((head, ""))
            for index, entry in enumerate(inner):
                block = _lines(entry, (*place, index), indent + 2, layers)
                first = "  " * (indent + 1) + "- " + block[0][0].lstrip()
                rows += [(first, block[0][1]), *block[1:]]
        else:
            rows.append((f"{head} {yaml_text(inner)}", _layer(place, inner, layers)))
    return rows


def _layer(where: Where, value: object, layers: Mapping[Where, str]) -> str:
    first: Where = (*where, 0) if isinstance(value, list) and value else where
    return layers.get(first, layers.get(where, "default"))


def yaml_text(value: object) -> str:
    """Return a plain value as one line of YAML that reads back as the same value.

    >>> yaml_text([1e-5, math.inf, "a: b", None, {"kind": "adam"}])
    '[1.0e-05, .inf, "a: b", null, {kind: adam}]'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{yaml_text(k)}: {yaml_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(yaml_text(v) for v in value) + "]"
    if isinstance(value, str):
        bare = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", value) and scalar(value) == value
        return value if bare else escaped(json.dumps(value, ensure_ascii=False))
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    text = repr(value)
    # Readers of YAML 1.1, which some users have, take a mantissa without a dot for text.
    return text.replace("e", ".0e") if "e" in text and "." not in text else text

"""JSON schema of scenario files, for completion and checks in editors."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from fedchain.registry import (
    FAMILIES,
    Family,
    Part,
    Section,
    leaf_model,
    list_lengths,
    listed_family,
    nested_family,
    parameters,
    section_of,
)
from fedchain.scenario.attackers import WHO, ComputeAttack, HolderAttack
from fedchain.scenario.checking import CHAIN_ALONE, NO_TASK
from fedchain.scenario.sections import Scenario

MISBEHAVING: dict[str, tuple[type[Section], tuple[str, ...]]] = {
    "attack": (HolderAttack, WHO),
    "misconduct": (ComputeAttack, ("nodes",)),
}
"""Section and YAML keys that select the attackers, for each family of attacks."""
OWN_PART = {
    "description": "A part of your own: module:function.",
    "type": "string",
    "pattern": "^[A-Za-z_][\\w.]*:\\w+$",
}
"""Schema of the kind of a user-defined part, whose parameters are not known here."""


def scenario_schema() -> dict[str, Any]:
    """Return the JSON schema of a scenario file, with a description of every registered part."""
    whole = _object(Scenario)
    required = whole.pop("required")
    grid = whole["properties"]["sweep"]["properties"]["grid"]
    grid["propertyNames"] = {"pattern": rf"^({'|'.join(whole['properties'])})(\.|\[|$)"}
    whole["properties"] = {
        "extends": {"type": "string", "description": "Another scenario file to start from."},
        **whole["properties"],
        "attacks": {"type": "array", "items": _misbehaving()},
    }
    families = {name: address.family() for name, address in FAMILIES.items()}
    nothing = {"task": {"properties": {"kind": {"const": NO_TASK}}, "required": ["kind"]}}
    alone = {"required": [name for name in required if name not in CHAIN_ALONE]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fedchain scenario",
        **whole,
        "if": {"required": ["extends"]},
        "then": {},
        "else": {
            "if": {"properties": nothing, "required": ["task"]},
            "then": alone,
            "else": {"required": required},
        },
        "$defs": {name: _family_schema(family) for name, family in families.items()},
    }


def _family_schema(family: Family[Any]) -> dict[str, Any]:
    """Return the schema of a block of any part of a family.

    The kind decides which keys are checked, so that an editor shows one error for one mistake, not
    one for each part that the block is not.
    """
    parts = {name: part_schema(family.find(name), family.name) for name in family.names()}
    kinds = [{"const": name, "description": part["description"]} for name, part in parts.items()]
    return {
        "type": "object",
        "properties": {"kind": {"anyOf": [*kinds, OWN_PART]}},
        "required": ["kind"],
        "allOf": [{"if": _has_kind([name]), "then": part} for name, part in parts.items()],
    }


def _has_kind(names: list[str]) -> dict[str, Any]:
    """Return the schema of the blocks whose kind is one of the names."""
    return {"properties": {"kind": {"enum": names}}, "required": ["kind"]}


def _misbehaving() -> dict[str, Any]:
    """Return the schema of an entry of ``attacks``, of holders or of compute nodes."""
    compute = FAMILIES["misconduct"].family().names()
    return {
        "if": {"anyOf": [{"required": ["nodes"]}, _has_kind(compute)]},
        "then": {"$ref": "#/$defs/misconduct"},
        "else": {"$ref": "#/$defs/attack"},
    }


def part_schema(
    maker: Callable[..., Any], family: str, kind_required: bool = True
) -> dict[str, Any]:
    """Return the schema of one part's block, described by the part's docstring."""
    block = _object(maker)
    if family in MISBEHAVING:
        section, who = MISBEHAVING[family]
        own = _object(section)
        shared = {name: s for name, s in own["properties"].items() if name != "part"}
        block["properties"] |= shared
        block["anyOf"] = [{"required": [key]} for key in who]
    block["properties"] = {"kind": {"const": maker.__name__}, **block["properties"]}
    block["required"] = ["kind", *block["required"]] if kind_required else []
    return {"description": summary(maker), **block}


def summary(maker: Callable[..., Any]) -> str:
    """Return the first paragraph of a docstring as one line."""
    return " ".join((inspect.getdoc(maker) or "").split("\n\n")[0].split())


def argument_words(maker: Callable[..., Any]) -> dict[str, str]:
    """Return the text of each parameter in a docstring's ``Args``, by the parameter's name.

    >>> argument_words(part_schema)
    {}
    """
    text = inspect.getdoc(maker) or ""
    section = re.search(r"^Args:\n((?:[ ]{4,}.*\n?|\n)*)", text, re.MULTILINE)
    words: dict[str, str] = {}
    name = ""
    for line in section[1].splitlines() if section else []:
        entry = re.match(r"^ {4}(\w+)(?: \(.*?\))?:\s*(.*)$", line)
        if entry:
            name = entry[1]
            words[name] = entry[2]
        elif name and line.strip():
            words[name] = f"{words[name]} {line.strip()}"
    return {name: text.replace("``", "`") for name, text in words.items()}


def leaf_schema(maker: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    """Return the JSON schema of every key whose value is not a block, by the key's name."""
    schema = leaf_model(maker).model_json_schema()
    within_it = schema.get("$defs", {})
    return {k: _whole(p, within_it) for k, p in schema.get("properties", {}).items()}


def _whole(rule: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema without titles, with every ``$ref`` replaced by its definition."""
    if isinstance(rule, list):
        return [_whole(entry, definitions) for entry in rule]
    if not isinstance(rule, Mapping):
        return rule
    if "$ref" in rule:
        return _whole(definitions[rule["$ref"].rpartition("/")[2]], definitions)
    return {name: _whole(inner, definitions) for name, inner in rule.items() if name != "title"}


def _object(maker: Callable[..., Any]) -> dict[str, Any]:
    section = isinstance(maker, type) and issubclass(maker, Section)
    words = field_words(maker) if section else argument_words(maker)
    leaves = leaf_schema(maker)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, parameter in parameters(maker).items():
        entry = dict(leaves.get(name) or _block(parameter))
        if name in words:
            entry["description"] = words[name]
        properties[name] = entry
        if parameter.default is inspect.Parameter.empty:
            required.append(name)
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _block(parameter: inspect.Parameter) -> dict[str, Any]:
    """Return the schema of an inner block: a section, or any part of a family."""
    section, family = section_of(parameter.annotation), nested_family(parameter.annotation)
    listed = listed_family(parameter.annotation)
    if listed is not None:
        least, most = list_lengths(parameter.annotation)
        items = {"$ref": f"#/$defs/{listed.name}"}
        return {"type": "array", "items": items, "minItems": least, "maxItems": most}
    if family is None:
        assert section is not None
        block = _object(section)
        return block if parameter.default is not None else {**block, "type": ["object", "null"]}
    reference = {"$ref": f"#/$defs/{family.name}"}
    if not isinstance(parameter.default, Part):
        return reference
    maker = family.find(parameter.default.kind)
    # A block without a kind keeps the kind of the default.
    default = part_schema(maker, family.name, kind_required=False)
    return {"if": {"required": ["kind"]}, "then": reference, "else": default}


def field_words(section: Callable[..., Any]) -> dict[str, str]:
    """Return the text under each field of a section, by the field's name."""
    source = inspect.getsource(section)
    found = re.finditer(r'^    (\w+):(?:[^"]|"(?!""))*?\n    """(.*?)"""', source, re.M | re.S)
    return {match[1]: " ".join(match[2].split()) for match in found}

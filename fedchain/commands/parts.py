"""Parts: descriptions of the registered parts, for `fedchain list` and `fedchain describe`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from fedchain.commands.formats import refuse
from fedchain.registry import (
    FAMILIES,
    Family,
    list_lengths,
    listed_family,
    nested_family,
    parameters,
    plain_value,
    simulator_values,
    suggest,
)
from fedchain.registry.own import imported
from fedchain.scenario.schema import (
    MISBEHAVING,
    argument_words,
    field_words,
    leaf_schema,
    summary,
)
from fedchain.scenario.writing import yaml_text

WRITTEN = {
    "task": "task: ",
    "mechanism": "privacy: ",
    "aggregation": "aggregation: ",
    "pre_aggregation": "aggregation:\n  kind: ..\n  first:\n  - ",
    "update": "update: ",
    "network": "network: ",
    "attack": "attacks:\n  - ",
    "poison": "attacks:\n  - holders: [0, 1]\n    kind: poisoned\n    records: ",
    "misconduct": "attacks:\n  - ",
    "work": "ledger:\n  work: ",
    "engine": "engine: ",
    "model": "task:\n  kind: ..\n  model: ",
    "loss": "task:\n  kind: ..\n  loss: ",
    "split": "task:\n  kind: ..\n  split: ",
    "latency": "network:\n  kind: complete\n  latency_ms: ",
}
"""YAML that precedes a part's block in a scenario, by family."""
PLACEHOLDERS = {"integer": "1", "number": "1.0", "string": "text", "boolean": "true", "array": "[]"}
"""Example value of a parameter without a default, by the parameter's JSON type."""


@dataclass(frozen=True, kw_only=True)
class Described:
    """Texts that describe one part."""

    family: str
    kind: str
    what: str
    """First sentence of the docstring."""
    docstring: str
    signature: str
    parameters: tuple[Mapping[str, str], ...]
    """Texts of each parameter: ``name``; ``allowed``, its type and bounds; ``default``, its default
    as YAML or `required`; ``meaning``, its description."""
    example: str
    """YAML to copy into a scenario."""


def catalogue(family: str | None = None) -> dict[str, list[Described]]:
    """Return the descriptions of all parts by family, or only those of one family."""
    if family is not None and family not in FAMILIES:
        refuse(f"no family called {family!r}; {suggest(family, FAMILIES)}")
    wanted = [family] if family is not None else list(FAMILIES)
    families = {name: FAMILIES[name].family() for name in wanted}
    return {name: [describe_part(f, kind) for kind in f.names()] for name, f in families.items()}


def described(name: str) -> list[Described]:
    """Return the descriptions of the parts with this name: one for each family that has it.

    A part of the user's own, ``module:function``, belongs to the families whose parts take the same
    values from the simulator.
    """
    if ":" in name:
        return _described_own(name)
    every = [part for parts in catalogue().values() for part in parts]
    found = [part for part in every if part.kind == name]
    if not found:
        refuse(f"no part called {name!r}; {suggest(name, {part.kind for part in every})}")
    return found


def _described_own(kind: str) -> list[Described]:
    try:
        taken = simulator_values(imported(kind, FunctionType, "Python function"))
        families = [address.family() for address in FAMILIES.values()]
        able = {family.name: _ways(family) for family in families}
        same = [family for family in families if taken in able[family.name]]
        counts = {name: {len(way) for way in ways} for name, ways in able.items()}
        alike = [family for family in families if len(taken) in counts[family.name]]
        return [describe_part(family, kind) for family in same or alike]
    except ValueError as error:
        refuse(str(error))


def _ways(family: Family[Any]) -> set[tuple[str, ...]]:
    """Return the names of the values from the simulator that the parts of a family take."""
    return {simulator_values(family.find(kind)) for kind in family.names()}


def describe_part(family: Family[Any], kind: str) -> Described:
    """Return the description of one part."""
    maker = family.find(kind)
    words = argument_words(maker)
    entries = [_parameter(maker, name, words) for name in parameters(maker)]
    if family.name in MISBEHAVING:  # the keys of every attack
        section, _ = MISBEHAVING[family.name]
        shared = (name for name in parameters(section) if name != "part")
        entries += [_parameter(section, name, field_words(section)) for name in shared]
    return Described(
        family=family.name,
        kind=kind,
        what=summary(maker).split(". ")[0].rstrip("."),
        docstring=inspect.getdoc(maker) or "",
        signature=f"{kind}{inspect.signature(maker)}",
        parameters=tuple(entries),
        example=_example(family.name, kind, maker),
    )


def _parameter(maker: Callable[..., Any], name: str, words: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of one parameter; ``words`` has the descriptions of all parameters."""
    return {
        "name": name,
        "allowed": allowed(maker, name),
        "default": default_text(parameters(maker)[name]),
        "meaning": words.get(name, ""),
    }


def default_text(parameter: inspect.Parameter) -> str:
    """Return a parameter's default as YAML, or `required` if there is none."""
    if parameter.default is inspect.Parameter.empty:
        return "required"
    return yaml_text(plain_value(parameter.default))


def allowed(maker: Callable[..., Any], name: str) -> str:
    """Return the type and bounds of a parameter in words."""
    parameter = parameters(maker)[name]
    listed = listed_family(parameter.annotation)
    if listed is not None:
        least, most = list_lengths(parameter.annotation)
        return f"a list of {least} to {most} blocks, each {_one_of(listed)}"
    family = nested_family(parameter.annotation)
    if family is not None:
        return _one_of(family)
    schema = leaf_schema(maker)[name]
    choices = schema.get("anyOf", [schema])
    return " or ".join(_type_words(choice) for choice in choices)


def _one_of(family: Family[Any]) -> str:
    article = "an" if family.name[0] in "aeiou" else "a"
    return f"{article} {family.name}: {', '.join(family.names())}"


def _type_words(schema: Mapping[str, Any]) -> str:
    if "enum" in schema or "const" in schema:
        return ", ".join(str(v) for v in schema.get("enum", [schema.get("const")]))
    names = {"integer": "whole number", "number": "number", "string": "text", "null": "null"}
    names |= {"boolean": "true, false", "array": "list", "object": "block"}
    bounds = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
    limits = [f"{sign} {schema[key]:g}" for key, sign in bounds.items() if key in schema]
    return " ".join([names.get(str(schema.get("type")), "anything"), ", ".join(limits)]).strip()


def _example(family: str, kind: str, maker: Callable[..., Any]) -> str:
    values = [f"kind: {kind}"]
    for name, parameter in parameters(maker).items():
        nested = nested_family(parameter.annotation) is not None
        if parameter.default is not inspect.Parameter.empty:
            if not nested and parameter.default is not None:
                values.append(f"{name}: {default_text(parameter)}")
        elif listed_family(parameter.annotation) is not None:
            values.append(f"{name}: [{{kind: ..}}]")
        elif nested:
            values.append(f"{name}: {{kind: ..}}")
        else:
            values.append(f"{name}: {_placeholder(leaf_schema(maker)[name])}")
    if {"epsilon", "noise_multiplier"} <= set(parameters(maker)):
        values.insert(1, "epsilon: 8.0")
    if family in MISBEHAVING:
        values.append(f"{MISBEHAVING[family][1][0]}: [0, 1]")
    return f"{WRITTEN[family]}{{{', '.join(values)}}}"


def _placeholder(schema: Mapping[str, Any]) -> str:
    (schema, *_) = schema.get("anyOf", [schema])
    if "enum" in schema:
        return str(schema["enum"][0])
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    if low is not None and schema.get("type") == "integer":
        return str(int(low) + ("exclusiveMinimum" in schema))
    return PLACEHOLDERS.get(str(schema.get("type")), "..")

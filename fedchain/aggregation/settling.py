"""Settling: decides what a scenario's rule leaves open, for the genesis block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fedchain.aggregation.rule import aggregations
from fedchain.aggregation.vectors import Byzantine
from fedchain.aggregation.weights import BY_RECORDS, EQUAL, Weights
from fedchain.registry import Family, Part, listed_family, parameters, within


def settled_rule(
    part: Part, records: Sequence[int], *, per_record: bool = True, byzantine: int = 0
) -> Part:
    """Return a rule without open parameters, as the genesis block needs it.

    ``weights: null`` becomes "records" if the registered numbers differ and a record is the unit of
    privacy, else "equal". ``byzantine: null``, and ``trim: null``, become the number of attackers.
    Rules and pre-aggregations inside the rule are settled alike. An empty ``first`` is left out.

    Args:
        part: the rule.
        records: the registered number of each participant; empty with open identities.
        per_record: whether a record is the unit of privacy.
        byzantine: the number of messages of a block that come from attackers.

    >>> settled_rule(Part("mean", {"weights": None, "first": ()}), [3, 5]).parameters["weights"]
    'records'
    >>> settled_rule(Part("krum", {"byzantine": None}), [], byzantine=4).parameters["byzantine"]
    4
    """
    differ = per_record and len(set(records)) > 1
    return _settled(part, aggregations, BY_RECORDS if differ else EQUAL, byzantine)


def _settled(part: Part, family: Family[Any], weights: str, byzantine: int) -> Part:
    given = dict(part.parameters)
    for name, parameter in parameters(family.find(part.kind)).items():
        listed = listed_family(parameter.annotation)
        if name not in given:
            continue
        if listed is not None:
            inner = tuple(_settled(each, listed, weights, byzantine) for each in given[name])
            given[name] = inner
        elif given[name] is None and parameter.annotation == Weights:
            given[name] = weights
        elif given[name] is None and parameter.annotation == Byzantine:
            given[name] = byzantine
    if given.get("first") == ():
        del given["first"]
    return Part(part.kind, given)


def tolerated(part: Part) -> Iterator[int]:
    """Yield the number of Byzantine messages that each settled part inside a rule is told.

    >>> list(tolerated(Part("krum", {"byzantine": 4})))
    [4]
    """
    for _, each, family in within(part, aggregations):
        for name, parameter in parameters(family.find(each.kind)).items():
            if parameter.annotation == Byzantine and each.parameters.get(name) is not None:
                yield each.parameters[name]

"""Agreement: builds the rules of a scenario's chain, and compares the rules with a scenario."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fedchain.aggregation.settling import settled_rule, tolerated
from fedchain.ledger.chain.canonical import LARGEST_WHOLE, canonical_text
from fedchain.ledger.chain.rules import ZERO, Parameters, Rules, encode_rules
from fedchain.ledger.chain.work import works
from fedchain.names import legible
from fedchain.nodes.holders.identity import Sampling
from fedchain.privacy.exact_noise import rounded_noise
from fedchain.privacy.local_steps import check_local, releases_in_message
from fedchain.privacy.mechanisms import Mechanism, Terms, mechanisms
from fedchain.registry import Part, plain_value
from fedchain.scenario import Scenario, is_exact
from fedchain.scenario.attackers import attackers_of

MAX_NORM = 1e9
"""Largest gradient norm that a message may declare."""
MAX_AHEAD_MS = 7_200_000
"""Largest lead of a block's timestamp over a node's clock, milliseconds: two hours, as in
Bitcoin."""
ABSENT = "(nothing)"
"""Text that is shown as the value of a missing key."""
SAME_NOISE = 1e-6
"""Largest relative difference at which the noises computed on two machines count as equal."""


def sampling_of(scenario: Scenario) -> Sampling:
    """Return the scenario's sampling, which draws the participants of each round."""
    nodes, root = scenario.nodes, scenario.rooted
    return Sampling(scenario.seed, nodes.participants, nodes.asked, scenario.rounds, root)


def mechanism_of(scenario: Scenario, dimension: int) -> Mechanism:
    """Build the scenario's mechanism, with noise calibrated for all releases of the run.

    If holders form groups, each member adds a share of its group's noise. ``dimension`` is the
    number of model weights.

    Raises:
        ValueError: the mechanism rejects its parameters, or its noise gives no finite epsilon.
        PartError: a user-defined mechanism fails, or cannot keep its declared ``terms``.
    """
    part, groups = scenario.privacy, scenario.nodes.groups
    messages = sampling_of(scenario).most_releases
    shares = () if groups is None else (groups.counted_on,)
    try:
        made = mechanisms.build(part, messages, dimension, *shares)
        check_local(made, scenario.local, grouped=groups is not None)
        if (each := releases_in_message(made, scenario.local)) > 1:
            spare = each * (made.terms.releases - messages)
            if "spare_releases" in part.parameters:
                part = Part(part.kind, {**part.parameters, "spare_releases": spare})
            made = mechanisms.build(part, each * messages, dimension)
        if is_exact(scenario) and math.isfinite(part.parameters.get("epsilon") or math.inf):
            given = {"epsilon": None, "noise_multiplier": rounded_noise(made)}
            part = Part(part.kind, {**part.parameters, **given})
            made = mechanisms.build(part, each * messages, dimension, *shares)
        total = made.epsilon_after(made.terms.releases)
    except ArithmeticError as error:
        words = f"privacy: no accountant has a total for these values ({error})"
        raise ValueError(f"{words}; a larger epsilon or delta is allowed") from error
    if made.noise_multiplier and not math.isfinite(total):
        raise ValueError(
            f"privacy: {part.kind} with noise multiplier {made.noise_multiplier:g} keeps no finite "
            f"epsilon over {made.terms.releases} releases at delta {made.terms.delta:g}; more "
            "noise or a larger delta is allowed, and epsilon .inf for no noise"
        )
    return made


def quorum_of(scenario: Scenario) -> int:
    """Return how many messages a block needs: quorum times the participants asked, rounded up.

    With a public root, a block needs one more.
    """
    asked = scenario.nodes.asked
    needed = min(asked, max(1, int(np.ceil(scenario.ledger.quorum * asked - 1e-9))))
    return needed + scenario.rooted


def registered_records(scenario: Scenario, counts: Sequence[int]) -> list[int]:
    """Return each participant's registered number of records; [] if identities are open.

    A group's number is the sum over all its members. The last participant is the public root, if
    there is one, with the number 0. ``counts`` has the number of records of each holder.
    """
    nodes = scenario.nodes
    if nodes.identity == "open":
        return []
    members = map(nodes.members_of, range(nodes.participants))
    return [sum(counts[holder] for holder in own) for own in members] + [0] * scenario.rooted


def rule_of(scenario: Scenario, mechanism: Mechanism, records: Sequence[int]) -> Part:
    """Return the aggregation rule; choose weights and numbers that the scenario leaves open.

    ``records`` has the registered numbers of records of the participants.
    """
    return settled_rule(
        scenario.aggregation,
        list(filter(None, records)),
        per_record=mechanism.terms.unit == "record",
        byzantine=byzantine_messages(scenario),
    )


def byzantine_messages(scenario: Scenario) -> int:
    """Return the number of messages of a round that come from attackers.

    A group is an attacker if one of its members is. An attacker with several names sends as many
    messages. If a round asks only some participants, their share of all attackers is rounded up.
    """
    nodes, attacks = scenario.nodes, dict(enumerate(scenario.attacks))
    names = dict[int, int]()
    for index, holders in attackers_of(attacks, nodes.holders, scenario.seed).items():
        names |= dict.fromkeys(holders, getattr(attacks[index], "names", 1))
    members = map(nodes.members_of, range(nodes.participants))
    sent = sum(max((names.get(holder, 0) for holder in own), default=0) for own in members)
    return -(-sent * nodes.asked // max(nodes.participants, 1))


def rules_of(
    scenario: Scenario,
    mechanism: Mechanism,
    layout: Parameters,
    records: Sequence[int],
) -> Rules:
    """Return the rules of a scenario's chain, with zeros as commitment and identity root.

    ``layout`` has the name and shape of each of the model's parameters. ``records`` has each
    participant's registered number of records.
    """
    work, terms = works.build(scenario.ledger.work), mechanism.terms
    schedule = mechanism.noise_schedule
    registered = scenario.nodes.identity == "registered"
    known = sorted(Counter(filter(None, records)).items()) if registered else []
    rule = rule_of(scenario, mechanism, [number for number, _ in known])
    return Rules(
        aggregation=canonical_text(rule.plain()),
        update=canonical_text(scenario.update.plain()),
        mechanism=mechanism.name,
        noise=schedule.noises if schedule else (mechanism.noise_multiplier,),
        clip=terms.clip if terms.clip_quantile is None else None,
        agreed=_text(_agreed(scenario, mechanism, rule)),
        records=tuple(known),
        root=scenario.rooted,
        commitment=ZERO,
        dimension=sum(math.prod(shape) for _, shape in layout),
        layout=layout,
        dtype=scenario.ledger.weights,
        holders=scenario.nodes.asked,
        identity=scenario.nodes.identity,
        identity_root=ZERO,
        quorum=quorum_of(scenario),
        rounds=scenario.rounds,
        storage=scenario.ledger.storage,
        max_norm=MAX_NORM,
        work=work.kind,
        bits=work.bits,
        interval_ms=work.interval_ms,
        retarget_window=work.retarget_window,
        max_ahead_ms=MAX_AHEAD_MS,
    )


def _agreed(scenario: Scenario, mechanism: Mechanism, rule: Part) -> dict[str, Any]:
    """Return the agreed values that the ledger itself does not check."""
    return {
        "task": scenario.task.plain(),
        "privacy": _privacy(scenario.privacy, mechanism) | _locally(scenario),
        "groups": plain_value(scenario.nodes.groups),
        "momentum": plain_value(scenario.nodes.momentum),
        "threat": {
            "byzantine": max(tolerated(rule), default=None),
            "identity": scenario.nodes.identity,
        },
    }


def _privacy(part: Part, mechanism: Mechanism) -> dict[str, Any]:
    """Return a mechanism's parameters and terms, except values that ``Rules`` has as fields."""
    terms: Terms = mechanism.terms
    fixed = {
        "kind": mechanism.name,
        "noise": mechanism.noise_multiplier,
        "clip": terms.clip if terms.clip_quantile is None else None,
    }
    told = {
        "releases": terms.releases,
        "unit": terms.unit,
        "delta": terms.delta,
        "sampling_rate": terms.sampling_rate,
        "automatic": terms.automatic,
        "clip_quantile": terms.clip_quantile,
    }
    known = fixed | told
    asked = part.plain()
    # ``clip: automatic`` differs from the clip in the rules, and is stored as ``clip_asked``.
    other = {k: v for k, v in asked.items() if k in known and v != known[k]}
    free = {k: v for k, v in asked.items() if k not in known}
    return told | free | {f"{k}_asked": v for k, v in other.items()}


def _locally(scenario: Scenario) -> dict[str, Any]:
    """Return the local training, which says what a release is; nothing without it."""
    return {} if scenario.local is None else {"local": plain_value(scenario.local)}


def _text(value: object) -> str:
    return canonical_text(_sayable(value))


def _sayable(value: Any) -> Any:
    """Return a plain value without file paths, with legible texts, and large integers as texts."""
    if isinstance(value, Mapping):
        # The path of a data file is private; the commitment covers the data.
        return {legible(str(k)): _sayable(inner) for k, inner in value.items() if k != "path"}
    if isinstance(value, list | tuple):
        return [_sayable(inner) for inner in value]
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        return str(value)
    return legible(value) if isinstance(value, str) else value


def disagreements(rules: Rules, scenario: Scenario) -> Iterator[str]:
    """Yield a sentence for each agreed value in which a chain and a scenario differ.

    Values that depend on the data are not compared: model parameters, registered numbers of
    records, commitment and identities.

    Raises:
        ValueError: the scenario's mechanism rejects its parameters.
    """
    mechanism = mechanism_of(scenario, rules.dimension)
    numbers = [number for number, count in rules.records for _ in range(count)]
    said = rules_of(scenario, mechanism, rules.layout, numbers)
    said = replace(said, commitment=rules.commitment, identity_root=rules.identity_root)
    for key, there, here in differing(rules, said):
        if key.startswith("privacy.noise[") and math.isclose(there, here, rel_tol=SAME_NOISE):
            continue
        yield f"genesis: {key}: is {_shown(there)}; the scenario says {_shown(here)}"
    expected = scenario.nodes.participants if rules.identity == "registered" else 0
    if len(numbers) != expected:
        words = f"are those of {len(numbers)} participants"
        yield f"genesis: records: {words}; the scenario has {expected}"


def differing(one: Rules, other: Rules) -> Iterator[tuple[str, Any, Any]]:
    """Yield the dotted path of each value in which two chains' rules differ, and both values."""
    yield from differing_values(json.loads(encode_rules(one)), json.loads(encode_rules(other)))


def differing_values(one: Any, other: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the dotted path of each value in which two JSON values differ, and both values.

    >>> list(differing_values({"a": [1, 2]}, {"a": [1, 3], "b": True}))
    [('a[1]', 2, 3), ('b', '(nothing)', True)]
    """
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            inner = f"{where}.{key}" if where else key
            yield from differing_values(one.get(key, ABSENT), other.get(key, ABSENT), inner)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, pair in enumerate(zip(one, other, strict=True)):
            yield from differing_values(*pair, f"{where}[{place}]")
    elif one != other or isinstance(one, bool) != isinstance(other, bool):
        yield where, one, other


def _shown(value: object) -> str:
    return value if value == ABSENT else canonical_text(value)[:200]

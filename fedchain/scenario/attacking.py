"""Attacks section: checks of misbehaving data holders and compute nodes in a scenario."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from fedchain.errors import Problem, ScenarioError
from fedchain.registry import FAMILIES, Family, Where, examine_keys, parameters
from fedchain.scenario.attackers import (
    WHO,
    ComputeAttack,
    HolderAttack,
    Misbehaving,
    attackers_of,
)

_WHO = "each with a kind and holders, or nodes for what compute nodes do"


def check_attacks(blocks: object) -> tuple[dict[int, Misbehaving], list[Problem]]:
    """Return the valid entries of ``attacks`` by their index, and the problems of the others."""
    if not isinstance(blocks, list | tuple):
        return {}, [Problem(("attacks",), f"must be a list of blocks, {_WHO}")]
    attacks: dict[int, Misbehaving] = {}
    problems: list[Problem] = []
    for index, block in enumerate(blocks):
        try:
            attacks[index] = _attack(block, ("attacks", index))
        except ScenarioError as error:
            problems += error.problems
    return attacks, problems


def _attack(block: object, where: Where) -> Misbehaving:
    """Check one entry of ``attacks``: its block mixes the keys of a section and of a part."""
    if not isinstance(block, Mapping):
        raise ScenarioError([Problem(where, f"must be a block, {_WHO}")])
    section = _section(block)
    keys = [name for name in section.model_fields if name != "part"]
    part = {key: value for key, value in block.items() if key not in keys}
    values, found = examine_keys(section, {n: block[n] for n in keys if n in block}, where)
    problems = [problem for problem in found if problem.where != (*where, "part")]
    try:
        values["part"] = family_of(section).check(part, where, keys)
        problems += _key_problems(section, values, where)
    except ScenarioError as error:
        problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return section.model_construct(**values)


def _key_problems(
    section: type[Misbehaving], values: Mapping[str, Any], where: Where
) -> Iterator[Problem]:
    """Check that one key selects the attackers, and that keys and parameters differ in name."""
    kind = values["part"].kind
    for name in section.model_fields.keys() & parameters(family_of(section).find(kind)).keys():
        words = f"{kind!r} has a parameter {name}, which is a key of every attack"
        yield Problem((*where, "kind"), f"{words}; give it another name")
    given = [key for key in WHO if values.get(key) is not None]
    if section is HolderAttack and len(given) != 1 and set(WHO) <= set(values):
        words = f"needs {', '.join(WHO[:-1])} or {WHO[-1]}, got {' and '.join(given) or 'none'}"
        yield Problem(where, f"{words}; exactly one of them is allowed")


def _section(block: Mapping[Any, Any]) -> type[Misbehaving]:
    """Return the section class for an entry of ``attacks``.

    An entry is for compute nodes if it has the key ``nodes`` or a kind that only they have.
    """
    kind = block.get("kind")
    if "nodes" in block:
        return ComputeAttack
    if (
        kind is None
        or kind in family_of(HolderAttack).names()
        or (":" in str(kind) and any(key in block for key in WHO))
    ):
        return HolderAttack
    return ComputeAttack if kind in family_of(ComputeAttack).names() else HolderAttack


def attack_keys(block: Mapping[Any, Any]) -> set[str]:
    """Return the keys that an entry of ``attacks`` may have; empty for an unknown kind."""
    section = _section(block)
    try:
        part = parameters(family_of(section).find(str(block["kind"])))
    except ValueError:
        return set()
    return {*part, *section.model_fields} - {"part"}


def family_of(section: type[Misbehaving]) -> Family[Any]:
    """Return the family of holders' attacks, or of compute nodes' misconduct."""
    return FAMILIES["attack" if section is HolderAttack else "misconduct"].family()


def attack_problems(
    values: Mapping[str, Any], attacks: Mapping[int, Misbehaving]
) -> Iterator[Problem]:
    """Yield the problems of attacks that do not fit the scenario or each other."""
    nodes, seed = values.get("nodes"), values.get("seed")
    for index, attack in attacks.items():
        yield from _round_problems(attack, ("attacks", index))
        if nodes is not None:
            key, word, numbers = _who(attack)
            count = nodes.holders if isinstance(attack, HolderAttack) else nodes.miners
            yield from _number_problems(numbers, count, word, ("attacks", index, key))
            censored = () if key == "holders" else attack.part.parameters.get("holders", ())
            place = ("attacks", index, "holders")
            yield from _number_problems(censored, nodes.participants, nodes.participant, place)
    yield from _overlaps(attacks)
    if nodes is not None and seed is not None:
        yield from _draw_problems(attacks, nodes.holders, seed)


def _draw_problems(
    attacks: Mapping[int, Misbehaving], holders: int, seed: int
) -> Iterator[Problem]:
    """Yield a problem for every attack that asks for more holders than the other attacks leave."""
    for index, drawn in attackers_of(attacks, holders, seed).items():
        attack = attacks[index]
        assert isinstance(attack, HolderAttack)
        number = attack.number_of(holders)
        if len(drawn) < number:
            words = f"asks for {number} holders, but the other attacks leave {len(drawn)}"
            key = "count" if attack.share is None else "share"
            yield Problem(("attacks", index, key), words)


def _round_problems(attack: Misbehaving, where: Where) -> Iterator[Problem]:
    if attack.to_round is not None and attack.to_round < attack.from_round:
        words = f"must be at least from_round ({attack.from_round}), got {attack.to_round}"
        yield Problem((*where, "to_round"), words)


def _who(attack: Misbehaving) -> tuple[str, str, tuple[int, ...]]:
    """Return the YAML key that lists attackers, the word for one attacker, and the listed ids."""
    if isinstance(attack, HolderAttack):
        return "holders", "holder", attack.holders or ()
    return "nodes", "compute node", attack.nodes


def _number_problems(
    numbers: tuple[int, ...], count: int, word: str, where: Where
) -> Iterator[Problem]:
    seen: set[int] = set()
    for entry, number in enumerate(numbers):
        place, last = (*where, entry), count - 1
        if not 0 <= number <= last:
            yield Problem(place, f"must be between 0 and {last} (the last {word}), got {number}")
        if number in seen:
            yield Problem(place, f"{word} {number} is listed twice")
        seen.add(number)


def _overlaps(attacks: Mapping[int, Misbehaving]) -> Iterator[Problem]:
    """Yield a problem for every two attacks in which one node takes part in the same round."""
    for (before, other), (index, attack) in itertools.combinations(attacks.items(), 2):
        (key, word, numbers), (other_key, _, others) = _who(attack), _who(other)
        both = set(numbers) & set(others) if key == other_key else set()
        first = max(attack.from_round, other.from_round)
        if both and attack.active(first) and other.active(first):
            words = f"{word} {min(both)} is in attacks[{before}] in round {first} too"
            where = ("attacks", index, key)
            yield Problem(where, f"{words}; a {word} makes one attack at a time")

"""Headings: lines above a run's rounds that say what the run is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fedchain.names import counted_words
from fedchain.registry import FAMILIES, Part, parameters
from fedchain.scenario import ComputeAttack, Scenario, attackers_of

if TYPE_CHECKING:
    from fedchain.simulation.setup import RunSetup


def heading(setup: RunSetup) -> str:
    """Return a line with the numbers of nodes, rounds and weights, privacy, and hashing time."""
    from fedchain.nodes.compute.hashing import expected_hashing_s, hashing_words

    scenario, mechanism = setup.scenario, setup.mechanism
    attacks, nodes = dict(enumerate(scenario.attacks)), scenario.nodes
    byzantine, dishonest = Counter[str](), Counter[str]()
    for index, attackers in attackers_of(attacks, nodes.holders, scenario.seed).items():
        byzantine[attacks[index].part.kind] += len(attackers)
    for attack in attacks.values():
        if isinstance(attack, ComputeAttack):
            dishonest[attack.part.kind] += len(attack.nodes)
    total = mechanism.epsilon_after(mechanism.terms.releases)
    privacy = "no privacy"
    if mechanism.noise_multiplier:
        privacy = (
            f"epsilon <= {total:.3g} (delta {mechanism.terms.delta:g}, "
            f"{mechanism.name} {mechanism.noise_multiplier:.3g})"
        )
    asked = f", {nodes.asked} a round" if nodes.asked < nodes.participants else ""
    if nodes.groups:
        found = nodes.groups
        honest = f"{found.honest_members} honest, {found.dropouts} may be lost"
        asked = f" in {nodes.participants} groups of {found.size} ({honest}){asked}"
    root = " and a public root" if scenario.rooted else ""
    local = scenario.local
    steps = f" of {counted_words(local.steps, 'local step')}" if local else ""
    return " · ".join(
        (
            f"{counted_words(nodes.holders, 'holder')}{_in_brackets(+byzantine)}{asked}{root}",
            f"{counted_words(nodes.miners, 'compute node')}{_in_brackets(dishonest)}",
            f"{counted_words(scenario.rounds, 'round')}{steps}",
            f"{setup.rules.dimension:,} weights",
            privacy,
            f"hashing {hashing_words(expected_hashing_s(scenario))}",
        )
    )


def settings_line(scenario: Scenario, learns: bool) -> str:
    """Return a line with the seed, the model, its loss, the rule, the update and the network."""
    parts = {"network": scenario.network}
    if learns:
        found = {n: v for part in scenario.task.nested() for n, v in part.parameters.items()}
        inner = {n: found[n] for n in ("model", "loss") if isinstance(found.get(n), Part)}
        learning = {"aggregation": scenario.aggregation, "update": scenario.update}
        parts = {**inner, **learning, **parts}
    named = (f"{family} {part_words(family, part)}" for family, part in parts.items())
    return " · ".join((f"seed {scenario.seed}", *named))


def part_words(family: str, part: Part) -> str:
    """Return the kind of a part, and the numbers and words that are not the part's defaults.

    >>> part_words("aggregation", Part("l_nearest", {"keep": 16, "scale": "restore"}))
    'l_nearest (keep 16)'
    """
    usual = parameters(FAMILIES[family].family().find(part.kind))
    shown = [
        f"{name.replace('_', ' ')} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in part.parameters.items()
        if isinstance(value, int | float | str) and value != usual[name].default
    ]
    return f"{part.kind} ({', '.join(shown)})" if shown else part.kind


def _in_brackets(kinds: Mapping[str, int]) -> str:
    return f" ({count_words(kinds)})" if kinds else ""


def count_words(counts: Mapping[str, int]) -> str:
    """Return counts by name as text.

    >>> count_words({"sign_flip": 2}), count_words({})
    ('2 sign_flip', 'nothing')
    """
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"

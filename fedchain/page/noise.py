"""Noise: how long the noise in a holder's message is expected to be."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fedchain.errors import FedchainError
from fedchain.ledger.chain.rules import Rules
from fedchain.privacy.local_steps import releases_in_message
from fedchain.privacy.mechanisms import Mechanism, mechanisms
from fedchain.registry import Part
from fedchain.scenario import Scenario


def noise_norms(
    scenario: Scenario | None, rules: Rules, records: Sequence[int | None]
) -> list[float | None]:
    """Return the expected norm of the noise in each participant's message, from public values.

    Args:
        scenario: the scenario; None if it is not known.
        rules: the rules of the chain.
        records: the registered number of records of each participant, where it is known.

    Returns:
        The norms, in the unit of ``Message.norm``. A norm is None if it is not known: without the
        scenario or the number of records, if the clip follows a quantile, or if messages are
        running means or are projected on a subspace.
    """
    projected = "public_subspace" in rules.agreed
    if scenario is None or rules.clip is None or scenario.nodes.momentum or projected:
        return [None] * len(records)
    mechanism, groups = _mechanism(scenario, rules), scenario.nodes.groups
    if mechanism is None:
        return [None] * len(records)
    # The shares of all members add up, and epsilon counts on those of the fewest honest ones.
    more = 1.0 if groups is None else math.sqrt(groups.size / groups.counted_on)
    more *= math.sqrt(releases_in_message(mechanism, scenario.local))
    return [
        count and more * mechanism.noise_norm(mechanism.terms.sensitivity(count), rules.dimension)
        for count in records
    ]


def _mechanism(scenario: Scenario, rules: Rules) -> Mechanism | None:
    """Return the mechanism with the noise that the rules state, which costs no calibration."""
    part, groups = scenario.privacy, scenario.nodes.groups
    given = dict(part.parameters)
    if "noise_multiplier" in given and rules.noise[0]:
        given |= {"epsilon": None, "noise_multiplier": rules.noise[0]}
    shares = () if groups is None else (groups.counted_on,)
    try:
        known = Part(part.kind, given)
        return mechanisms.build(known, rules.rounds, rules.dimension, *shares)
    except (FedchainError, ValueError, ArithmeticError):
        return None

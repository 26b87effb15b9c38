"""Declared: checks the declaration of a message against the rules of the chain."""

from __future__ import annotations

import math

from fedchain.ledger.chain.message import Declaration, Message
from fedchain.ledger.chain.rules import Rules

PUBLIC = Declaration(mechanism="none", noise_step=0, noise=0.0, clip=math.inf, records=0)
"""The declaration of a public root."""


def declaration_problem(said: Declaration, rules: Rules) -> str | None:
    """Return an error text if a declared value is not allowed, else None.

    The function does not check that the sender is registered with this number of records.
    """
    if rules.identity == "open" and said.records < 1:
        return f"records: is {said.records}; must be at least 1"
    if rules.identity == "registered" and said.records not in rules.registered:
        return f"records: is {said.records}; must be a number that genesis registers"
    if math.copysign(1.0, said.noise) < 0:  # -0.0 equals 0.0, but has other bytes
        return f"noise: is {said.noise!r}; must be 0.0 or above 0"
    return _public_problem(said) if not said.records else _release_problem(said, rules)


def zero_problem(message: Message) -> str | None:
    """Return an error text if only one of norm and exponent is 0, else None.

    A message with a zero gradient has the norm 0 and the exponent 0.
    """
    if (message.norm == 0) == (message.exponent == 0):
        return None
    allowed = "above 0" if message.exponent else "0.0"
    return f"norm: is {message.norm!r}; must be {allowed}, as exponent {message.exponent} says"


def _release_problem(said: Declaration, rules: Rules) -> str | None:
    if said.mechanism != rules.mechanism:
        return f"mechanism: is {said.mechanism[:80]!r}; must be {rules.mechanism!r}"
    if said.noise_step >= len(rules.noise):
        return f"noise_step: is {said.noise_step}; must be below {len(rules.noise)}"
    agreed = rules.noise[said.noise_step]
    if said.noise != agreed:
        return (
            f"noise: is {said.noise!r}; must be {agreed!r}, step {said.noise_step} of the schedule"
        )
    if rules.clip is None and not (math.isfinite(said.clip) and said.clip > 0):
        return f"clip: is {said.clip!r}; must be finite and above 0"
    if rules.clip is not None and said.clip != rules.clip:
        return f"clip: is {said.clip!r}; must be {rules.clip!r}"
    return None


def _public_problem(said: Declaration) -> str | None:
    for name, allowed in vars(PUBLIC).items():
        if (got := getattr(said, name)) != allowed:
            return f"{name}: is {got!r}; must be {allowed!r} for a public root"
    return None

"""Transition: computes the state after a block from the state before it and the block's messages.

Every full node gets the same state, bit for bit.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedchain.aggregation import Aggregate, Received, aggregations
from fedchain.aggregation.directions import Directions
from fedchain.aggregation.weights import EQUAL, takes_weights
from fedchain.arrays import ONE, Vector, read_only
from fedchain.errors import LedgerError, Problem, RunError
from fedchain.ledger.chain.canonical import read_canonical
from fedchain.ledger.chain.message import Message
from fedchain.ledger.chain.rules import Rules
from fedchain.ledger.chain.state import State
from fedchain.ledger.tools.verification import TransitionOf
from fedchain.registry import Family, Part, within
from fedchain.timing import Stopwatch
from fedchain.update import AVERAGE, RULE, Memory, updates

KEPT_NUMBERS, FEWEST, MOST = 2**19, 4, 16
"""Limits of the cache of computed steps: at most KEPT_NUMBERS weights and gradient entries, but at
least FEWEST and at most MOST steps."""
MOST_NESTED = 8
"""Maximum depth of nested mappings in a ledger's aggregation rule or update."""


@dataclass(frozen=True)
class Outcome:
    """The result of one step: the next state, and the aggregate used to compute it."""

    state: State
    """The state after the block."""
    aggregate: Aggregate
    """The gradient, and the share of each message in it, in order of message id."""


_NOTHING = Aggregate(np.empty(0), np.empty(0), np.empty(0), ())


def model_of(state: State) -> Vector:
    """Return the weights of the model after a block, shape (number of weights,).

    If the update averages the weights over blocks, the average is returned. Gradients are always
    computed at ``state.weights``.

    >>> model_of(State(np.zeros(1), {"average": np.ones(1)})).tolist()
    [1.0]
    """
    return state.memory.get(AVERAGE, state.weights)


def check_quorum(rules: Rules) -> None:
    """Raise ValueError if the aggregation rule fails with the fewest or most messages of a round.

    A user-defined rule is not checked.
    """
    rule = agreed_rule(rules)
    if not rules.quorum or ":" in rule.kind:
        return
    tries = {
        "at the quorum of the ledger": rules.quorum,
        "if all who are asked send": rules.holders,
    }
    for when, count in tries.items():
        alike = Directions.of(ONE * np.ones((count, 1)))
        try:
            aggregations.build(rule, Received(alike, np.ones(count), np.ones(count)))
        except ValueError as error:
            raise ValueError(f"aggregation: fails {when}: {error}") from error


class Steps:
    """Callable that computes the state after a block from the block's messages.

    The aggregation rule implements equations (14) to (16) of LearningChain. The update implements
    equation (8).
    """

    def __init__(
        self, rules: Rules, watch: Stopwatch | None = None, trust_user_parts: bool = False
    ) -> None:
        """Find and check the aggregation rule and the update that the chain's rules name.

        Args:
            rules: the rules of the chain.
            watch: a stopwatch that records the time of all steps as ``aggregation``.
            trust_user_parts: whether to import user-defined parts (``module:function``).

        Raises:
            RunError: the rules name a user-defined part, and ``trust_user_parts`` is False.
            ScenarioError: the rules name an unknown part.
            LedgerError: a part is not canonical JSON, is nested too deeply, or has weights by
                numbers of records although identities are open.
        """
        trust = trust_user_parts
        rule = _part(aggregations, rules.aggregation, trust)
        if rules.identity == "open":
            _check_unweighted(rule)
        self._aggregate = aggregations.bind(rule)
        self._update = updates.bind(_part(updates, rules.update, trust))
        self._dtype = rules.dtype
        self._keep = max(FEWEST, min(MOST, KEPT_NUMBERS // max(2 * rules.dimension, 1)))
        self._watch = watch or Stopwatch()
        self._outcomes: OrderedDict[tuple[bytes, ...], Outcome] = OrderedDict()

    def __call__(self, state: State, messages: tuple[Message, ...]) -> State:
        """Return the state after a block with these messages, in order of message id."""
        return self.outcome(state, messages).state

    def outcome(self, state: State, messages: tuple[Message, ...]) -> Outcome:
        """Return the outcome of a block that has these messages.

        ``state`` is the state after the parent block. The messages are in order of message id. A
        block without messages keeps the state.

        Raises:
            ValueError: no gradient or update can be computed from the messages.
        """
        if not messages:
            return Outcome(state, _NOTHING)
        key = tuple(message.id for message in messages)
        if key not in self._outcomes:
            with self._watch("aggregation"):
                self._outcomes[key] = self._step(state, messages)
            if len(self._outcomes) > self._keep:
                self._outcomes.popitem(last=False)
        return self._outcomes[key]

    @np.errstate(all="ignore")  # a chain may set rates that lead to infinite weights
    def _step(self, state: State, messages: tuple[Message, ...]) -> Outcome:
        sent = [(message.direction, message.exponent) for message in messages]
        directions = Directions(*zip(*sent, strict=True))
        norms = np.array([message.norm for message in messages])
        records = np.array([float(message.declaration.records) for message in messages])
        of_rule, of_update = split_memory(state.memory)
        aggregate = self._aggregate(Received(directions, norms, records, of_rule))
        weights = state.weights.astype(np.float64)
        step = self._update(weights, of_update, aggregate.gradient, messages[0].round)
        # The weights are rounded once, to the type that the rules state; float64 is not rounded.
        rounded = read_only(step.weights.astype(self._dtype))
        kept = {RULE + name: vector for name, vector in aggregate.memory.items()}
        return Outcome(State(rounded, {**step.memory, **kept}), aggregate)


def split_memory(memory: Memory) -> tuple[Memory, Memory]:
    """Return the rule's memory, without the prefix ``rule/`` in names, and the update's memory.

    >>> split_memory({"rule/centre": np.zeros(1), "momentum": np.ones(1)})
    ({'centre': array([0.])}, {'momentum': array([1.])})
    """
    of_rule = {k.removeprefix(RULE): v for k, v in memory.items() if k.startswith(RULE)}
    return of_rule, {k: v for k, v in memory.items() if not k.startswith(RULE)}


def agreed_rule(rules: Rules) -> Part:
    """Return the aggregation rule of a chain, without open parameters; user parts are imported."""
    return _part(aggregations, rules.aggregation, True)


def steps_of(trust_user_parts: bool) -> TransitionOf:
    """Return a function that builds ``Steps`` from the rules of a chain."""
    return functools.partial(Steps, trust_user_parts=trust_user_parts)


def _part(family: Family[Any], text: str, trust_user_parts: bool) -> Part:
    """Return the part that a JSON text describes, after checking it."""
    mapping = read_canonical(text.encode(errors="surrogatepass"), f"rules: {family.name}")
    for depth, inner, around in _nested(mapping):
        if depth > MOST_NESTED:
            raise LedgerError(
                f"rules: {family.name}: is nested too deeply; at most {MOST_NESTED} deep"
            )
        kind = inner.get("kind", "")
        if not isinstance(kind, str):
            raise LedgerError(f"rules: {family.name}: kind: got {kind!r:.80}; must be a text")
        if kind and kind in around:
            raise LedgerError(f"rules: {family.name}: {kind!r:.80} stands around itself")
        if ":" in kind and not trust_user_parts:
            raise RunError(
                f"ledger: its rules name {kind!r}, code of somebody's own that would be run; "
                "add --trust-user-parts if you know it"
            )
    return family.check(mapping, (family.name,))


def _check_unweighted(rule: Part) -> None:
    """Raise LedgerError if a rule, or one inside it, weights open identities by records."""
    for where, part, family in within(rule, aggregations, ("aggregation",)):
        if family is aggregations and takes_weights(part.kind):
            weights = part.parameters["weights"]
            if weights not in (None, EQUAL):
                key = Problem((*where, "weights"), "").key
                words = "must be equal where identities are open"
                raise LedgerError(f"rules: {key}: {words}, got {weights}")


def _nested(value: object) -> Iterator[tuple[int, Mapping[str, Any], frozenset[object]]]:
    """Yield the depth, from 1, and the content of every mapping inside a JSON value.

    The third value has the kinds of the mappings around it.
    """
    waiting = [(1, value, frozenset[object]())]
    while waiting:
        depth, found, around = waiting.pop()
        if isinstance(found, Mapping):
            yield depth, found, around
            around = around | {str(found.get("kind", ""))}
        if isinstance(found, Mapping | list):
            inner = found.values() if isinstance(found, Mapping) else found
            waiting += [(depth + 1, each, around) for each in inner]

"""Rehearsal: calls the user's own parts of a run once on small inputs, before the first round.

A mistake in a rule or an attack would otherwise end a run after its first rounds, or change its
results from one engine to another without a word.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fedchain.aggregation import Aggregate, Received, aggregations
from fedchain.aggregation.directions import Directions
from fedchain.arrays import Array, read_only
from fedchain.commitment import held_data
from fedchain.errors import PartError
from fedchain.learning.evaluation import flat_weights
from fedchain.learning.examination import examine_task
from fedchain.learning.task import Task, tasks
from fedchain.nodes.holders.sent import quantised_rows
from fedchain.randomness import digest, stream
from fedchain.runs.attack_rehearsal import rehearse_attack
from fedchain.scenario import Scenario
from fedchain.scenario.own import OwnPart, own_parts
from fedchain.simulation.setup import RunSetup
from fedchain.transition import agreed_rule
from fedchain.update import updates

ENTRIES, FEWEST = 2**22, 64
"""A rule is tried on vectors of at most ENTRIES numbers in all, but of at least FEWEST each."""
BY_ROUNDING = 1e-9
"""Largest difference that counts as rounding, divided by the largest number."""
OF_TASKS = ("task", "model", "loss", "split", "poison")
"""Families of the parts that a task is made of."""


def rehearse(setup: RunSetup) -> None:
    """Call every user-defined part of a run, if there are any.

    Raises:
        PartError: a part has a mistake; ``naming_files`` adds its file and line.
    """
    own = own_parts(setup.scenario)
    families = {each.family for each in own}
    if families & set(OF_TASKS) and setup.task.learns:
        _rehearse_task(setup.scenario, setup.task, own)
    if families & {"aggregation", "pre_aggregation"}:
        _rehearse_rule(setup, _name_of(own, "aggregation", "pre_aggregation"))
    if "update" in families:
        _rehearse_update(setup, _name_of(own, "update"))
    if "mechanism" in families:
        _rehearse_mechanism(setup, _name_of(own, "mechanism"))
    for index in {int(each.where[1]): None for each in own if each.where[0] == "attacks"}:
        rehearse_attack(setup, index)


@contextlib.contextmanager
def naming_files(own: Sequence[OwnPart]) -> Iterator[None]:
    """Add the file and the line of a user's part to an error about it that names none."""
    try:
        yield
    except PartError as error:
        text = " ".join(str(error).split())
        about = [] if ", line " in text else _parts_behind(text.partition(": ")[0], own)
        hint = "; change a copy of it" if "read-only" in text else ""
        raise PartError(f"{text}{hint}{f' ({about[0].file})' if about else ''}") from error


def _parts_behind(head: str, own: Sequence[OwnPart]) -> list[OwnPart]:
    """Return the parts that an error text may be about, given its beginning: ``task.loss``."""
    named = [each for each in own if each.part.kind in head]
    if named or not head.startswith("task"):
        return named
    key = head.rpartition(".")[2]
    of_task = [each for each in own if each.family in OF_TASKS]
    return sorted(of_task, key=lambda each: (each.family != key, each.family != "task"))


def _name_of(own: Sequence[OwnPart], *families: str) -> str:
    """Return the family and the kind of the first part of these families."""
    return next(f"{each.family} {each.part.kind}" for each in own if each.family in families)


def _rehearse_task(scenario: Scenario, task: Task, own: Sequence[OwnPart]) -> None:
    examine_task(task)
    made = next((each for each in own if each.family in ("task", "split")), None)
    if made is None:
        return
    again = tasks.build(scenario.task, scenario.nodes.holders, scenario.seed)
    same = held_data(task) == held_data(again) and _equal(
        task.held_out.inputs, again.held_out.inputs
    )
    if not same:
        raise PartError(
            f"{made.family} {made.part.kind}: gives other records when it is called again with the "
            "same seed, but every worker and every resume makes them anew; draw from "
            "stream(seed, ..) of fedchain.randomness"
        )
    if not _equal(flat_weights(task.model()), flat_weights(again.model())):
        raise PartError(
            f"{made.family} {made.part.kind}: gives other initial weights when it is called again "
            "with the same seed; make the model with seeded(lambda: .., seed)"
        )


def _rehearse_rule(setup: RunSetup, name: str) -> None:
    """Try the aggregation rule with all who are asked, and with the quorum of the ledger."""
    rule = aggregations.bind(agreed_rule(setup.rules))
    for count in (setup.rules.holders, setup.rules.quorum):
        received = _received(setup, count)
        try:
            made = rule(received)
        except ValueError as error:
            raise PartError(f"{name}: fails with {count} messages: {error}") from error
        if not np.isfinite(made.gradient).all():
            raise PartError(f"{name}: gives {_odd(made.gradient)}; allowed: finite numbers")
        if not _same_aggregates(made, rule(received)):
            raise PartError(
                f"{name}: gives other bits when it is called again with the same messages, and "
                "every node checks every block; keep nothing between calls, and draw nothing: what "
                "it must remember belongs into Aggregate.memory"
            )
        _check_order(rule(_reordered(received)), made, name)
        rule(_received(setup, count, made.memory))


def _received(setup: RunSetup, count: int, memory: Mapping[str, Array] | None = None) -> Received:
    """Return made-up messages: vectors around a common one, as they would be sent."""
    columns = min(setup.rules.dimension, max(FEWEST, ENTRIES // count))
    rows = made_up_rows(count, columns)
    sent = quantised_rows(rows, setup.scenario.ledger.storage)
    exponents, integers = zip(*sent.forms, strict=True)
    records = np.full(count, 10.0)
    if setup.scenario.rooted:
        records[-1] = 0.0
    return Received(Directions(integers, exponents), np.array(sent.norms), records, memory or {})


def made_up_rows(count: int, columns: int) -> Array:
    """Return made-up gradients around a common one, float32, shape (count, columns)."""
    draws = stream(0, "rehearsal", count, columns)
    apart = draws.standard_normal((count, columns), dtype=np.float32)
    return apart + 0.5 * draws.standard_normal(columns, dtype=np.float32)


def _reordered(received: Received) -> Received:
    """Return the same messages in the reverse order; a public root stays the last."""
    count = len(received.norms)
    last = int(received.records[-1] == 0)
    order = [*reversed(range(count - last)), *range(count - last, count)]
    rows = received.directions
    moved = Directions(
        tuple(rows.integers[k] for k in order), tuple(rows.exponents[k] for k in order)
    )
    return Received(moved, received.norms[order], received.records[order], received.memory)


def _check_order(other: Aggregate, made: Aggregate, name: str) -> None:
    apart = float(np.abs(other.gradient - made.gradient).max())
    if not apart <= BY_ROUNDING * max(1.0, float(np.abs(made.gradient).max())):
        raise PartError(
            f"{name}: gives another gradient for the same messages in another order, by {apart:.2g}"
            "; messages stand in the order of their hashes, which says nothing: let the result "
            "depend on what they hold"
        )


def _same_aggregates(one: Aggregate, other: Aggregate) -> bool:
    pairs = [
        (one.gradient, other.gradient),
        (one.shares, other.shares),
        (one.cosines, other.cosines),
    ]
    pairs += [(one.memory[k], other.memory.get(k, np.empty(0))) for k in one.memory]
    return one.memory.keys() == other.memory.keys() and all(_equal(*pair) for pair in pairs)


def _rehearse_update(setup: RunSetup, name: str) -> None:
    """Take two steps twice, from read-only arrays."""
    update = updates.bind(setup.scenario.update)
    weights = read_only(setup.state.weights.astype(np.float64))
    gradient = read_only(made_up_rows(1, len(weights))[0].astype(np.float64))

    def steps() -> list[Array]:
        first = update(weights, {}, gradient, 1)
        memory = {key: read_only(value.copy()) for key, value in first.memory.items()}
        second = update(read_only(first.weights.copy()), memory, gradient, 2)
        return [first.weights, second.weights, *second.memory.values()]

    made, again = steps(), steps()
    for array in made:
        if not np.isfinite(array).all():
            raise PartError(f"{name}: gives {_odd(array)}; allowed: finite numbers")
    if len(made) != len(again) or not all(map(_equal, made, again)):
        raise PartError(
            f"{name}: gives other bits when it is called again with the same arguments; keep "
            "nothing between calls: what it must remember belongs into Updated.memory"
        )


def _rehearse_mechanism(setup: RunSetup, name: str) -> None:
    """Release two gradients twice."""
    columns = min(setup.rules.dimension, FEWEST)
    rows = made_up_rows(2, columns).astype(np.float64)
    keys = [digest(0, "rehearsal", holder) for holder in range(2)]

    def released() -> Array:
        try:
            return np.asarray(setup.mechanism.release(rows.copy(), keys, [0.1, 0.1]))
        except Exception as error:  # the mechanism is the user's own
            raise PartError(f"{name}: release: {type(error).__name__}: {error}") from error

    made = released()
    if made.shape != rows.shape or not np.isfinite(made).all():
        words = f"{name}: release must return finite numbers of shape {rows.shape}"
        raise PartError(f"{words}, got shape {made.shape}")
    if not _equal(made, released()):
        raise PartError(
            f"{name}: release gives other noise for the same keys, which nobody could audit; draw "
            "it from normals(keys, ..) of fedchain.randomness"
        )


def _odd(array: Array) -> str:
    return f"{array[~np.isfinite(array)][0]} among its numbers"


def _equal(one: Array, other: Array) -> bool:
    """Return whether two arrays have the same bits."""
    return one.shape == other.shape and one.tobytes() == other.tobytes()

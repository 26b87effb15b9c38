"""Attacks: what Byzantine data holders send, and the poisoned records they learn from.

The holders of one attack act together as one adversary. An attack can change only the unit
direction and the norm in a message, LearningChain (12).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Matrix, Singles, Vector
from fedchain.learning.task import Records
from fedchain.registry import Family, Part

if TYPE_CHECKING:
    from fedchain.ledger.chain.state import State

Rows = Singles | Matrix
"""One vector per row, float32 or float64, shape (rows, entries)."""


@dataclass(frozen=True)
class View:
    """What the adversary behind an attack sees of a round.

    The adversary keeps no memory between blocks; only ``state`` carries over.
    """

    round: int
    """Height of the block that the messages are meant for."""
    state: State
    """State after the parent block: the weights, and the memory of update and aggregation rule."""
    own: Rows
    """Releases that the attackers would make if honest: gradients with noise, LearningChain (10),
    shape (attackers, entries), in order of the attackers' ids."""
    honest: Matrix
    """Honest messages that the adversary knows, each as norm times direction, shape (messages,
    entries). With ``knowledge: own`` there are none; with ``heard``, those sent for this block so
    far, in order of sending; with ``omniscient``, all of the round, in order of senders' ids."""
    rule: Callable[[Rows], Vector]
    """The run's aggregation rule: a function from sent vectors, shape (messages, entries), to the
    gradient, shape (entries,). All vectors have the same weight."""
    generators: tuple[np.random.Generator, ...]
    """A separate random generator for each attacker, in order of the attackers' ids."""


def _flaw(made: Rows, view: View) -> str | None:
    shape = view.own.shape
    if made.shape == shape and made.dtype.kind in "fiu":
        return None
    return f"must return numbers of shape {shape}, got {made.dtype} of shape {made.shape}"


attacks: Family[Rows] = Family("attack", ("fedchain.attacks",), np.ndarray, _flaw)
"""An attack is a function ``(view, *, ...)`` that returns what its holders send, shape (attackers,
entries), in a new array. An attack must not change the view. Rows may be equal. If holders form
groups, each row is added to the sum of the attacker's group.

If an attack has a parameter of the family ``poisons``, ``view.own`` comes from poisoned records."""


def _poison_flaw(made: Records, records: Records, *_: object) -> str | None:
    for name in ("inputs", "targets", "record"):
        before, after = getattr(records, name), getattr(made, name)
        if (before is None) != (after is None) or np.shape(before) != np.shape(after):
            words = f"must keep the shape of {name}, {np.shape(before)}"
            return f"{words}, got {np.shape(after)}; a holder's number of records is public"
    return None


poisons: Family[Records] = Family("poison", ("fedchain.attacks",), Records, _poison_flaw)
"""A poison is a function ``(records, classes, generator, *, ...)`` that returns the records from
which an attacker learns, with unchanged shapes. ``classes`` is the number of classes, 2 for masks.
``generator`` is a random generator of the holder that draws the same numbers in every round."""


@attacks
def sign_flip(view: View) -> Rows:
    """Send the negative of each attacker's gradient, with the same norm."""
    return -view.own


@attacks
def norm_inflation(view: View, *, factor: Annotated[float, Field(gt=0)] = 1e6) -> Rows:
    """Send each attacker's direction with a huge norm, to dominate the mean, LearningChain (16).

    The attack works with ``scale: restore``, where the aggregation rule trusts the declared norms.
    ``scale: unit`` and ``scale: median_clip`` prevent the attack.

    Args:
        view: the attackers' private gradients.
        factor: number that multiplies the norm, above 0.
    """
    return view.own * factor


@attacks
def random_direction(view: View) -> Rows:
    """Send uniformly random directions, each with the norm of the attacker's gradient.

    This models broken sensors rather than an adversary.
    """
    pairs = zip(view.own, view.generators, strict=True)
    return np.stack([_random(release, generator) for release, generator in pairs])


def _random(release: Vector, generator: np.random.Generator) -> Vector:
    direction = generator.standard_normal(release.shape)
    return direction * (np.linalg.norm(release) / np.linalg.norm(direction))


@poisons
def label_flip(records: Records, classes: int, generator: np.random.Generator) -> Records:
    """Learn from flipped labels: class c becomes the last class minus c, and masks are inverted.

    Reference:
        Tolpegin et al., Data Poisoning Attacks Against Federated Learning Systems, ESORICS 2020.
    """
    del generator
    return replace(records, targets=(classes - 1 - records.targets).astype(records.targets.dtype))


@attacks
def poisoned(
    view: View,
    *,
    records: Annotated[Part, poisons] = Part("label_flip", {}),  # noqa: B008
    factor: Annotated[float, Field(gt=0)] = 1.0,
) -> Rows:
    """Learn from poisoned records, and send the private gradients of these records.

    The gradients are clipped and get noise as honest gradients do.

    Args:
        view: the private gradients of the poisoned records.
        records: the poison that changes the attackers' records.
        factor: number that multiplies the norm, above 0; a large factor replaces the model.
    """
    del records
    return view.own * factor

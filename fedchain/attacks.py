"""Attacks: what Byzantine data holders send, and what poisoned records they learn from.

The holders of one attack act as one adversary. It decides once for each block, when the first of
them is due to send. LearningChain equation (12) splits every release into a unit direction and its
norm. An attack can therefore change only directions and norms.
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
"""One vector per row, float32 or float64, shape (n, d)."""


@dataclass(frozen=True)
class View:
    """What the adversary behind an attack sees of a round.

    It has no memory from one block to the next, since a resumed run does not compute recorded
    rounds again. What it wants to remember must follow from ``state``.
    """

    round: int
    """Height of the block that may carry the messages."""
    state: State
    """The state after the parent: its weights, and what the update remembers."""
    own: Rows
    """What the m attackers that are asked in this round would send if they were honest: their
    private gradients (10), noise included, shape (m, d). Attackers come in order of their ids."""
    honest: Matrix
    """Honest messages as they are published, norm times direction, shape (h, d); none if
    ``knowledge`` is own. heard: those sent for this block so far, in this order. omniscient: those
    of all honest holders or groups of the round, in order of their ids."""
    rule: Callable[[Rows], Vector]
    """The aggregation rule of the run: a function of what is sent (n, d), which it normalises and
    quantises as messages are; it returns the gradient (d,). It counts all rows alike, whatever the
    numbers of records behind them."""
    generators: tuple[np.random.Generator, ...]
    """A random stream for each of the m attackers, named by the attacker and the round."""


def _flaw(made: Rows, view: View) -> str | None:
    shape = view.own.shape
    if made.shape == shape and made.dtype.kind in "fiu":
        return None
    return f"must return numbers of shape {shape}, got {made.dtype} of shape {made.shape}"


attacks: Family[Rows] = Family("attack", ("fedchain.attacks",), np.ndarray, _flaw)
"""An attack is a function ``(view, *, ...)``. It returns what its m holders send, shape (m, d), as
new numbers; it must not change the view. It may return equal rows: they are told apart in the last
place, since exact copies of a direction do not count. If holders form groups, a row is what a
member adds to the sum of its group, as a mean gradient of that member.

If an attack has a parameter that is a part of the family ``poisons``, its holders compute
``view.own`` from poisoned records."""


def _poison_flaw(made: Records, records: Records, *_: object) -> str | None:
    for name in ("inputs", "targets", "record"):
        before, after = getattr(records, name), getattr(made, name)
        if (before is None) != (after is None) or np.shape(before) != np.shape(after):
            words = f"must keep the shape of {name}, {np.shape(before)}"
            return f"{words}, got {np.shape(after)}; a holder's number of records is public"
    return None


poisons: Family[Records] = Family("poison", ("fedchain.attacks",), Records, _poison_flaw)
"""A poison is a function ``(records, classes, generator, *, ...)``. It returns the records from
which an attacker learns in the rounds of the attack: as many examples, in the same shapes.
``classes`` is the number of classes of the task, 2 for masks. ``generator`` is a random stream of
the holder, the same in all rounds."""


@attacks
def sign_flip(view: View) -> Rows:
    """Send the negative of each attacker's gradient, with the same norm.

    Args:
        view: the attackers' private gradients.

    Returns:
        Minus the gradients, shape (m, d).
    """
    return -view.own


@attacks
def norm_inflation(view: View, *, factor: Annotated[float, Field(gt=0)] = 1e6) -> Rows:
    """Send each attacker's direction with a huge norm, so that it dominates the mean (16).

    With ``scale: restore`` the aggregation rule multiplies each direction by the norm that the
    sender declared, so a single huge norm decides the step. ``unit`` and ``median_clip`` prevent
    this.

    Args:
        view: the attackers' private gradients.
        factor: number that multiplies the norm, above 0.

    Returns:
        The gradients times the factor, shape (m, d).
    """
    return view.own * factor


@attacks
def random_direction(view: View) -> Rows:
    """Send uniformly random directions, each with the norm of the attacker's gradient.

    This models broken sensors rather than an adversary.

    Args:
        view: the attackers' private gradients, and the source of the random directions.

    Returns:
        Vectors with the norms of the gradients, shape (m, d).
    """
    pairs = zip(view.own, view.generators, strict=True)
    return np.stack([_random(release, generator) for release, generator in pairs])


def _random(release: Vector, generator: np.random.Generator) -> Vector:
    direction = generator.standard_normal(release.shape)
    return direction * (np.linalg.norm(release) / np.linalg.norm(direction))


@poisons
def label_flip(records: Records, classes: int, generator: np.random.Generator) -> Records:
    """Learn from flipped labels: class c becomes the last class - c, and a mask its complement.

    Args:
        records: the attacker's own records.
        classes: number of classes, 2 for masks.
        generator: not used.

    Returns:
        The records with flipped targets.

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
    """Learn from poisoned records, and send the private gradients of these.

    Clipping and noise are those of every holder, and so is the number of records that a message
    declares.

    Args:
        view: the private gradients of the poisoned records.
        records: what is done to the records of the attackers.
        factor: number that multiplies the norm, above 0; a large one replaces the model.

    Returns:
        The gradients times the factor, shape (m, d).
    """
    del records
    return view.own * factor

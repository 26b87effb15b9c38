"""View: what the adversary behind an attack knows, and the families of attacks and poisons."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fedchain.arrays import Matrix, Singles, Vector
from fedchain.learning.task import Records
from fedchain.registry import Family

if TYPE_CHECKING:
    from fedchain.ledger.chain.state import State

Rows = Singles | Matrix
"""One vector per row, float32 or float64, shape (rows, entries)."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What the adversary behind an attack sees of a round.

    The adversary keeps no memory between blocks; only ``state`` and ``previous`` carry over.
    """

    round: int
    """Height of the block that the messages are meant for."""
    state: State
    """State after the parent block: the weights, and the memory of update and aggregation rule."""
    own: Rows
    """Releases that the attackers would make if honest: gradients with noise, LearningChain (10),
    shape (attackers, entries), in order of the attackers' ids. With momentum of holders, each is
    the mean that the attacker would send; the mean contains no round in which it attacked."""
    clean: Matrix
    """The clipped gradients of the attackers without noise, float64, shape (attackers, entries): an
    attacker knows its own records, and keeps no secret from itself."""
    honest: Matrix
    """Honest messages that the adversary knows, each as norm times direction, shape (messages,
    entries). With ``knowledge: own`` there are none; with ``heard``, those sent for this block so
    far, in order of sending; with ``omniscient``, all of the round, in order of senders' ids. With
    momentum of holders, these are means."""
    holders: int
    """Number of holders that are asked for a gradient in the round, attackers included."""
    rule: Callable[[Rows], Vector]
    """The run's aggregation rule: a function from sent vectors, shape (messages, entries), to the
    gradient, shape (entries,). All vectors have the same weight. If there is a public root, its
    message is aggregated with them: everybody can compute it."""
    response: Callable[[Rows], Vector]
    """The same rule: a function from what the attackers send, shape (attackers, entries), to the
    gradient of these rows and the rows of ``known`` together. It is faster than ``rule``, since it
    keeps the integers of ``known``. Like ``rule``, it raises ValueError if the rule needs more
    messages."""
    previous: Callable[[], Matrix]
    """Returns the messages in the parent block, each as norm times direction, shape (messages,
    entries); none in round 1."""
    generators: tuple[np.random.Generator, ...]
    """A separate random generator for each attacker, in order of the attackers' ids."""

    @functools.cached_property
    def known(self) -> Matrix:
        """What the adversary takes for the honest messages, float64, shape (messages, entries).

        These are the rows of ``honest``. If there are none, these are the rows of ``own``, since an
        adversary that hears nothing can only guess from its own releases. Rows that are not finite
        are left out; if none is left, there is one row of zeros.
        """
        rows = np.asarray(self.honest if len(self.honest) else self.own, dtype=np.float64)
        finite = rows[np.isfinite(rows).all(axis=1)]
        return finite if len(finite) else np.zeros((1, rows.shape[1]))

    @functools.cached_property
    def mean(self) -> Vector:
        """Mean of ``known``, shape (entries,): the adversary's estimate of the true gradient."""
        return np.asarray(self.known.mean(axis=0))

    @functools.cached_property
    def gradient(self) -> Vector:
        """Estimate of the true gradient, shape (entries,): the mean of ``known``, and of ``clean``.

        Each of the two means is weighted by the inverse of its variance. So under much noise the
        attackers believe their own records, and without noise the honest messages.
        """
        own = self.clean[np.isfinite(self.clean).all(axis=1)]
        if not len(own) or not len(self.honest):
            return np.asarray(own.mean(axis=0)) if len(own) else self.mean
        apart = _variance_of_mean(self.known)
        near = _variance_of_mean(own)
        weight = near / (near + apart) if near + apart > 0.0 else 0.5
        return np.asarray(weight * self.mean + (1.0 - weight) * own.mean(axis=0))

    @functools.cached_property
    def size(self) -> float:
        """Median norm of ``known``: a message of this norm does not stand out."""
        return float(np.median(np.linalg.norm(self.known, axis=1)))


def _variance_of_mean(rows: Matrix) -> float:
    """Return the squared error of the mean of rows, from their spread; of one row, its square."""
    count = len(rows)
    apart = rows - rows.mean(axis=0) if count > 1 else rows
    return float(np.vecdot(apart, apart).sum()) / (count * max(1, count - 1))


def _flaw(made: Rows, view: View) -> str | None:
    shape = view.own.shape
    if made.shape == shape and made.dtype.kind in "fiu":
        return None
    return f"must return numbers of shape {shape}, got {made.dtype} of shape {made.shape}"


attacks: Family[Rows] = Family(
    "attack",
    (
        "fedchain.attacks.directions",
        "fedchain.attacks.statistical",
        "fedchain.attacks.copies",
        "fedchain.attacks.line_search",
        "fedchain.attacks.adaptive",
        "fedchain.attacks.poisoning",
    ),
    np.ndarray,
    _flaw,
)
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


poisons: Family[Records] = Family("poison", ("fedchain.attacks.poisoning",), Records, _poison_flaw)
"""A poison is a function ``(records, classes, generator, *, ...)`` that returns the records from
which an attacker learns, with unchanged shapes. ``classes`` is the number of classes, 2 for masks.
``generator`` is a random generator of the holder that draws the same numbers in every round."""


def unit(vector: Vector) -> Vector:
    """Return a vector divided by its norm; zeros stay zeros.

    >>> unit(np.array([3.0, -4.0])).tolist(), unit(np.zeros(2)).tolist()
    ([0.6, -0.8], [0.0, 0.0])
    """
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0.0 else np.zeros_like(vector)


def orthogonal_part(vector: Vector, axis: Vector) -> Vector:
    """Return the part of a vector that is orthogonal to a unit vector (or to zeros), as a unit.

    >>> orthogonal_part(np.array([5.0, 2.0]), np.array([1.0, 0.0])).tolist()
    [0.0, 1.0]
    """
    return unit(vector - np.vecdot(vector, axis) * axis)


def fresh_noise(view: View, axis: Vector) -> Matrix:
    """Return a random unit vector for each attacker, orthogonal to a unit vector (or to zeros).

    Each vector comes from the attacker's own generator, so it looks like new privacy noise.
    """
    drawn = [generator.standard_normal(axis.shape) for generator in view.generators]
    return np.stack([orthogonal_part(each, axis) for each in drawn])


def alike(view: View, row: Vector) -> Matrix:
    """Return the same row for each attacker, shape (attackers, entries)."""
    return np.tile(row, (len(view.own), 1))

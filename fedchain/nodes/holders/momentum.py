"""Momentum of holders: in place of each release, a running mean of the holder's releases is sent.

m_t = m_(t-1) + gain_t (g_t - m_(t-1)), where g_t is the release with its noise, equation (10). The
mean m_(t-1) is what the holder's last message says on the branch below the block whose weights the
holder uses. So a holder keeps no state: m_t follows from the chain and from g_t, after a fork and
after an interruption too. And m_t is a function of what was published and of g_t, which costs no
privacy beyond g_t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Matrix, Singles, Vector
from fedchain.ledger.chain.message import Message
from fedchain.scenario import Momentum


@dataclass(frozen=True)
class LastMessage:
    """The last message of a participant (holder or group) on a branch."""

    message: Message
    """The message; its vector is the mean m_(t-1) of the releases so far."""
    count: int
    """Number t - 1 of releases in the mean, since the mean last started anew."""


def published_vector(message: Message) -> Vector:
    """Return the vector that a message publishes, direction times norm, as float64, shape (d,).

    Each entry is ``q (s / 2^e)`` for the integer q, the norm s and the exponent e. The quotient is
    exact, and the product is rounded once.
    """
    return np.asarray(message.direction.astype(np.float64) * (message.norm / 2.0**message.exponent))


def with_momentum(
    releases: Singles | Matrix, last: Sequence[LastMessage | None], momentum: Momentum
) -> Matrix:
    """Return the means m_t that participants send in place of their releases.

    Args:
        releases: the releases g_t with their noise, shape (n, d).
        last: the last message of each participant; None: the mean starts with this release.
        momentum: gives the gain of a release.

    Returns:
        The means, float64, shape (n, d).
    """
    means = releases.astype(np.float64)
    for row, before in zip(means, last, strict=True):
        if before is not None:
            mean = published_vector(before.message)
            row[:] = mean + momentum.gain(before.count + 1) * (row - mean)
    return means


def release_behind(message: Message, last: LastMessage | None, momentum: Momentum | None) -> Vector:
    """Return the release g_t, shape (d,), that everybody can compute from successive messages.

    g_t = m_(t-1) + (m_t - m_(t-1)) / gain_t. The error is that of m_t, which was rounded to
    integers, divided by the gain.

    Args:
        message: the message that publishes m_t.
        last: the last message of the same participant before it.
        momentum: the momentum of the scenario; None: the message publishes g_t itself.
    """
    vector = published_vector(message)
    if momentum is None or last is None:
        return vector
    mean = published_vector(last.message)
    return np.asarray(mean + (vector - mean) / momentum.gain(last.count + 1))

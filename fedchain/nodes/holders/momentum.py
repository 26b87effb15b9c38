"""Momentum of holders: in place of each release, a holder sends a running mean of its releases.

The mean is m_t = m_(t-1) + gain_t (g_t - m_(t-1)), where g_t is the release with its noise,
equation (10), m_(t-1) is the mean in the holder's last message, and gain_t is the weight of the
release. The mean costs no privacy beyond the release.
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
    """The message. Its vector is the mean of the participant's releases so far."""
    count: int
    """Number of releases in the mean."""


def published_vector(message: Message) -> Vector:
    """Return the vector in a message, direction times norm, float64, shape (dimension,).

    Each entry is q (s / 2^e), for the integer q in the direction, the norm s and the exponent e.
    """
    return np.asarray(message.direction.astype(np.float64) * (message.norm / 2.0**message.exponent))


def with_momentum(
    releases: Singles | Matrix, last: Sequence[LastMessage | None], momentum: Momentum
) -> Matrix:
    """Return the means that participants send in place of their releases.

    Args:
        releases: the releases with their noise, one row for each participant.
        last: the last message of each participant; None: the mean starts with this release.
        momentum: the momentum of the scenario.

    Returns:
        The means, float64, with the shape of ``releases``.
    """
    means = releases.astype(np.float64)
    for row, before in zip(means, last, strict=True):
        if before is not None:
            mean = published_vector(before.message)
            row[:] = mean + momentum.gain(before.count + 1) * (row - mean)
    return means


def release_behind(message: Message, last: LastMessage | None, momentum: Momentum | None) -> Vector:
    """Return the release behind a message with momentum, shape (dimension,).

    The release is g_t = m_(t-1) + (m_t - m_(t-1)) / gain_t. The rounding error of m_t grows by the
    factor 1 / gain_t.

    Args:
        message: the message with the mean m_t.
        last: the participant's previous message, with the mean m_(t-1); None: there is none.
        momentum: the momentum of the scenario; None: the message contains g_t itself.
    """
    vector = published_vector(message)
    if momentum is None or last is None:
        return vector
    mean = published_vector(last.message)
    return np.asarray(mean + (vector - mean) / momentum.gain(last.count + 1))

"""From a holder's records to its signed message: the only thing that leaves a holder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Flags, Integers, Matrix, Singles, lengths
from fedchain.ledger.codec import Storage, quantise
from fedchain.ledger.message import VERSION, Declaration, Message, sign_message
from fedchain.nodes.identity import Identity
from fedchain.privacy.mechanisms import Gaussian, Mechanism
from fedchain.randomness import KeyStream, digest


@dataclass(frozen=True)
class Occasion:
    """Who speaks, when, and about which weights."""

    seed: int
    """The scenario's seed."""
    chain_id: bytes
    """Hash of the genesis block."""
    parent: bytes
    """Hash of the block whose weights the gradient was computed at."""
    round: int
    """Height of the block that may carry the message."""
    holder: int
    """The data holder; part of no message."""


@dataclass(frozen=True)
class Speaker:
    """A holder that has something to say."""

    occasion: Occasion
    """Chain, parent and round."""
    identity: Identity
    """Its key for this round."""
    declaration: Declaration
    """Mechanism, noise, clip and number of records; public."""


def drawn_records(occasion: Occasion, records: int, rate: float) -> Flags:
    """Draw the records that take part in a release: each by itself, with the same chance.

    The draw must stay as secret as the noise, whose name it shares but for its purpose.

    Args:
        occasion: names the draw.
        records: the public n_k.
        rate: chance of each record, above 0, at most 1.

    Returns:
        Which records take part, (records,).

    >>> here = Occasion(seed=0, chain_id=b"", parent=b"", round=1, holder=2)
    >>> int(drawn_records(here, 10_000, 0.25).sum()), int(drawn_records(here, 100, 1.0).sum())
    (2494, 100)
    """
    if rate == 1:
        return np.ones(records, dtype=np.bool_)
    key = digest(occasion.seed, "records", occasion.holder, occasion.round, occasion.parent)
    return KeyStream(key).words(records) < np.uint64(rate * 2.0**64)


def next_clip(
    mechanism: Gaussian, within: int, drawn: int, records: int, occasion: Occasion
) -> float:
    """Return the clip that this release leads to, by a noisy count of the norms below it.

    Args:
        mechanism: with the clip of this release.
        within: records of norm at most the clip.
        drawn: records that took part.
        records: the public n_k.
        occasion: names the noise of the count.
    """
    scale = float(mechanism.noise_multiplier).hex(), float(mechanism.clip).hex()
    at = occasion.holder, occasion.round, occasion.parent
    key = digest(occasion.seed, "clip", *at, *scale)
    return mechanism.next_clip(key, within, drawn, records)


def private_releases(
    gradients: Singles,
    mechanism: Mechanism,
    records: Sequence[int],
    occasions: Sequence[Occasion],
) -> Singles:
    """Let the mechanism add its noise: ĝ_k = g_k + z_k, one row a holder.

    The noise is named by holder, round, parent, and by the mechanism with its scale: after a
    fork the same holder draws fresh noise, the same release asked for twice is the same
    release, and two runs of one seed at another epsilon do not share their noise, whose
    difference would give the gradient away.

    Args:
        gradients: clipped mean gradients g_k (6), shape (n, d).
        mechanism: draws the noise.
        records: the public n_k of each holder.
        occasions: name the noise.

    Returns:
        The releases, shape (n, d); without noise these are the gradients themselves.

    Reference:
        Chen et al., LearningChain, IEEE Big Data 2018, (10), reconstructed.
    """
    if mechanism.noise_multiplier == 0.0:
        return gradients
    scale = [mechanism.name, float(mechanism.noise_multiplier).hex(), float(mechanism.clip).hex()]
    if mechanism.sampling_rate < 1:
        scale.append(float(mechanism.sampling_rate).hex())
    if mechanism.automatic:
        scale.append("automatic")
    keys = [digest(o.seed, "noise", o.holder, o.round, o.parent, *scale) for o in occasions]
    return mechanism.release(gradients, keys, records)


def messages_of(
    releases: Singles | Matrix, speakers: Sequence[Speaker], storage: Storage
) -> list[Message | None]:
    """Normalise, quantise and sign: s_k = norm(ĝ_k), g_k* = ĝ_k / s_k.

    The norm is that of the noisy vector: then (g_k*, s_k) costs what ĝ_k costs.

    Args:
        releases: what the holders send, shape (n, d).
        speakers: n of them.
        storage: how the directions' integers are stored.

    Returns:
        The signed messages; None for a release that is zero or not finite: it has no direction.

    Reference:
        Chen et al., LearningChain, IEEE Big Data 2018, (11) and (12), reconstructed.
    """
    norms = lengths(releases)
    sound = np.isfinite(norms) & (norms > 0.0)
    messages: list[Message | None] = [None] * len(speakers)
    if not sound.any():
        return messages
    kept = releases if sound.all() else releases[sound]
    directions = quantise(kept, norms[sound], storage)
    for row, (exponent, direction) in zip(np.flatnonzero(sound).tolist(), directions, strict=True):
        messages[row] = _signed(speakers[row], float(norms[row]), exponent, direction)
    return messages


def _signed(speaker: Speaker, norm: float, exponent: int, direction: Integers) -> Message:
    occasion, identity = speaker.occasion, speaker.identity
    message = Message(
        version=VERSION,
        chain_id=occasion.chain_id,
        parent=occasion.parent,
        round=occasion.round,
        public_key=identity.public_key,
        proof=identity.proof,
        exponent=exponent,
        direction=direction,
        norm=norm,
        declaration=speaker.declaration,
    )
    return sign_message(message, identity.secret)

"""From a holder's records to its signed message: the only thing that leaves a holder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fedchain.arrays import Single, Singles, Vector, length
from fedchain.ledger.codec import Storage, quantise
from fedchain.ledger.message import VERSION, Declaration, Message, sign_message
from fedchain.nodes.identity import Identity
from fedchain.privacy.mechanisms import Mechanism
from fedchain.randomness import digest


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


def private_releases(
    gradients: Singles,
    mechanism: Mechanism,
    records: Sequence[int],
    occasions: Sequence[Occasion],
) -> Singles:
    """Add the mechanism's noise: ĝ_k = g_k + z_k, one row a holder.

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
        The releases, shape (n, d).

    Reference:
        Chen et al., LearningChain, IEEE Big Data 2018, (10), reconstructed.
    """
    scale = (mechanism.name, float(mechanism.noise_multiplier).hex(), float(mechanism.clip).hex())
    keys = [digest(o.seed, "noise", o.holder, o.round, o.parent, *scale) for o in occasions]
    releases = mechanism.noise(keys, gradients.shape[1], records)
    releases += gradients
    return releases


def message_of(
    release: Single | Vector,
    declaration: Declaration,
    identity: Identity,
    occasion: Occasion,
    storage: Storage,
) -> Message | None:
    """Normalise, quantise and sign: s_k = norm(ĝ_k), g_k* = ĝ_k / s_k.

    The norm is that of the noisy vector: then (g_k*, s_k) costs what ĝ_k costs.

    Args:
        release: what the holder sends, shape (d,).
        declaration: mechanism, noise, clip and number of records; public.
        identity: the holder's key for this round.
        occasion: chain, parent and round.
        storage: how the direction's integers are stored.

    Returns:
        The signed message; None if the release is zero or not finite and has no direction.

    Reference:
        Chen et al., LearningChain, IEEE Big Data 2018, (11) and (12), reconstructed.
    """
    norm = length(release)
    if not (math.isfinite(norm) and norm > 0.0):
        return None
    exponent, direction = quantise(release, norm, storage)
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
        declaration=declaration,
    )
    return sign_message(message, identity.secret)

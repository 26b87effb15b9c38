"""Release: it turns the gradient of a holder into a signed message with noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fedchain.arrays import (
    Array,
    Flags,
    Integers,
    Matrix,
    Singles,
    Vector,
    Wholes,
    read_only,
)
from fedchain.ledger.chain.codec import Storage, quantise
from fedchain.ledger.chain.message import MESSAGE_VERSION, Declaration, Message, sign_message
from fedchain.nodes.holders.identity import RoundKey
from fedchain.nodes.holders.momentum import LastMessage
from fedchain.privacy.mechanisms import Mechanism
from fedchain.randomness import KeyStream, digest
from fedchain.transforms import lengths


@dataclass(frozen=True, kw_only=True)
class ReleaseContext:
    """The participant, the round and the block of a release."""

    secret: bytes = field(repr=False)
    """The secret root, 32 bytes, from which the random numbers of the release are drawn."""
    chain_id: bytes
    """Hash of the genesis block."""
    parent: bytes
    """Hash of the block at whose weights the gradient is computed."""
    round: int
    """Height of the block that may carry the message."""
    holder: int
    """Id of the participant (holder or group)."""
    noise_step: int = 0
    """Index of the release's noise in the mechanism's noise schedule."""
    local_step: int = 0
    """Number of the local step, from 0, whose noise and records are drawn."""


@dataclass(frozen=True)
class Withheld:
    """An unsigned release of colluders, before or after they decide what they send."""

    rows: Mapping[int, Array]
    """The vector of each colluder by holder id, shape (dimension,): first the private gradient with
    noise, later the vector that the colluder sends instead."""
    rest: Wholes | None = None
    """Sum of the vectors of a group's honest members, shape (dimension,); None without groups."""
    next_clip: float | None = None
    """The clip of the holder's next release, if clips follow a quantile."""
    clean: Mapping[int, Array] = field(default_factory=dict)
    """The gradient of each colluder without noise by holder id, shape (dimension,); empty once the
    colluders have decided."""
    nudge: int = 0
    """Number of earlier releases with the same direction. A number above 0 changes the direction
    slightly."""


Answer = Message | Withheld | None
"""The result of a request; None: the release is not finite."""


@dataclass(frozen=True)
class ReleaseRequest:
    """A request for one release of a participant (a holder or a group)."""

    context: ReleaseContext
    """The participant, the round and the block of the release."""
    identity: RoundKey
    """The key of the participant for this round."""
    clip: float | None = None
    """The clip of this release; None: the clip of the mechanism."""
    sent: Withheld | None = None
    """The vectors that colluders have decided to send; None: the release must be computed."""
    last: LastMessage | None = None
    """The participant's last message on the branch of the parent; None if there is no such message,
    or if the scenario has no momentum."""


def secret_key(purpose: str, context: ReleaseContext) -> bytes:
    """Return the secret key, 32 bytes, for the random numbers of a release.

    The key depends on the secret root, the purpose, the holder, the round, the parent and the local
    step.

    Args:
        purpose: use of the random numbers, which is ``noise``, ``records`` or ``clip``.
        context: holder, round and block of the release.
    """
    # The secret root depends on the agreed rules, the data and the poison. So two runs that differ
    # share no noise; otherwise the difference of two messages would reveal gradients.
    step = (context.local_step,) if context.local_step else ()
    return digest(context.secret, purpose, context.holder, context.round, context.parent, *step)


def drawn_records(context: ReleaseContext, records: int, mechanism: Mechanism) -> Flags:
    """Draw the records that take part in a release, independently and with the same probability.

    The result must stay secret, like the noise.

    Args:
        context: holder, round and block of the release, which determine the draw.
        records: public number of records of the holder.
        mechanism: the mechanism; ``terms.sampling_rate`` is the probability of each record.

    Returns:
        Which records take part, shape (records,).

    >>> from fedchain.privacy.mechanisms import gaussian
    >>> rare = gaussian(1, 5, noise_multiplier=1.0, clip=0.1, sampling_rate=0.25)
    >>> here = ReleaseContext(secret=bytes(32), chain_id=b"", parent=b"", round=1, holder=2)
    >>> bool(2300 < drawn_records(here, 10_000, rare).sum() < 2700)
    True
    """
    if mechanism.terms.sampling_rate == 1:
        return np.ones(records, dtype=np.bool_)
    stream = KeyStream(secret_key("records", context))
    return stream.words(records) < np.uint64(mechanism.terms.sampling_rate * 2.0**64)


def private_releases(
    gradients: Matrix,
    mechanism: Mechanism,
    records: Sequence[int],
    contexts: Sequence[ReleaseContext],
) -> Singles:
    """Add the mechanism's noise z_k to the gradient g_k of each holder k: ĝ_k = g_k + z_k.

    Args:
        gradients: clipped mean gradients g_k, equation (6), shape (holders, dimension).
        mechanism: draws the noise.
        records: public number of records of each holder.
        contexts: holder, round, block and noise step of each release, which determine the noise.

    Returns:
        The releases ĝ_k, shape (holders, dimension), rounded to float32 after the noise was added.

    Reference:
        Chen et al., LearningChain, IEEE Big Data 2018, (10), reconstructed.
    """
    if mechanism.noise_multiplier == 0.0:
        return np.asarray(gradients, dtype=np.float32)
    keys = [secret_key("noise", context) for context in contexts]
    sensitivities = [mechanism.terms.sensitivity(count) for count in records]
    schedule = mechanism.noise_schedule
    if schedule is None:
        return np.asarray(mechanism.release(gradients, keys, sensitivities), dtype=np.float32)
    found = np.empty(gradients.shape, dtype=np.float32)
    for step in sorted({context.noise_step for context in contexts}):
        rows = [row for row, context in enumerate(contexts) if context.noise_step == step]
        # One draw at two scales would reveal the gradient, so each step has draws of its own.
        drawn = [digest(keys[row], "step", step) for row in rows]
        found[rows] = schedule.with_noise(step).release(
            gradients[rows], drawn, [sensitivities[row] for row in rows]
        )
    return found


def declaration_of(mechanism: Mechanism, records: int, step: int = 0) -> Declaration:
    """Return a participant's declaration about a release.

    Args:
        mechanism: the mechanism of the release, with the clip of the release.
        records: the participant's registered number of records.
        step: index of the noise in the mechanism's noise schedule.
    """
    schedule = mechanism.noise_schedule
    return Declaration(
        mechanism=mechanism.name,
        noise_step=step,
        noise=schedule.noises[step] if schedule else mechanism.noise_multiplier,
        clip=mechanism.terms.clip,
        records=records,
    )


def forms_of(
    releases: Singles | Matrix, norms: Vector, storage: Storage
) -> dict[int, tuple[int, Integers]]:
    """Return the exponent and the quantised direction of each finite release, by row.

    The direction has shape (dimension,). A release of zeros has the exponent 0.

    Args:
        releases: the releases, shape (releases, dimension).
        norms: norm of each release, shape (releases,).
        storage: integer type of the directions.
    """
    moving = np.isfinite(norms) & (norms > 0.0)
    nothing = read_only(np.zeros(releases.shape[1], dtype=storage))
    forms = dict.fromkeys(np.flatnonzero(norms == 0.0).tolist(), (0, nothing))
    if moving.any():
        kept = releases if moving.all() else releases[moving]
        directions = quantise(kept, norms[moving], storage)
        forms |= zip(np.flatnonzero(moving).tolist(), directions, strict=True)
    return forms


def messages_of(
    releases: Singles | Matrix,
    asked: Sequence[ReleaseRequest],
    declarations: Sequence[Declaration],
    storage: Storage,
) -> list[Message | None]:
    """Normalise, quantise and sign releases ĝ_k: norm s_k = |ĝ_k|, direction g_k* = ĝ_k / s_k.

    Norm and direction cost no privacy beyond the noisy release ĝ_k.

    Args:
        releases: the releases ĝ_k, shape (releases, dimension).
        asked: the request for each release.
        declarations: the public declaration about each release.
        storage: integer type of the directions.

    Returns:
        The signed message of each release; None for a release that is not finite. A release of
        zeros has the exponent 0 and a direction of zeros.

    Reference:
        Chen et al., LearningChain, IEEE Big Data 2018, (11) and (12), reconstructed.
    """
    norms = lengths(releases)
    messages: list[Message | None] = [None] * len(asked)
    for row, (exponent, direction) in forms_of(releases, norms, storage).items():
        context, identity = asked[row].context, asked[row].identity
        message = Message(
            version=MESSAGE_VERSION,
            chain_id=context.chain_id,
            parent=context.parent,
            round=context.round,
            public_key=identity.public_key,
            proof=identity.proof,
            exponent=exponent,
            direction=direction,
            norm=float(norms[row]),
            declaration=declarations[row],
        )
        messages[row] = sign_message(message, identity.secret)
    return messages

"""Proof of work: settings, targets, retargeting, and the search for nonces."""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from fedchain.registry import Family, cites

HIGHEST_NONCE = 2**64 - 1
"""The largest nonce."""
CLAMP = 4
"""Greatest factor by which one retarget may raise or lower the target."""

WorkKind = Literal["hashcash", "sampled"]
"""hashcash: nodes try nonces until the header's hash is at most the target; sampled: the number of
tries is drawn at random, and nobody hashes."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """The settings of proof of work."""

    kind: WorkKind
    """Whether nodes hash, or the number of tries is drawn at random."""
    bits: int
    """Initial target in Bitcoin's compact form; no later target is easier."""
    interval_ms: int
    """Wanted mean time between blocks, simulated milliseconds."""
    retarget_window: int
    """Number of blocks between two changes of the target; 0: the target never changes."""
    most_hashing_s: float | None = None
    """Limit on the expected real time of a run's hashing, seconds; None: no limit."""


works: Family[Work] = Family("work", ("fedchain.ledger.chain.work",), Work)
"""The kinds of work. Each part is a function ``(*, ...) -> Work``."""


@works
@cites("back2002")
def hashcash(
    *,
    difficulty_bits: Annotated[int, Field(ge=0, le=64)] = 12,
    interval_s: Annotated[float, Field(gt=0, le=1e9)] = 10.0,
    retarget_window: Annotated[int, Field(ge=0, le=100_000)] = 0,
    most_hashing_s: Annotated[float | None, Field(gt=0)] = None,
) -> Work:
    """Real work: the double SHA-256 of the header must be at most a target.

    A block needs ``2^difficulty_bits`` tries on average. All compute nodes together make these
    tries in ``interval_s`` simulated seconds.

    Args:
        difficulty_bits: leading zero bits of the initial target, 0 to 64.
        interval_s: wanted mean time between blocks, simulated seconds, above 0.
        retarget_window: number of blocks between two changes of the target (Bitcoin: 2016); 0: the
            target never changes. No target is easier than the initial target, so retargeting can
            only make blocks rarer. With a constant hash rate, a window of 200 blocks makes the mean
            interval 4 % longer, a window of 10 blocks 31 %.
        most_hashing_s: limit on the expected real time of a run's hashing, seconds; a run above the
            limit does not start. null: no limit.

    Returns:
        The settings of the work.

    Reference:
        Back, "Hashcash: a denial of service counter-measure", 2002.

    >>> hex(hashcash(difficulty_bits=32).bits)
    '0x1d00ffff'
    """
    work = _work("hashcash", difficulty_bits, interval_s, retarget_window)
    return replace(work, most_hashing_s=most_hashing_s)


@works
@cites()
def sampled(
    *,
    difficulty_bits: Annotated[int, Field(ge=0, le=224)] = 32,
    interval_s: Annotated[float, Field(gt=0, le=1e9)] = 10.0,
    retarget_window: Annotated[int, Field(ge=0, le=100_000)] = 0,
) -> Work:
    """Work without hashing: the number of tries for each block is drawn at random.

    ``fedchain verify`` cannot check simulated work, and says so.

    Args:
        difficulty_bits: leading zero bits of the initial target, 0 to 224.
        interval_s: wanted mean time between blocks, simulated seconds, above 0.
        retarget_window: number of blocks between two changes of the target; 0: the target never
            changes. Retargeting can only make blocks rarer.

    Returns:
        The settings of the work.

    >>> sampled(interval_s=600.0).interval_ms
    600000
    """
    return _work("sampled", difficulty_bits, interval_s, retarget_window)


def _work(kind: WorkKind, difficulty_bits: int, interval_s: float, window: int) -> Work:
    target = min(2 ** (256 - difficulty_bits), 0xFFFF << 240)
    easiest = compact_from_target(target - (difficulty_bits > 0))
    return Work(
        kind=kind,
        bits=easiest,
        interval_ms=max(1, round(1000 * interval_s)),
        retarget_window=window,
    )


def double_sha256(data: bytes) -> bytes:
    """Return the SHA-256 of the SHA-256 of the data, 32 bytes.

    >>> double_sha256(b"").hex()[:8]
    '5df6e0e2'
    """
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


@functools.lru_cache(64)  # the blocks of a window have one target
def target_from_compact(bits: int) -> int:
    """Return the target that has this compact form: ``mantissa * 256^(exponent - 3)``.

    The exponent is the highest of the four bytes; the other three bytes are the mantissa.

    Raises:
        ValueError: the target would not be from 1 to 2^256 - 1.

    Reference:
        Bitcoin, ``arith_uint256::SetCompact``.

    >>> hex(target_from_compact(0x03123456))
    '0x123456'
    """
    exponent, mantissa = bits >> 24, bits & 0x7FFFFF
    target = mantissa << 8 * (exponent - 3) if exponent > 3 else mantissa >> 8 * (3 - exponent)
    if bits & 0x800000 or not 0 < target < 2**256:
        raise ValueError(f"bits: {bits:#010x} is no target; must stand for 1 to 2^256 - 1")
    return target


def compact_from_target(target: int) -> int:
    """Return the compact form of a target, with the mantissa rounded down to three bytes.

    Reference:
        Bitcoin, ``arith_uint256::GetCompact``.

    >>> hex(compact_from_target(0x123456789))
    '0x5012345'
    """
    size = (target.bit_length() + 7) // 8
    mantissa = target << 8 * (3 - size) if size <= 3 else target >> 8 * (size - 3)
    if mantissa & 0x800000:  # the highest bit of the mantissa is a sign: shift it away
        mantissa, size = mantissa >> 8, size + 1
    return size << 24 | mantissa


@functools.lru_cache(64)
def work_of(bits: int) -> int:
    """Return the expected number of tries for a compact target: ``2^256 // (target + 1)``.

    Raises:
        ValueError: ``bits`` is not the compact form of a target.

    >>> work_of(0x1d00ffff)
    4295032833
    """
    return int(2**256 // (target_from_compact(bits) + 1))


def retarget(first: int, last: int, bits: int, expected_timespan: int, easiest: int) -> int:
    """Return the target of the next window of blocks, in compact form.

    The old target is multiplied by ``(last - first) / expected_timespan``; this factor is limited
    to the range from 1/4 to 4. The example is Bitcoin's first change of the target.

    Args:
        first: time of the window's first block, in any unit.
        last: time of the window's last block, in the same unit.
        bits: target of the window, in compact form.
        expected_timespan: number of blocks in the window times the wanted interval, in the same
            unit, at least 1. As in Bitcoin, first and last block are one interval less apart.
        easiest: initial target in compact form, which the new target never exceeds.

    Reference:
        Bitcoin, ``CalculateNextWorkRequired``.

    >>> hex(retarget(1261130161, 1262152739, 0x1d00ffff, 14 * 86400, 0x1d00ffff))
    '0x1d00d86a'
    """
    least, most = expected_timespan // CLAMP, expected_timespan * CLAMP
    timespan = min(max(last - first, least), most)
    target = max(target_from_compact(bits) * timespan // expected_timespan, 1)
    return compact_from_target(min(target, target_from_compact(easiest)))


def is_paid(kind: WorkKind, digest: bytes, target: int) -> bool:
    """Return whether a block's hash, as a big-endian number, is at most the target.

    Returns True for every hash if work is sampled.

    >>> is_paid("hashcash", bytes(32), 2**255), is_paid("sampled", bytes([255] * 32), 2**255)
    (True, True)
    """
    return kind == "sampled" or int.from_bytes(digest, "big") <= target


def drawn_tries(bits: int, uniform: float) -> int:
    """Return a number of tries for a block, drawn from the geometric distribution.

    Args:
        bits: the target in compact form. Each try succeeds with probability (target + 1) / 2^256.
        uniform: random number, uniformly distributed in [0, 1).

    >>> drawn_tries(0x1d00ffff, 0.5)
    2977089899
    """
    return max(1, math.ceil(math.log1p(-uniform) / _log_of_failing(bits)))


@functools.lru_cache(64)
def _log_of_failing(bits: int) -> float:
    """Return the natural logarithm of the probability that a try fails."""
    success = (target_from_compact(bits) + 1) / 2**256
    return math.log1p(-success) if success < 1.0 else -math.inf


def search(prefix: bytes, first_nonce: int, tries: int, target: int) -> int | None:
    """Search for a nonce that brings the header's double SHA-256 to at most the target.

    Args:
        prefix: the header's bytes before the nonce.
        first_nonce: first nonce to try, below 2^64.
        tries: greatest number of nonces to try; no nonce above 2^64 - 1 is tried.
        target: largest accepted hash, 1 to 2^256 - 1.

    Returns:
        The first nonce that works (it may be 0), or None if no nonce works.

    >>> search(b"header", 0, 100, 2**250)
    22
    """
    sha256, copy = hashlib.sha256, hashlib.sha256(prefix).copy
    highest = target.to_bytes(32, "big")  # bytes of equal length compare like their numbers
    for nonce in range(first_nonce, min(first_nonce + tries, HIGHEST_NONCE + 1)):
        state = copy()
        state.update(nonce.to_bytes(8))
        if sha256(state.digest()).digest() <= highest:
            return nonce
    return None

"""Proof of work: targets, the work that they stand for, retargeting, and the search for nonces."""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from fedchain.registry import Family

HIGHEST_NONCE = 2**64 - 1
"""The largest nonce: a header has 8 bytes for it."""
CLAMP = 4
"""One retarget changes the target by at most this factor."""

WorkKind = Literal["hashcash", "sampled"]
"""hashcash: nodes try nonces until the hash is at most the target; sampled: the number of tries
is drawn from its distribution."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """The settings of proof of work."""

    kind: WorkKind
    """Whether nodes really hash, or the number of tries is drawn."""
    bits: int
    """Initial target in compact form; it is also the easiest that retargeting may reach."""
    interval_ms: int
    """Wanted mean time between blocks, simulated milliseconds."""
    retarget_window: int
    """Number of blocks after which the target is adapted each time; 0: never."""
    most_hashing_s: float | None = None
    """Limit on the expected wall time of a run's hashing, seconds; None: no limit."""


works: Family[Work] = Family("work", ("fedchain.ledger.chain.work",), Work)
"""Each part is a function ``(*, ...) -> Work``."""


@works
def hashcash(
    *,
    difficulty_bits: Annotated[int, Field(ge=0, le=64)] = 12,
    interval_s: Annotated[float, Field(gt=0, le=1e9)] = 10.0,
    retarget_window: Annotated[int, Field(ge=0, le=100_000)] = 0,
    most_hashing_s: Annotated[float | None, Field(gt=0)] = None,
) -> Work:
    """Real work: the double SHA-256 of the header must be at most a target.

    A block needs ``2^difficulty_bits`` tries on average. In simulated time all compute nodes
    together need ``interval_s`` seconds for them.

    Args:
        difficulty_bits: leading zero bits of the initial target, 0 to 64.
        interval_s: wanted mean time between blocks, simulated seconds, above 0.
        retarget_window: blocks after which the target is adapted (Bitcoin: 2016); 0: never. It can
            only make blocks rarer than they are without it: no target is easier than the first.
            A constant hash rate and a wanted interval of 10 s give 10.0 s without it, 10.4 s with
            a window of 200, 10.9 with 50, 13.1 with 10, 16.9 with 5 and 49 with 2. What slows a
            chain down from its beginning, such as nodes that leave, stays.
        most_hashing_s: limit on the expected wall time of a run's hashing, seconds; a run above the
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
def sampled(
    *,
    difficulty_bits: Annotated[int, Field(ge=0, le=224)] = 32,
    interval_s: Annotated[float, Field(gt=0, le=1e9)] = 10.0,
    retarget_window: Annotated[int, Field(ge=0, le=100_000)] = 0,
) -> Work:
    """Work without hashing: the number of tries of a block is drawn from its distribution.

    It is meant for statistics over many blocks. There is no nonce to check, so ``fedchain verify``
    reports that the work was simulated, and checks everything else.

    Args:
        difficulty_bits: leading zero bits of the initial target, 0 to 224.
        interval_s: wanted mean time between blocks, simulated seconds, above 0.
        retarget_window: number of blocks after which the target is adapted, 0 for never. It can
            only make blocks rarer than they are without it.

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
    """Return SHA-256 of SHA-256, 32 bytes.

    >>> double_sha256(b"").hex()[:8]
    '5df6e0e2'
    """
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def target_from_compact(bits: int) -> int:
    """Return the target of a compact form: ``mantissa 256^(exponent - 3)``.

    The exponent is the highest of the form's four bytes, and the mantissa is the other three.

    Raises:
        ValueError: the form stands for zero, a negative number, or one of more than 256 bits.

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
    """Return the compact form of a target, rounded down to a mantissa of three bytes.

    Args:
        target: 1 to 2^256 - 1.

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


def work_of(bits: int) -> int:
    """Return the work of a block, its expected number of tries: ``2^256 // (target + 1)``.

    Raises:
        ValueError: the compact form is no target.

    >>> work_of(0x1d00ffff)
    4295032833
    """
    return int(2**256 // (target_from_compact(bits) + 1))


def retarget(first: int, last: int, bits: int, expected_timespan: int, easiest: int) -> int:
    """Return the target of the next window of N blocks, from the time that the last window took.

    The old target is multiplied by ``(last - first) / expected_timespan``, limited to 1/4 to 4.
    The new target is never easier than the initial target, and is rounded to the compact form.
    Bitcoin's off-by-one error is repeated: the first and the last block of a window are N - 1
    intervals apart, but N intervals are expected. The example is Bitcoin's first change of target.

    Args:
        first: time of the window's first block, in any unit.
        last: time of the window's last block.
        bits: compact target of the window.
        expected_timespan: wanted time of N intervals, in the same unit, at least 1.
        easiest: compact form of the initial target.

    Returns:
        The new target in compact form.

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
    """Return whether the hash of a block proves its work; always True if work is sampled.

    A hash proves real work if the hash, read as a big-endian number, is at most the target.

    >>> is_paid("hashcash", bytes(32), 2**255), is_paid("sampled", bytes([255] * 32), 2**255)
    (True, True)
    """
    return kind == "sampled" or int.from_bytes(digest, "big") <= target


def drawn_tries(bits: int, uniform: float) -> int:
    """Return the number of tries for a block, drawn by inversion of the geometric distribution.

    Args:
        bits: the target in compact form; a try succeeds with probability (target + 1) / 2^256.
        uniform: a number drawn from [0, 1).

    >>> drawn_tries(0x1d00ffff, 0.5)
    2977089899
    """
    return max(1, math.ceil(math.log1p(-uniform) / _log_of_failing(bits)))


@functools.lru_cache(64)
def _log_of_failing(bits: int) -> float:
    """Return the logarithm of the probability that a try fails; minus infinity if that is 0."""
    success = (target_from_compact(bits) + 1) / 2**256
    return math.log1p(-success) if success < 1.0 else -math.inf


def search(prefix: bytes, first_nonce: int, tries: int, target: int) -> int | None:
    """Look for a nonce that brings the header's double SHA-256 to at most the target.

    The prefix is hashed once. Each try copies that hash state, adds the nonce and finishes.

    Args:
        prefix: the header's bytes before the nonce.
        first_nonce: first nonce to try, below 2^64.
        tries: number of nonces to try; the search ends before 2^64.
        target: largest hash that is accepted, 1 to 2^256 - 1.

    Returns:
        The first nonce that works, which may be 0, or None if none does.

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

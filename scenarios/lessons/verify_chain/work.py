"""Work: targets in Bitcoin's compact form, and how they follow the time that blocks take."""

from .encoding import need


def target_of(bits):
    """Return the target of a compact form: its upper byte is a size, the rest a mantissa."""
    size, mantissa = bits >> 24, bits & 0x7FFFFF
    target = mantissa << 8 * (size - 3) if size > 3 else mantissa >> 8 * (3 - size)
    need(not bits & 0x800000 and 0 < target < 2**256, f"bits: {bits:#010x} is no target")
    return target


def compact_of(target):
    """Return the compact form of a target, rounded down to three bytes."""
    size = (target.bit_length() + 7) // 8
    mantissa = target << 8 * (3 - size) if size <= 3 else target >> 8 * (size - 3)
    sign = mantissa >> 23  # the highest bit is a sign: shift it away
    return size + sign << 24 | mantissa >> 8 * sign


def work_of(bits):
    """Return the expected number of tries for a block."""
    return 2**256 // (target_of(bits) + 1)


def adapted(bits, took_ms, expected_ms, easiest):
    """Return the bits of the next window of blocks; the last one took so long."""
    took = min(max(took_ms, expected_ms // 4), 4 * expected_ms)
    target = max(target_of(bits) * took // expected_ms, 1)
    return compact_of(min(target, target_of(easiest)))

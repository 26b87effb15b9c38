"""Canonical JSON (RFC 8785): a value has one spelling, so that a text has one hash.

Keys stand in the order of their UTF-16 units, there is no space, a text is escaped as little as
possible, and a number is written as JavaScript writes it: 1.0 is `1`, 1e21 is `1e+21`.
"""

import json
import math
from decimal import Decimal

from .encoding import Wrong, need

LARGEST = 2**53
DEEPEST = 32


def read(data, what):
    """Return the value of a canonical text; `what` names the text in errors."""
    try:
        text = data.decode()
        value = json.loads(
            text, object_pairs_hook=once, parse_int=whole, parse_constant=no_constant
        )
        written = write(value).encode()
    except Wrong as error:
        raise Wrong(f"{what}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise Wrong(f"{what}: is not the canonical text of any value: {error}") from None
    at = next(
        (n for n, pair in enumerate(zip(written, data, strict=False)) if pair[0] != pair[1]),
        len(written),
    )
    near = data[at : at + 16].decode(errors="replace")
    need(written == data, f"{what}: is not canonical JSON from byte {at} on: {near!r}")
    return value


def once(pairs):
    """Return an object's keys and values; no key may stand there twice."""
    found = {}
    for key, value in pairs:
        need(key not in found, f"{key!r:.80}: stands there twice")
        found[key] = value
    return found


def whole(digits):
    """Return a number without point and exponent; from 2^53 on, the nearest float64."""
    value = float(digits)
    return value if abs(value) > LARGEST else int(digits)


def no_constant(name):
    """Refuse NaN and the infinities, which JSON does not have."""
    raise Wrong(f"{name} is no number; an infinite one is the text 'inf'")


def write(value, depth=0):
    """Return the canonical text of a value."""
    need(depth < DEEPEST, f"is nested more than {DEEPEST} levels deep")
    if isinstance(value, dict | list):
        if isinstance(value, list):
            return "[" + ",".join(write(each, depth + 1) for each in value) + "]"
        pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be"))
        return "{" + ",".join(f"{quoted(k)}:{write(v, depth + 1)}" for k, v in pairs) + "}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return quoted(value) if isinstance(value, str) else number(value)


def quoted(text):
    """Return a text in quotes; of all that could be escaped only what must be."""
    return json.dumps(text, ensure_ascii=False)


def number(value):
    """Return a number as JavaScript prints it: the shortest digits that stand for it alone."""
    need(math.isfinite(value), "a number is beyond float64")
    need(isinstance(value, float) or abs(value) <= LARGEST, f"{value} is between two float64")
    if value == 0:
        return "0"
    sign, digits, power = Decimal(repr(value)).normalize().as_tuple()
    shown, point = "".join(map(str, digits)), len(digits) + power  # 0.shown times 10^point
    if len(shown) <= point <= 21:
        shown += "0" * (point - len(shown))
    elif 0 < point <= 21:
        shown = f"{shown[:point]}.{shown[point:]}"
    elif -6 < point <= 0:
        shown = "0." + "0" * -point + shown
    else:
        shown = f"{shown[0]}{'.' * (len(shown) > 1)}{shown[1:]}e{point - 1:+d}"
    return "-" * sign + shown

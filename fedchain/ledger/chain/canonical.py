"""Canonical text: writes each JSON value as exactly one text, as in RFC 8785 (JCS).

Infinite numbers, which JSON does not have, are written as the texts ``"inf"`` and ``"-inf"``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NoReturn

from fedchain.errors import EncodingError

LARGEST_WHOLE = 2**53
"""Largest absolute value of a whole number."""
MOST_LEVELS = 32
"""Most levels of nested values; a single number has one level."""


def canonical_text(value: object) -> str:
    """Return the canonical text of a JSON value.

    Args:
        value: None, a bool, an int, a float, a str, a list or tuple of values, or a dict from
            texts to values.

    Raises:
        EncodingError: the value has more than 32 levels, or contains NaN, a whole number above
            2^53, a text with half of a surrogate pair, or a value of another type.

    Reference:
        Rundgren, Jordan, Erdtman, "JSON Canonicalization Scheme (JCS)", RFC 8785.

    >>> canonical_text({"b": [1.0, 1e21, math.inf], "a": None})
    '{"a":null,"b":[1,1e+21,"inf"]}'
    """
    return _text(value, MOST_LEVELS)


def read_canonical(data: bytes, what: str) -> Any:
    """Read a JSON value from its canonical text in UTF-8; ``what`` names it in error texts.

    Raises:
        EncodingError: the bytes are not the canonical text of any value.
    """
    try:
        value = json.loads(
            data.decode(), object_pairs_hook=_unique, parse_int=_whole, parse_constant=_refuse
        )
        written = canonical_text(value).encode()
    except EncodingError as error:
        raise EncodingError(f"{what}: {error}") from error
    except RecursionError as error:
        raise EncodingError(f"{what}: {_TOO_DEEP}") from error
    except ValueError as error:
        raise EncodingError(f"{what}: is no JSON in UTF-8: {error}") from error
    if written != data:
        raise EncodingError(f"{what}: is not the canonical JSON (RFC 8785) of its value")
    return value


_TOO_DEEP = f"is nested too deeply; at most {MOST_LEVELS} levels are allowed"


def _text(value: object, levels: int) -> str:
    if not levels:
        raise EncodingError(_TOO_DEEP)
    match value:
        case None | bool():
            return json.dumps(value)
        case int() if abs(value) <= LARGEST_WHOLE:
            return str(value)
        case float() if math.isfinite(value):
            return _number(value)
        case float() if math.isinf(value):
            return '"inf"' if value > 0 else '"-inf"'
        case str():
            return _string(value)
        case list() | tuple():
            return f"[{','.join([_text(each, levels - 1) for each in value])}]"
        case dict() if all(isinstance(key, str) for key in value):
            written = [
                f"{_string(key)}:{_text(value[key], levels - 1)}"
                for key in sorted(value, key=_code_units)
            ]
            return f"{{{','.join(written)}}}"
    raise EncodingError(f"{value!r:.80}: is no JSON value; a whole number is at most 2^53")


def _number(value: float) -> str:
    """Return the text of a finite number as ECMAScript prints the number."""
    sign, digits, exponent = Decimal(repr(float(value))).normalize().as_tuple()
    assert isinstance(exponent, int), "the number is finite"
    shown, point = "".join(map(str, digits)), len(digits) + exponent
    minus = "-" if sign and value else ""
    if len(shown) <= point <= 21:
        return minus + shown + "0" * (point - len(shown))
    if 0 < point <= 21:
        return f"{minus}{shown[:point]}.{shown[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{shown}"
    rest = f".{shown[1:]}" if shown[1:] else ""
    return f"{minus}{shown[0]}{rest}e{point - 1:+d}"


def _string(value: str) -> str:
    _code_units(value)
    return json.dumps(value, ensure_ascii=False)


def _code_units(value: str) -> bytes:
    try:
        return value.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise EncodingError(f"{value!r:.80}: has half of a surrogate pair") from error


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise EncodingError("an object has one key twice")
    return found


def _whole(digits: str) -> int | float:
    """Return the number with these digits: an int up to 2^53, a float above."""
    value = float(digits)
    return int(digits) if abs(value) <= LARGEST_WHOLE else value


def _refuse(word: str) -> NoReturn:
    raise EncodingError(f"{word} is no JSON number")

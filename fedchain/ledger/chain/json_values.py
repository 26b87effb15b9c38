"""JSON values: checks and reads the values in the JSON text of a chain's rules."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, get_args

from fedchain.errors import EncodingError
from fedchain.ledger.chain.canonical import canonical_text

ValueReader = Callable[[str, Any], Any]
"""Function that takes a key and its JSON value, and returns the value of a field of ``Rules``. It
raises an EncodingError if the JSON value is not allowed."""


def refuse_value(key: str, got: object, allowed: str) -> NoReturn:
    """Raise an EncodingError that names a key, the value and the allowed values.

    >>> refuse_value("ledger.quorum", -1, "a whole number from 0 to 9")
    Traceback (most recent call last):
    fedchain.errors.EncodingError: rules: ledger.quorum: got -1; must be a whole number from 0 to 9
    """
    raise EncodingError(f"rules: {key}: got {canonical_text(got)[:80]}; must be {allowed}")


def check_keys(key: str, value: object, allowed: Iterable[str]) -> None:
    """Raise an EncodingError unless a value is a JSON object with exactly the allowed keys."""
    keys = sorted(allowed)
    if not isinstance(value, dict) or sorted(value) != keys:
        got = sorted(value) if isinstance(value, dict) else value
        refuse_value(key, got, f"an object with exactly {', '.join(keys)}")


def read_object(key: str, value: Any) -> dict[str, Any]:
    """Return a value that must be a JSON object."""
    if not isinstance(value, dict):
        refuse_value(key, value, "an object")
    return value


def is_whole(value: object, least: int, most: int) -> bool:
    """Return whether a value is a whole number from ``least`` to ``most``, and not a bool."""
    return type(value) is int and least <= value <= most


def is_number(value: object) -> bool:
    """Return whether a value is a number, and not a bool."""
    return type(value) in (int, float)


def whole_reader(most: int, least: int = 0) -> ValueReader:
    """Return a function that reads a whole number from ``least`` to ``most``."""

    def read(key: str, value: object) -> object:
        if not is_whole(value, least, most):
            refuse_value(key, value, f"a whole number from {least} to {most}")
        return value

    return read


def choice_reader(choices: object) -> ValueReader:
    """Return a function that reads one of the texts of a ``Literal`` type."""

    def read(key: str, value: object) -> object:
        if value not in get_args(choices):
            refuse_value(key, value, f"one of {', '.join(get_args(choices))}")
        return value

    return read


def text_reader(most: int) -> ValueReader:
    """Return a function that reads a text of 1 to ``most`` bytes of UTF-8."""

    def read(key: str, value: object) -> object:
        if not isinstance(value, str) or not 1 <= len(value.encode()) <= most:
            refuse_value(key, value, f"a text of 1 to {most} bytes")
        return value

    return read


def numbers_reader(most: int) -> ValueReader:
    """Return a function that reads a list of 1 to ``most`` numbers of at least 0."""

    def read(key: str, value: Any) -> tuple[float, ...]:
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            refuse_value(key, value, f"a list of 1 to {most} numbers")
        for each in value:
            if not is_number(each) or each < 0:
                refuse_value(key, each, "numbers of at least 0")
        return tuple(map(float, value))

    return read


def read_digest(key: str, value: object) -> bytes:
    """Read 32 bytes from 64 hexadecimal digits in lower case."""
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        refuse_value(key, value, "64 hexadecimal digits in lower case")
    return bytes.fromhex(value)


def read_flag(key: str, value: object) -> object:
    """Read true or false."""
    if not isinstance(value, bool):
        refuse_value(key, value, "true or false")
    return value


def read_bound(key: str, value: Any) -> float:
    """Read a number above 0; the text ``inf`` stands for infinity."""
    if value == "inf":
        return math.inf
    if not is_number(value) or value <= 0:
        refuse_value(key, value, 'a number above 0, or "inf"')
    return float(value)


def read_clip(key: str, value: object) -> float | None:
    """Read a number above 0 as ``read_bound`` does, or null."""
    return None if value is None else read_bound(key, value)

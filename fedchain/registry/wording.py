"""Wording: error messages about a scenario in the terms of its YAML file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pydantic import ValidationError

from fedchain.errors import Problem
from fedchain.registry.hints import other_name
from fedchain.registry.parts import Where, plain_value

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

TYPES = {
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a block of keys",
    "mapping": "a block of keys",
    "model": "a block of keys",
    "none_required": "null",
}
"""Words for the types of YAML values, by pydantic's names of the types."""

INFINITE = ("inf", "infinity", "∞")
"""Spellings of infinity that users try instead of YAML's ``.inf``."""


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a hint: the word that was probably meant, and all allowed words.

    >>> suggest("kepe", ["keep", "scale"])
    'did you mean keep? allowed: keep, scale'
    """
    allowed = sorted(known)
    close = difflib.get_close_matches(word, allowed, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}allowed: {', '.join(allowed) or 'nothing'}"


def show_value(value: object) -> str:
    """Return a value as text for a message: shortened, followed by its type in plain words.

    >>> show_value(True), show_value([1])
    ('true (true or false)', '[1] (a list)')
    """
    names = {bool: "bool", int: "int", float: "float", str: "string", tuple: "list", list: "list"}
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a block of keys"
    text = str(value).lower() if isinstance(value, bool) else repr(plain_value(value))
    text = text if len(text) <= 60 else text[:57] + "..."
    kind = names.get(type(value))
    return f"{text} ({TYPES[kind]})" if kind else text


def problems_of(
    error: ValidationError, where: Where, known: Iterable[str] = (), given: object = None
) -> list[Problem]:
    """Return pydantic's errors as problems in fedchain's words, one for each place.

    ``where`` is the place of the checked block, ``known`` the keys that the block may have, and
    ``given`` the checked values.
    """
    texts: dict[Where, list[str]] = {}
    for found in error.errors():
        place = _place(found, given)
        own = list(known) if len(place) == 1 else []  # ``known`` is for the outer block only
        texts.setdefault((*where, *place), []).append(_words(found, own))
    # If an entry of a list is wrong, another member of the union complains about the list itself.
    above = {at[:length] for at in texts for length in range(len(at))}
    return [Problem(at, _either(words)) for at, words in texts.items() if at not in above]


def _place(found: ErrorDetails, given: object) -> Where:
    """Return the part of an error's path that exists in the user's values."""
    place: list[str | int] = []
    for step in found["loc"]:
        if isinstance(given, Mapping) and (step in given or found["type"] == "missing"):
            given = given.get(step)
        elif isinstance(given, tuple) and isinstance(step, int) and step < len(given):
            given = given[step]
        elif isinstance(given, tuple) and isinstance(step, str):
            continue  # the name of a union's member
        else:
            break
        place.append(step)
    return tuple(place)


def _either(texts: list[str]) -> str:
    """Join the error texts that the members of a union have for one value.

    >>> _either(["must be a number, got 'x' (text)", "must be one of 'auto', got 'x' (text)"])
    "must be a number or one of 'auto', got 'x' (text)"
    """
    first, *others = dict.fromkeys(texts)
    head, got, tail = first.rpartition(", got ")
    if not others or not got:
        return first
    allowed = [head, *(t.rpartition(", got ")[0].removeprefix("must be ") for t in others)]
    return f"{' or '.join(a for a in allowed if a)}, got {tail}"


def _words(error: ErrorDetails, known: list[str]) -> str:
    value, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            key = str(error["loc"][-1])
            hint = f": {words}" if (words := other_name(key)) else ""
            return f"no such key{hint}{f'; {suggest(key, known)}' if known else ''}"
        case "missing":
            return "is missing; it has no default"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            bounds = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
            given = [(word, context[key]) for key, word in bounds.items() if key in context]
            limits = [f"{word} {limit:.12g}" for word, limit in given]
            return f"must be {' and '.join(limits)}, got {value!r}"
        case "too_short" | "string_too_short":
            least = context.get("min_length", 1)
            unit = "entry" if least == 1 else "entries"
            return f"must have at least {least} {unit}, got {show_value(value)}"
        case "literal_error":
            return f"must be one of {context['expected']}, got {value!r}"
        case "finite_number":
            return f"must be a finite number, got {value!r}"
        case "value_error" | "assertion_error":
            return str(context["error"])
        case kind if kind.endswith("_type") and kind.removesuffix("_type") in TYPES:
            infinite = kind == "float_type" and str(value).strip("+-").lower() in INFINITE
            hint = "; write .inf for infinity" if infinite else ""
            return f"must be {TYPES[kind.removesuffix('_type')]}, got {show_value(value)}{hint}"
        case _:
            return f"{error['msg'][0].lower()}{error['msg'][1:]}, got {show_value(value)}"

"""Tables of docs/format.md for the fuzzer: keys and parameters with bounds, reasons to refuse."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any, NamedTuple

FORMAT = Path(__file__).resolve().parents[1] / "docs" / "format.md"
DELETED = object()
"""Stands for a key that is taken away."""
LONG = "x" * 65
DESCENT = {"kind": "gradient_descent", "learning_rate": 0.5}
PRE_AGGREGATIONS = ("nnm", "bucketing", "norm_clipping")
"""Kinds that stand in ``first`` of a rule."""
OTHERS: dict[str, tuple[Any, ...]] = {
    "whole": (None, True, "1", 0.5, 1e300, [], {}, [1]),
    "number": (None, True, False, "1", "nan", [], {}, [1], "-inf"),
    "text": (None, True, 1, [], {}, "", " mean", "MEAN", LONG),
    "flag": (None, 0, 1, "true", []),
    "hex": (None, 0, "", "0" * 63, "0" * 65, "AB" * 32, "0x" + "0" * 62, "g" * 64),
    "object": (True, 3, "mean", 0.5, [], [{}], [[[]]] * 3),
}
"""Values of other types."""
SPECIAL: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    "aggregation": (({"kind": "mean"},), ({"kind": 3}, {"kind": None}, {}, {"keep": 1})),
    "update": ((DESCENT,), ({"kind": True}, {"kind": "mean"}, {}, {"learning_rate": 1})),
    "privacy": (({"kind": "none", "noise": [0], "clip": "inf"},), ({}, {"kind": "none"})),
    "privacy.noise": (
        ([0], [1.25, 1.5], [1e308, 0, 5e-324]),
        ([], [-1], ["1"], [True], [None], [[1]], 1, [1, -5e-324], {}, "inf", None, ["inf"]),
    ),
    "records": (
        ([[3, 1], [5, 1], [8, 1]], [[1, 3]], [[1, 2**32 - 1]]),
        (
            [[3]],
            [[5, 1], [3, 1]],
            [[3, 1], [3, 1]],
            [[0, 1]],
            [[1, 0]],
            [[1, 1, 1]],
            [3],
            3,
            {},
            [[2**32, 1]],
            [[1, 2**32]],
            [[True, 1]],
            [[1.5, 1]],
            [None],
            None,
            [["1", 1]],
        ),
    ),
    "model": ((), ({}, {"dimension": 3}, {"dimension": 3, "dtype": "float64"})),
    "model.layout": (
        ([], [["w", [3]]], [["", []]], [["é" * 128, [0]]], [["w", [1] * 255]]),
        (
            [["w"]],
            [["w", 3]],
            [["w", [3], 0]],
            [["é" * 129, [1]]],
            [["w", [-1]]],
            [[1, [1]]],
            [["w", [2**32]]],
            [["w", [1] * 256]],
            [["w", [True]]],
            ["w"],
            {},
            None,
            "w",
        ),
    ),
    "ledger": ((), ({}, {"rounds": 3})),
    "ledger.bits": (
        (0x20400000, 0x207FFFFF, 0x20200000),
        (0, 2**32 - 1, 2**32, 0x20800000, 0x21010000, 0x01003456, 0x04923456, -1, True, "1", None),
    ),
    "weights": (
        (
            None,
            "equal",
            "records",
            {"kind": "records"},
            {"kind": "records", "cap": None},
            {"kind": "records", "cap": "median"},
        ),
        (
            True,
            1,
            "",
            "median",
            [],
            {},
            {"kind": "equal"},
            {"kind": "records", "cap": "mean"},
            {"cap": "median"},
            {"kind": "records", "cap": 3},
            {"kind": "records", "more": 1},
        ),
    ),
    "list of pre-aggregations": (
        ([], [{"kind": "nnm"}], [{"kind": "bucketing", "size": 3}, {"kind": "norm_clipping"}]),
        (
            None,
            3,
            {},
            "nnm",
            [3],
            [{}],
            ["nnm"],
            [{"kind": "mean"}],
            [{"kind": "nnm", "byzantine": -1}],
            [{"kind": "bucketing"}, {"kind": "bucketing", "size": 0}],
            [{"kind": "nnm"}] * 9,
        ),
    ),
    "list of rules": (
        ([{"kind": "mean"}, {"kind": "median"}], [{"kind": "dnc", "first": [{"kind": "nnm"}]}]),
        (
            None,
            [],
            {},
            "mean",
            [3],
            [{"kind": "nnm"}],
            [{"kind": "mean"}] * 9,
            [{"kind": "mean"}, {"kind": "l_nearest"}],
            [{"kind": "average_of", "rules": [{"kind": "mean"}]}],
        ),
    ),
    "of": ((DESCENT,), (None, 3, [], {}, "adam", {"kind": 3}, {**DESCENT, "learning_rate": 0})),
}
"""Values of keys whose type is no number and no text: allowed ones, then others."""


class Row(NamedTuple):
    """A row of a table: a key of the agreed text, or a parameter of a rule or an update."""

    key: str
    kind: str
    """The type, as the table names it."""
    allowed: str
    """What is allowed, as the table says it."""
    required: bool = True


class Reason(NamedTuple):
    """A reason to refuse, and the words by which an error is known."""

    about: str
    words: str


def section(title: str) -> str:
    """Return the text of a section of docs/format.md."""
    page = FORMAT.read_text(encoding="utf-8")
    return page.partition(f"## {title}")[2].partition("\n## ")[0]


def cells(text: str) -> list[list[str]]:
    """Return the cells of all rows of the tables in a text."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    split = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return [row for row in split if row[0] != "---"]


@functools.cache
def agreed_rows() -> dict[str, Row]:
    """Return the keys of the agreed text, as their table lists them."""
    text = section("The agreed text").partition("\n###")[0]
    found = [row for row in cells(text) if row[0].startswith("`")]
    return {row[0].strip("`"): Row(row[0].strip("`"), *row[1:3]) for row in found}


@functools.cache
def parameter_rows() -> dict[str, dict[str, Row]]:
    """Return the parameters of every rule and update, by its kind."""
    text = section("The step").partition("\nAggregation,")[0]
    found: dict[str, dict[str, Row]] = {}
    kinds: list[str] = []
    for row in cells(text)[1:]:
        kinds = re.findall(r"`(\w+)`", row[0]) or kinds
        for kind in kinds:
            for key in re.findall(r"`(\w+)`", row[1]):
                found.setdefault(kind, {})[key] = Row(key, row[2], row[3], row[4] == "")
    return found


def stands_in_a_rule(kind: str) -> bool:
    """Return whether a kind is that of an aggregation rule or of a pre-aggregation."""
    keys = parameter_rows()[kind].keys()
    return kind in PRE_AGGREGATIONS or bool(keys & {"scale", "rules"})


@functools.cache
def reasons() -> tuple[Reason, ...]:
    """Return the reasons to refuse a chain, as their table lists them."""
    rows = [row for row in cells(section("Reasons to refuse")) if row[0].startswith("`")]
    return tuple(Reason(row[0].strip("`"), row[1].strip("`")) for row in rows)


def number_of(text: str) -> float:
    """Return the number that is written as 65,536, 2^32 - 1 or .5."""
    power = re.fullmatch(r"2\^(\d+)( - 1)?", text)
    return 2 ** int(power[1]) - bool(power[2]) if power else float(text.replace(",", ""))


def values_of(row: Row) -> tuple[list[Any], list[Any]]:
    """Return values that a key may have, and others, at the bounds and beyond them."""
    words = row.kind.split(",")[0].split(" or ")[0]
    special = words if words in SPECIAL else row.key
    if special in SPECIAL:
        right, wrong = SPECIAL[special]
        more = OTHERS["object"] if words == "object" else ()
        return list(right), [*wrong, *more]
    right, wrong = [], list(OTHERS[words])
    if "null" in row.kind:
        right, wrong = [None], [value for value in wrong if value is not None]
    if "`true`" in row.allowed or words == "flag":
        right += [True, False]
    elif words == "hex":
        right += ["0" * 64, "9f" * 32]
    elif words == "object":
        right += [{}, {"x": [1, "é", None, {"y": 1e-7}]}]
    elif words == "text" and "bytes" in row.allowed:
        right += ["x", "x" * 64, "é" * 32]
        wrong = [value for value in wrong if not isinstance(value, str)] + ["", LONG, "é" * 33]
    elif words == "text":
        right += re.findall(r"`(\w+)`", row.allowed)
    else:
        right_numbers, wrong_numbers = numbers_of(row.allowed.split(";")[0], words == "whole")
        right, wrong = right + right_numbers, wrong + wrong_numbers
        right += ["inf"] if '"inf"' in row.allowed else []
    return right, wrong


def numbers_of(allowed: str, whole: bool) -> tuple[list[Any], list[Any]]:
    """Return numbers at the bounds that a table states, and numbers beyond them."""
    step = 1 if whole else 5e-324
    if found := re.fullmatch(r"(.+) to (below )?(.+)", allowed):
        least, most = number_of(found[1]), number_of(found[3])
        if found[2]:
            return [least, most / 2, 1 - 2**-53], [-5e-324, -1, most, most + 1]
        beyond = int(most) + 1 if most < 2**53 else most + 2.0  # more is no whole number
        right = {least, least + 1, most, most - 1}
        return [int(value) for value in sorted(right)], [int(least) - 1, beyond]
    if found := re.fullmatch(r"above (\S+?)(?:, at most (\S+))?", allowed):
        if found[2]:
            return [5e-324, 0.5, number_of(found[2])], [0, -5e-324, number_of(found[2]) + 2**-52]
        return [5e-324, 0.5, 3, 1e308], [0, -5e-324, -1]
    if found := re.fullmatch(r"(\S+) or more", allowed):
        least = number_of(found[1])
        more = [int(least), int(least) + 1, 2**53] if whole else [least, 0.5, 1e308]
        return more, [int(least) - 1 if whole else -step, -1]
    only = int(number_of(allowed))
    return [only], [only - 1, only + 1, -only]

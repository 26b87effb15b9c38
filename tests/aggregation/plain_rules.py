"""The rules in whole numbers and plain floats: slow, and beyond doubt."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from fedchain.aggregation import Received
from fedchain.aggregation.directions import Directions
from fedchain.arrays import ONE, Matrix, Vector


def some_rows(seed: int, count: int = 20, dimension: int = 300) -> Matrix:
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(count, dimension)) + 0.3 * generator.normal(size=dimension)
    return quantised(rows)


def quantised(rows: Matrix) -> Matrix:
    return np.rint(rows / np.linalg.norm(rows, axis=1, keepdims=True) * ONE)


def sent(rows: Matrix, seed: int = 0, storage: str = "int32") -> Directions:
    """Return the rows with as many low bits cut off as a random exponent says."""
    least = {"int8": 6, "int16": 14, "int32": 14}[storage]
    most = 7 if storage == "int8" else 15 if storage == "int16" else 21
    exponents = np.random.default_rng(seed).integers(least, most, len(rows)).tolist()
    pairs = zip(rows, exponents, strict=True)
    integers = [np.rint(np.ldexp(row, e - 20)).astype(storage) for row, e in pairs]
    return Directions(tuple(integers), tuple(exponents))


def with_zeros(directions: Directions, *rows: int) -> Directions:
    """Return the directions with some of them as a gradient of zero is sent."""
    integers, exponents = list(directions.integers), list(directions.exponents)
    for row in rows:
        integers[row], exponents[row] = np.zeros_like(integers[row]), 0
    return Directions(tuple(integers), tuple(exponents))


def some_zero(directions: Directions, norms: Vector, seed: int) -> tuple[Directions, Vector]:
    """Return the messages with every third one zero, beginning at 0, 1, 2 or not at all."""
    rows = range(seed % 4, len(norms), 3) if seed % 4 < 3 else ()
    cut = norms.copy()
    cut[list(rows)] = 0.0
    return with_zeros(directions, *rows), cut


def received(
    directions: Directions, norms: Vector, records: Vector | None = None, **memory: Vector
) -> Received:
    """Return what a rule receives; without numbers of records, every message has one."""
    counts = np.ones(len(directions)) if records is None else records
    return Received(directions, norms, counts, memory)


def whole(directions: Directions) -> list[list[int]]:
    return [
        [int(entry) << (20 - exponent) for entry in row]
        for row, exponent in zip(directions.integers, directions.exponents, strict=True)
    ]


def inner(left: list[int], right: list[int]) -> int:
    return sum(a * b for a, b in zip(left, right, strict=True))


def inner_with_sum(rows: list[list[int]]) -> list[int]:
    total = [sum(column) for column in zip(*rows, strict=True)]
    return [inner(row, total) for row in rows]


def exact_projections(rows: list[list[int]]) -> list[Fraction]:
    """Return <q, v>^2 / <q, q> with its sign, in whole numbers of any size."""
    products = zip(inner_with_sum(rows), rows, strict=True)
    return [Fraction(product * abs(product), inner(row, row) or 1) for product, row in products]


def earlier_mean(rows: Matrix, factors: Vector, used: list[int]) -> Vector:
    """(16) over the whole matrix, one rounded operation at a time."""
    total = np.zeros(rows.shape[1])
    for row in used:
        total = total + rows[row] * factors[row]
    return total / float(len(used)) / ONE


def krum_scores(rows: list[list[int]], byzantine: int) -> list[int]:
    scores = []
    for place, row in enumerate(rows):
        others = rows[:place] + rows[place + 1 :]
        distances = sorted(sum((a - b) ** 2 for a, b in zip(row, o, strict=True)) for o in others)
        scores.append(sum(distances[: len(rows) - byzantine - 2]))
    return scores


def trimmed(
    rows: list[list[int]], factors: list[float], trim: int
) -> tuple[list[float], list[float]]:
    """Return the trimmed mean of every coordinate, and each row's share in what was kept."""
    means, taken = [], [0] * len(rows)
    for column in zip(*rows, strict=True):
        values = [entry * factor for entry, factor in zip(column, factors, strict=True)]
        order = sorted(range(len(values)), key=values.__getitem__)[trim : len(values) - trim]
        kept = [values[row] for row in order]
        for row in order:
            taken[row] += 1
        total = 0.0
        for value in kept:
            total += value
        means.append(total / len(kept) / 2.0**20)
    return means, [count / sum(taken) for count in taken]

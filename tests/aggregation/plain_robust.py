"""Robust rules in plain float64: slow loops over vectors, with numpy's eigenvalues."""

from __future__ import annotations

import itertools

import numpy as np

from fedchain.arrays import Matrix, Vector


def nnm(rows: Matrix, few: int) -> Matrix:
    mixed = []
    for row in rows:
        far = sorted(range(len(rows)), key=lambda k: (round(distance(row, rows[k]), 9), k))
        mixed.append(np.mean([rows[k] for k in far[: len(rows) - few]], axis=0))
    return np.array(mixed)


def bucketing(rows: Matrix, size: int) -> Matrix:
    return np.array([rows[k : k + size].mean(axis=0) for k in range(0, len(rows), size)])


def norm_clipping(rows: Matrix, radius: float | None) -> Matrix:
    lengths = [float(np.linalg.norm(row)) for row in rows]
    most = float(np.median(lengths)) if radius is None else radius
    pairs = zip(rows, lengths, strict=True)
    return np.array([row * min(1.0, most / length if length else 1.0) for row, length in pairs])


def distance(left: Vector, right: Vector) -> float:
    return float(np.sqrt(((left - right) ** 2).sum()))


def covariance(rows: Matrix, counts: Vector) -> Matrix:
    centred = rows - (counts[:, None] * rows).sum(axis=0) / counts.sum()
    return sum(c * np.outer(y, y) for c, y in zip(counts, centred, strict=True)) / counts.sum()


def projections(rows: Matrix, counts: Vector) -> tuple[Vector, float]:
    values, vectors = np.linalg.eigh(covariance(rows, counts))
    centred = rows - (counts[:, None] * rows).sum(axis=0) / counts.sum()
    return (centred @ vectors[:, -1]) ** 2, float(values[-1])


def dnc(rows: Matrix, few: int, iterations: int) -> Vector:
    left = list(range(len(rows)))
    for _ in range(iterations):
        along, _ = projections(rows[left], np.ones(len(left)))
        order = sorted(range(len(left)), key=lambda k: (along[k], k))
        left = sorted(left[k] for k in order[: len(left) - few])
    return rows[left].mean(axis=0)


def caf(rows: Matrix, few: int) -> Vector:
    counts, found = np.ones(len(rows)), list[tuple[float, Vector]]()
    while counts.sum() > len(rows) - 2 * few or not found:
        along, value = projections(rows, counts)
        found.append((value, (counts[:, None] * rows).sum(axis=0) / counts.sum()))
        counts = counts * (1 - np.minimum(along / along[counts > 0].max(), 1))
    return min(found, key=lambda each: each[0])[1]


def geometric_median(rows: Matrix, least: float, steps: int) -> Vector:
    point = np.zeros(rows.shape[1])
    for _ in range(steps):
        forces = [1 / max(distance(row, point), least) for row in rows]
        total = sum(force * row for force, row in zip(forces, rows, strict=True))
        point = np.asarray(total / sum(forces))
    return point


def centred_clipping(rows: Matrix, centre: Vector, radius: float | None, steps: int) -> Vector:
    for _ in range(steps):
        lengths = [distance(row, centre) for row in rows]
        most = float(np.median(lengths)) if radius is None else radius
        moves = [
            (row - centre) * min(1, most / length if length else 1)
            for row, length in zip(rows, lengths, strict=True)
        ]
        centre = centre + np.mean(moves, axis=0)
    return centre


def best_subset(rows: Matrix, few: int, badness) -> Vector:
    subsets = list(itertools.combinations(range(len(rows)), len(rows) - few))
    best = min(subsets, key=lambda each: round(badness(rows[list(each)]), 9))
    return rows[list(best)].mean(axis=0)


def diameter(rows: Matrix) -> float:
    return max((distance(a, b) for a, b in itertools.combinations(rows, 2)), default=0.0)


def mda(rows: Matrix, few: int) -> Vector:
    return best_subset(rows, few, diameter)


def smea(rows: Matrix, few: int) -> Vector:
    return best_subset(rows, few, lambda some: projections(some, np.ones(len(some)))[1])


def mean_around_median(rows: Matrix, kept: int) -> Vector:
    found = []
    for column in rows.T:
        middle = float(np.median(column))
        found.append(np.mean(sorted(column, key=lambda v: (round(abs(v - middle), 9), v))[:kept]))
    return np.array(found)


def directions(rows: Matrix) -> Matrix:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


def krum_score(rows: Matrix, place: int, number: int) -> float:
    others = [k for k in range(len(rows)) if k != place]
    return float(np.sort([distance(rows[place], rows[k]) ** 2 for k in others])[:number].sum())


def krum(rows: Matrix, few: int, keep: int) -> Vector:
    unit, number = directions(rows), len(rows) - few - 2
    order = sorted(range(len(rows)), key=lambda k: (krum_score(unit, k, number), k))
    return rows[sorted(order[:keep])].mean(axis=0)


def bulyan(rows: Matrix, few: int) -> Vector:
    left, chosen, unit = list(range(len(rows))), list[int](), directions(rows)
    while len(chosen) < len(rows) - 2 * few:
        some, number = unit[left], min(max(len(left) - few - 2, 1), len(left) - 1)
        best = min(range(len(left)), key=lambda k: (krum_score(some, k, number), k))
        chosen.append(left.pop(best))
    return mean_around_median(rows[sorted(chosen)], len(chosen) - 2 * few)


def l_nearest(rows: Matrix, keep: int) -> Vector:
    unit = directions(rows)
    near = unit @ unit.sum(axis=0)
    order = sorted(range(len(rows)), key=lambda k: (-near[k], k))
    return rows[sorted(order[:keep])].mean(axis=0)


def trimmed_mean(rows: Matrix, trim: int) -> Vector:
    return np.sort(rows, axis=0)[trim : len(rows) - trim].mean(axis=0)


def fltrust(rows: Matrix, root: Vector, norm: float) -> Vector:
    lengths = np.linalg.norm(rows, axis=1)
    trust = np.maximum(rows @ root / lengths / np.linalg.norm(root), 0)
    if not trust.any():
        return np.zeros(len(root))
    scaled = [t * row * norm / length for t, row, length in zip(trust, rows, lengths, strict=True)]
    return np.asarray(sum(scaled) / trust.sum())

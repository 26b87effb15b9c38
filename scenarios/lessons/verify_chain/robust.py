"""Robust rules: each takes the vectors and its parameters, and returns the global gradient."""

import itertools
import math

import numpy as np

from .encoding import need
from .mixing import (
    ONE,
    applied,
    cosines,
    distances,
    enough,
    ordered_sum,
    product,
    quotient,
    refused,
    scaled,
)

SQUARINGS, STEPS = 10, 4
MOST_OF_KRUM = 8192
MOST_SUBSETS = {"mda": 60_000, "smea": 6000}


def krum(vectors, rule):
    """Average the directions with the closest neighbours."""
    few, count = rule["byzantine"] or 0, len(vectors)
    enough(vectors, 2 * few + 3)
    if vectors.mix is None:  # whole numbers, which are added exactly
        exact = vectors.exact(MOST_OF_KRUM)
        squares = exact.diagonal()
        ordered = np.sort(np.add.outer(squares, squares) - 2 * exact, axis=1)
        scores = ordered[:, 1 : count - few - 1].sum(axis=1) / ONE**2
    else:
        scores = ordered_sum(np.sort(of_directions(vectors), axis=1)[:, 1 : count - few - 1].T)
    return vectors.combined(first_of(scores, rule["keep"]))


def of_directions(vectors):
    """Return the squared distances of all directions."""
    if vectors.mix is not None:
        return distances(cosines(vectors))
    exact = vectors.exact()
    squares = exact.diagonal()
    return (np.add.outer(squares, squares) - 2 * exact) / ONE**2


def first_of(scores, number):
    """Return 1 for the smallest scores, and 0 for the others."""
    counts = np.zeros(len(scores))
    counts[np.argsort(scores, kind="stable")[:number]] = 1.0
    return counts


def trimmed_mean(vectors, rule):
    """Average each coordinate without its smallest and largest values."""
    few = rule["trim"] or 0
    enough(vectors, 2 * few + 1)
    ordered = np.sort(vectors.rows(), axis=0)[few : len(vectors) - few]
    return (ordered_sum([np.zeros(ordered.shape[1]), *ordered]) / float(len(ordered))) / ONE


def median(vectors, _rule):
    """Take the median of each coordinate."""
    return trimmed_mean(vectors, {"trim": (len(vectors) - 1) // 2})


def mean_around_median(vectors, rule):
    """Average the values of each coordinate that are nearest to its median."""
    few = rule["byzantine"] or 0
    enough(vectors, 2 * few + 1)
    return nearest_values(vectors.rows(), len(vectors) - few)


def nearest_values(rows, kept):
    """Return the mean of the values of each column nearest to its median."""
    ordered = np.sort(rows, axis=0)
    middle = (ordered[(len(rows) - 1) // 2] + ordered[len(rows) // 2]) / 2.0
    start = np.zeros(rows.shape[1], dtype=int)
    for place in range(len(rows) - kept):
        start += middle - ordered[place] > ordered[place + kept] - middle
    columns = np.arange(rows.shape[1])
    chosen = [ordered[start + step, columns] for step in range(kept)]
    return (ordered_sum([np.zeros(rows.shape[1]), *chosen]) / float(kept)) / ONE


def bulyan(vectors, rule):
    """Choose by Krum one after the other, then average values near the median."""
    few = rule["byzantine"] or 0
    enough(vectors, 4 * few + 3)
    far, left, chosen = of_directions(vectors), list(range(len(vectors))), []
    while len(chosen) < len(vectors) - 2 * few:
        number = min(max(len(left) - few - 2, 1), len(left) - 1)
        ordered = np.sort(far[np.ix_(left, left)], axis=1)[:, 1 : number + 1]
        scores = ordered_sum(ordered.T) if number else np.zeros(1)
        chosen.append(left.pop(int(scores.argmin())))
    return nearest_values(vectors.rows()[sorted(chosen)], len(chosen) - 2 * few)


def dnc(vectors, rule):
    """Leave out what lies far along the direction of the largest variance."""
    few, gram, count = rule["byzantine"] or 0, vectors.gram(), len(vectors)
    enough(vectors, max(2, rule["iterations"]) * few + 1)
    counts = np.ones(count)
    for turn in range(1, rule["iterations"] + 1):
        squares, _ = spread_along(gram, counts)
        whole = ordered_sum(squares * counts)
        shares = squares / whole if whole > 0 else np.zeros(count)
        counts = first_of(np.where(counts > 0, shares, np.inf), count - turn * few)
    return vectors.combined(counts)


def caf(vectors, rule):
    """Lower the weights along directions of large variance."""
    few, gram = rule["byzantine"] or 0, vectors.gram()
    enough(vectors, 2 * few + 1)
    counts = best = np.ones(len(vectors))
    squares, least = spread_along(gram, counts)
    while squares[counts > 0].max() > 0:
        counts = counts * np.maximum(1.0 - squares / squares[counts > 0].max(), 0.0)
        if ordered_sum(counts) <= len(vectors) - 2 * few:
            break
        squares, value = spread_along(gram, counts)
        if value < least:
            least, best = value, counts
    return vectors.combined(best)


def spread_along(gram, counts):
    """Return squared projections on the leading direction, and the variance along it."""
    whole = ordered_sum(counts)
    means = applied(gram, counts / whole)
    square = ordered_sum(counts / whole * means)
    centred, roots = (gram - np.add.outer(means, means)) + square, np.sqrt(counts)
    vector, value = leading(centred * np.multiply.outer(roots, roots))
    along, length = applied(centred, roots * vector), value * ordered_sum(vector * vector)
    if length <= 0.0:
        return np.zeros(len(gram)), 0.0
    return along * along / length, value / whole


def leading(matrix):
    """Return the leading eigenvector of a matrix, and its eigenvalue."""
    power = evened(matrix)
    for _ in range(SQUARINGS):
        power = evened(product(power, power))
    vector = power[:, power.diagonal().argmax()]
    for _ in range(STEPS):
        vector = evened(applied(power, vector))
    square = ordered_sum(vector * vector)
    along = ordered_sum(vector * applied(matrix, vector))
    return vector, max(along / square, 0.0) if square > 0 else 0.0


def evened(values):
    """Divide by the power of two that brings the largest entry between 1 and 2."""
    return np.ldexp(values, 1 - math.frexp(float(np.abs(values).max()))[1])


def subsets_of(vectors, rule):
    """Return all subsets without the number of Byzantine vectors."""
    few, count = rule["byzantine"] or 0, len(vectors)
    enough(vectors, 2 * few + 1)
    most = MOST_SUBSETS[rule["kind"]]
    need(math.comb(count, few) <= most, refused(f"more than {most} subsets"))
    return [list(each) for each in itertools.combinations(range(count), count - few)]


def mda(vectors, rule):
    """Average the subset with the smallest diameter."""
    far = distances(vectors.gram())
    best = min(subsets_of(vectors, rule), key=lambda each: far[np.ix_(each, each)].max())
    return vectors.combined(np.isin(np.arange(len(vectors)), best) * 1.0)


def smea(vectors, rule):
    """Average the subset with the smallest leading variance."""
    gram = vectors.gram()

    def variance(each):
        inner, equal = gram[np.ix_(each, each)], np.full(len(each), 1.0 / len(each))
        means = applied(inner, equal)
        square = ordered_sum(means * equal)
        return leading((inner - np.add.outer(means, means)) + square)[1]

    best = min(subsets_of(vectors, rule), key=variance)
    return vectors.combined(np.isin(np.arange(len(vectors)), best) * 1.0)


def geometric_median(vectors, rule):
    """Take the point with the smallest sum of distances."""
    gram, usual = vectors.gram(), np.median(scaled(vectors.norms, rule["scale"]))
    least = rule["smoothing"] * usual / vectors.unit()
    counts = np.zeros(len(vectors))
    for step in range(rule["steps"]):
        far = distances_to(gram, counts) if step else vectors.lengths()
        counts = 1.0 / np.maximum(far, least if least > 0 else 1.0)
        counts = counts / ordered_sum(counts)
    return vectors.combined(counts)


def distances_to(gram, place):
    """Return the distances to the sum of the vectors times `place`."""
    inner = applied(gram, place)
    squares = gram.diagonal() - 2.0 * inner + ordered_sum(place * inner)
    return np.sqrt(np.maximum(squares, 0.0))


def centred_clipping(vectors, rule, memory):
    """Move the last aggregate; returns the gradient, and what the rule remembers."""
    count, unit = len(vectors), vectors.unit()
    gram = np.zeros((count + 1, count + 1))
    gram[:count, :count] = vectors.gram()
    if "centre" in memory:
        whole, step = memory["centre"], float(memory["step"][0])
        high = np.floor(whole / 2.0**16)
        parts = (high, whole - high * 2.0**16)
        above, below = (vectors.whole @ part.astype(np.int64) for part in parts)
        inner = (above * 2.0**16 + below) / ONE * (vectors.factors / unit)
        inner = inner if vectors.mix is None else applied(vectors.mix, inner)
        gram[count, :count] = gram[:count, count] = inner * (step / unit)
        gram[count, count] = math.fsum(whole * whole) * (step / unit) * (step / unit)
    place = np.array([0.0] * count + [1.0])
    for _ in range(rule["steps"]):
        far, radius = distances_to(gram, place)[:count], rule["radius"]
        most = np.median(far) if radius is None else radius / unit
        force = np.array([most / each if each > most else 1.0 for each in far]) / count
        place = place * (1.0 - ordered_sum(force))
        place[:count] += force
    gradient = vectors.combined(place[:count]) * ordered_sum(place[:count])
    if "centre" in memory:
        gradient = gradient + whole * step * place[count]
    most = float(np.abs(gradient).max())
    if not 0.0 < most < math.inf:
        return gradient, memory
    step = 2.0 ** max(math.frexp(most)[1] - 30, -1000)
    return gradient, {"centre": np.rint(gradient / step), "step": np.array([step])}


def fltrust(vectors, root, norm):
    """Weight directions by their cosine with that of the public root."""
    exact = root["direction"].astype(np.int64) << (20 - root["exponent"])
    inner = (vectors.whole @ exact) / ONE**2 * vectors.factors
    inner = inner if vectors.mix is None else applied(vectors.mix, inner)
    lengths = vectors.lengths() * vectors.unit()
    trust = quotient(inner, lengths * math.sqrt((exact @ exact) / ONE**2))
    ratios = quotient(np.full(len(lengths), norm), lengths)
    if vectors.mix is None:
        vectors.factors = vectors.factors * ratios
    else:
        vectors.mix = vectors.mix * ratios[:, None]
    return vectors.combined(np.maximum(trust, 0.0))


SIMPLE = (krum, trimmed_mean, median, mean_around_median, bulyan, dnc, caf, mda, smea)
RULES = {each.__name__: each for each in (*SIMPLE, geometric_median)}

"""Vectors: what a rule works on, after pre-aggregations; and arithmetic in a written order."""

import math

import numpy as np

from .encoding import need

ONE = 2.0**20
LARGEST = 2.0**200
MOST_COMPARED = 2048


def ordered_sum(values):
    """Return the sum of numbers or rows, one after the other."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def applied(matrix, vector):
    """Return a matrix times a vector; sums run over the columns from the first."""
    return ordered_sum([matrix[:, k] * vector[k] for k in range(len(vector))])


def product(left, right):
    """Return the product of two matrices; sums run over the rows of the right one."""
    return ordered_sum([np.multiply.outer(left[:, k], right[k]) for k in range(len(right))])


def quotient(above, below):
    """Divide entry by entry; the result is 0 where the divisor is."""
    return np.divide(above, below, out=np.zeros(np.shape(below)), where=below > 0)


def scaled(norms, scale):
    """Return the factor of each direction."""
    if scale == "unit":
        return np.ones(len(norms))
    return np.minimum(norms, np.median(norms)) if scale == "median_clip" else norms


class Vectors:
    """The vectors x_j = sum of P_jk f_k p_k / 2^20, and the shares S_jk of the messages in them."""

    def __init__(self, messages, scale, first):
        """Begin with the messages, and let the pre-aggregations change them."""
        self.whole = np.stack(
            [m["direction"].astype(np.int64) << (20 - m["exponent"]) for m in messages]
        )
        self.norms = np.array([message["norm"] for message in messages])
        self.records = np.array([float(message["records"]) for message in messages])
        self.factors, self.mix, self.taken = scaled(self.norms, scale), None, None
        self.factors = np.minimum(self.factors, LARGEST * self.unit())
        for part in first:
            FIRST[part["kind"]](self, part)

    def __len__(self):
        return len(self.whole if self.mix is None else self.mix)

    def unit(self):
        """Return the largest power of two up to the median factor."""
        return math.ldexp(1.0, math.frexp(float(np.median(self.factors)))[1] - 1)

    def exact(self, most=MOST_COMPARED):
        """Return the inner products of all directions, 2^40 times as large."""
        need(len(self.whole) <= most, refused(f"at most {most} are compared"))
        return self.whole @ self.whole.T

    def gram(self):
        """Return the inner products of all vectors, in the square of the unit."""
        lengths = self.factors / self.unit()
        plain = self.exact() / ONE**2 * np.multiply.outer(lengths, lengths)
        if self.mix is None:
            return plain
        mixed = product(product(self.mix, plain), self.mix.T)
        return (mixed + mixed.T) / 2.0

    def lengths(self):
        """Return the norms of all vectors, in the unit."""
        return np.sqrt(np.maximum(self.gram().diagonal(), 0.0))

    def rows(self):
        """Return all vectors, 2^20 times as large."""
        rows = self.whole * self.factors[:, None]
        return rows if self.mix is None else product(self.mix, rows)

    def combined(self, counts):
        """Return the mean of the vectors, each of which counts so much."""
        whole, total = ordered_sum(counts), np.zeros(self.whole.shape[1])
        if whole == 0.0:
            return total
        parts = counts if self.mix is None else applied(self.mix.T, counts)
        used = np.flatnonzero(parts > 0)
        for k in used:
            factor = self.factors[k] * (float(len(used)) * parts[k] / whole)
            total = total + self.whole[k] * factor
        return total / (float(len(used)) * ONE)

    def mixed(self, mixing):
        """Replace the vectors by sums of them."""
        before = self.mix is None
        self.mix = mixing if before else product(mixing, self.mix)
        self.taken = mixing if before else product(mixing, self.taken)


def refused(why):
    """Return the words for a block from which no step can be made."""
    return f"messages: no step can be made from them: {why}"


def enough(vectors, least):
    """Check that there are enough vectors."""
    need(len(vectors) >= least, refused(f"got {len(vectors)} vectors, needs at least {least}"))


def distances(gram):
    """Return the squared distances of vectors with these inner products."""
    squares = gram.diagonal()
    return np.maximum(np.add.outer(squares, squares) - 2.0 * gram, 0.0)


def cosines(vectors):
    """Return the cosines of all vectors with each other."""
    lengths = vectors.lengths()
    return quotient(vectors.gram(), np.multiply.outer(lengths, lengths))


def nnm(vectors, part):
    """Replace each vector by the mean of its nearest."""
    few = part["byzantine"] or 0
    enough(vectors, 2 * few + 1)
    count = len(vectors)
    near = np.argsort(distances(vectors.gram()), axis=1, kind="stable")[:, : count - few]
    mixing = np.zeros((count, count))
    np.put_along_axis(mixing, near, 1.0 / (count - few), axis=1)
    vectors.mixed(mixing)


def bucketing(vectors, part):
    """Replace each few vectors by their mean."""
    count, size = len(vectors), part["size"]
    starts = range(0, count, size)
    mixing = np.zeros((len(starts), count))
    for row, start in enumerate(starts):
        mixing[row, start : start + size] = 1.0 / min(size, count - start)
    vectors.mixed(mixing)


def norm_clipping(vectors, part):
    """Shorten each vector that is too long."""
    lengths, radius = vectors.lengths(), part["radius"]
    most = np.median(lengths) if radius is None else radius / vectors.unit()
    kept = np.array([most / length if length > most else 1.0 for length in lengths])
    if vectors.mix is None:
        vectors.factors = vectors.factors * kept
    else:
        vectors.mix = vectors.mix * kept[:, None]


FIRST = {each.__name__: each for each in (nnm, bucketing, norm_clipping)}

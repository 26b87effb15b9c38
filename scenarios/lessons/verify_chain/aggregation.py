"""Aggregation: the messages of a block, in ascending order of their ids, to one gradient.

Directions are whole numbers, so that sums and products of them are exact; every other operation is
rounded by itself.
"""

import numpy as np

from .parts import at_least, one_of, read_part

SCALE = one_of("restore", "unit", "median_clip")
RULES = {
    "mean": {"scale": ("restore", SCALE)},
    "l_nearest": {"keep": (None, at_least(1, whole=True)), "scale": ("restore", SCALE)},
}
ONE = 2.0**20


def read_rule(part):
    """Return a rule with all its parameters."""
    return read_part(part, RULES, "aggregation")


def aggregate(rule, messages):
    """Return the global gradient, (14) to (16) of LearningChain."""
    norms = np.array([message["norm"] for message in messages])
    used = nearest(messages, rule["keep"]) if rule["kind"] == "l_nearest" else range(len(norms))
    factors = scaled(norms, rule["scale"])
    total = np.zeros(len(messages[0]["direction"]))
    for k in used:
        factor = 2.0 ** (20 - messages[k]["exponent"]) * factors[k]
        total += messages[k]["direction"].astype(np.float64) * factor
    return total / (len(used) * ONE)


def nearest(messages, keep):
    """Return the places of the messages whose directions lie nearest to the sum of all."""
    rows = np.stack([m["direction"].astype(np.int64) << (20 - m["exponent"]) for m in messages])
    inner, squares = rows @ rows.sum(axis=0), (rows * rows).sum(axis=1)
    roots = np.sqrt(squares.astype(np.float64))
    near = np.divide(inner.astype(np.float64), roots, out=np.zeros(len(rows)), where=roots > 0)
    return sorted(np.argsort(-near, kind="stable")[:keep].tolist())


def scaled(norms, scale):
    """Return the factor of each direction."""
    if scale == "unit":
        return np.ones(len(norms))
    return np.minimum(norms, np.median(norms)) if scale == "median_clip" else norms

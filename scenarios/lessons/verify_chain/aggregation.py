"""Aggregation: the messages of a block, in ascending order of their ids, to one gradient.

Directions are whole numbers, so that sums and products of them are exact; every other operation is
rounded by itself.
"""

import numpy as np

from .encoding import need
from .parts import REQUIRED, at_least, one_of, read_part

CAPPED = {"kind": "records", "cap": "median"}
BY_RECORDS = ("records", {"kind": "records"}, {"kind": "records", "cap": None})
EQUAL = (None, "equal")
MEAN = {
    "scale": ("restore", one_of("restore", "unit", "median_clip")),
    "weights": (None, one_of(*EQUAL, *BY_RECORDS, CAPPED)),
}
RULES = {"mean": MEAN, "l_nearest": {"keep": (REQUIRED, at_least(1, whole=True)), **MEAN}}
ONE = 2.0**20


def read_rule(part, identity):
    """Return a rule with all its parameters."""
    rule = read_part(part, RULES, "aggregation")
    vouched = identity == "registered" or rule["weights"] in EQUAL
    need(vouched, "aggregation: weights: must be equal where identities are open")
    return rule


def aggregate(rule, messages):
    """Return the global gradient, (14) to (16) of LearningChain."""
    norms = np.array([message["norm"] for message in messages])
    used = (
        nearest(messages, rule["keep"]) if rule["kind"] == "l_nearest" else list(range(len(norms)))
    )
    factors = scaled(norms, rule["scale"])
    counts = counted(np.array([float(message["records"]) for message in messages]), rule["weights"])
    whole, number = counts[used].sum(), float(len(used))
    if whole == 0:
        counts, whole = np.ones(len(norms)), number
    factors = factors * (number * counts / whole)
    total = np.zeros(len(messages[0]["direction"]))
    for k in used:
        factor = 2.0 ** (20 - messages[k]["exponent"]) * factors[k]
        total += messages[k]["direction"].astype(np.float64) * factor
    return total / (number * ONE)


def counted(records, weights):
    """Return how much each message counts."""
    if weights in EQUAL:
        return np.ones(len(records))
    return np.minimum(records, np.median(records)) if weights == CAPPED else records


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

"""Aggregation: the messages of a block, in ascending order of their ids, to one gradient.

Directions are whole numbers, so that sums and products of them are exact; every other operation is
rounded by itself.
"""

import numpy as np

from . import robust
from .encoding import need
from .mixing import ONE, Vectors, applied, cosines, ordered_sum, scaled
from .parts import REQUIRED, ListOf, above, at_least, between, maybe, one_of, read_part

CAPPED = {"kind": "records", "cap": "median"}
BY_RECORDS = ("records", {"kind": "records"}, {"kind": "records", "cap": None})
EQUAL = (None, "equal")
FEW = {"byzantine": (None, maybe(at_least(0, whole=True)))}
FIRST = {
    "nnm": FEW,
    "bucketing": {"size": (2, at_least(1, whole=True))},
    "norm_clipping": {"radius": (None, maybe(above(0)))},
}
USUAL = {
    "scale": ("restore", one_of("restore", "unit", "median_clip")),
    "first": ([], ListOf(FIRST, 0, 8)),
}
MEAN = {**USUAL, "weights": (None, one_of(*EQUAL, *BY_RECORDS, CAPPED))}
RULES = {
    "mean": MEAN,
    "l_nearest": {"keep": (REQUIRED, at_least(1, whole=True)), **MEAN},
    "krum": {**FEW, "keep": (1, at_least(1, whole=True)), **USUAL},
    "trimmed_mean": {"trim": FEW["byzantine"], **USUAL},
    "median": USUAL,
    "geometric_median": {
        "steps": (32, between(1, 1000)),
        "smoothing": (0.001, above(0, 1)),
        **USUAL,
    },
    "centred_clipping": {
        "radius": FIRST["norm_clipping"]["radius"],
        "steps": (1, between(1, 100)),
        **USUAL,
    },
    "dnc": {**FEW, "iterations": (1, between(1, 100)), **USUAL},
    "fltrust": USUAL,
}
RULES |= {k: {**FEW, **USUAL} for k in ("mean_around_median", "bulyan", "caf", "mda", "smea")}
RULES["average_of"] = {"rules": (REQUIRED, ListOf(RULES, 1, 8))}


def read_rule(part, identity):
    """Return a rule with all its parameters."""
    rule = read_part(part, RULES, "aggregation")
    for each in rule.get("rules", [rule]):
        need(each["kind"] != "average_of", "aggregation: rules: average_of stands around itself")
        vouched = identity == "registered" or each.get("weights") in EQUAL
        need(vouched, "aggregation: weights: must be equal where identities are open")
    return rule


def aggregate(rule, messages, memory):
    """Return the global gradient, and what the rule remembers, by names without `rule/`."""
    kind = rule["kind"]
    if kind == "average_of":
        return average(rule["rules"], messages, memory)
    if kind == "fltrust":
        return trusting(rule, messages), {}
    if kind in ("mean", "l_nearest") and not rule["first"]:
        return paper_mean(rule, messages), {}
    vectors = Vectors(messages, rule["scale"], rule["first"])
    if kind == "centred_clipping":
        return robust.centred_clipping(vectors, rule, memory)
    if kind in robust.RULES:
        return robust.RULES[kind](vectors, rule), {}
    return mixed_mean(rule, vectors), {}


def average(rules, messages, memory):
    """Return the mean of what several rules make of the messages."""
    gradient, kept = np.zeros(len(messages[0]["direction"])), {}
    for number, rule in enumerate(rules):
        start = f"{number}/"
        own = {k[len(start) :]: v for k, v in memory.items() if k.startswith(start)}
        made, remembered = aggregate(rule, messages, own)
        gradient = gradient + made
        kept |= {start + name: array for name, array in remembered.items()}
    return gradient / float(len(rules)), kept


def trusting(rule, messages):
    """Weight messages by their cosine with the public root's."""
    places = [k for k, message in enumerate(messages) if message["records"] == 0]
    others = [message for k, message in enumerate(messages) if k not in places[:1]]
    if not places or not others:
        return np.zeros(len(messages[0]["direction"]))
    factors = scaled(np.array([message["norm"] for message in messages]), rule["scale"])
    vectors = Vectors(others, "unit", rule["first"])
    return robust.fltrust(vectors, messages[places[0]], float(factors[places[0]]))


def mixed_mean(rule, vectors):
    """Average vectors after pre-aggregations, or those nearest to the sum of their directions."""
    counts = counted(vectors.records, rule["weights"])
    counts = counts if counts.any() else np.ones(len(counts))
    counts = counts if vectors.taken is None else applied(vectors.taken, counts)
    if rule["kind"] == "l_nearest":
        near = ordered_sum(cosines(vectors).T)
        square = ordered_sum(near)
        near = near / np.sqrt(square) if square > 0 else np.zeros(len(near))
        counts = counts * robust.first_of(-near, rule["keep"])
    return vectors.combined(counts)


def paper_mean(rule, messages):
    """Return the mean of all messages, or of the nearest: (14) to (16) of LearningChain."""
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

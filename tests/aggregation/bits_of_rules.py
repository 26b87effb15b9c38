"""Print a hash of what every rule makes of some messages, one rule a line.

The messages have zeros, equal rows, ties and long norms among them, and are whole numbers.
"""

from __future__ import annotations

import hashlib
import json
import sys

import numpy as np

from fedchain.aggregation import Received, aggregations
from fedchain.aggregation.directions import Directions
from fedchain.registry import parameters

FEW = {"byzantine": 2, "trim": 3, "keep": 4}
FIRST = (
    [],
    [{"kind": "nnm", "byzantine": 2}],
    [{"kind": "bucketing"}, {"kind": "norm_clipping"}],
)


def blocks() -> list[dict]:
    """Return every rule, without and with pre-aggregations."""
    found = []
    for first in FIRST:
        for kind in aggregations.names():
            own = {n: v for n, v in FEW.items() if n in parameters(aggregations.find(kind))}
            own["byzantine"] = {"bulyan": 0, "krum": 1, "smea": 1}.get(kind, 2)
            own = {n: v for n, v in own.items() if n in parameters(aggregations.find(kind))}
            found.append({"kind": kind, **own, "first": first})
            if kind == "average_of":
                inner = ({"kind": each, "first": first} for each in ("centred_clipping", "caf"))
                found[-1] = {"kind": kind, "rules": list(inner)}
    return found


def heard(seed: int, **memory: np.ndarray) -> Received:
    """Return 14 messages: row 3 again as row 4, a row of zeros, a long one, and a public root."""
    generator = np.random.default_rng(seed)
    rows = generator.integers(-(2**13), 2**13, (14, 900)).astype(np.int16)
    rows[:, :300] += 3000
    rows[4], rows[6] = rows[3], 0
    norms = generator.integers(1, 9, 14) / 4.0
    norms[4], norms[6], norms[8] = norms[3], 0.0, 1e300
    records = np.ones(14)
    records[9] = 0.0
    return Received(Directions(tuple(rows), (16,) * 14), norms, records, memory)


def hashes() -> list[str]:
    """Return a hash of gradient, shares, scores and memory for every rule, over two blocks."""
    found = []
    for block in blocks():
        part, memory, digest = aggregations.check(block), {}, hashlib.sha256()
        for seed in (1, 2):
            made = aggregations.build(part, heard(seed, **memory))
            memory = dict(made.memory)
            for array in (made.gradient, made.shares, made.cosines, made.scores, *memory.values()):
                digest.update(array.tobytes())
        found.append(digest.hexdigest())
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(hashes()))

"""The second verifier, written from docs/format.md, computes the same bits for every rule."""

from __future__ import annotations

import numpy as np
import pytest
from plain_rules import received, sent, some_rows, with_zeros
from test_aggregation_rules import block_of
from verify_chain.aggregation import aggregate, read_rule

from fedchain.aggregation import aggregations
from fedchain.aggregation.directions import Directions

FIRST = (
    [],
    [{"kind": "nnm", "byzantine": 2}],
    [{"kind": "norm_clipping"}, {"kind": "bucketing", "size": 2}],
    [{"kind": "bucketing"}, {"kind": "norm_clipping", "radius": 0.7}, {"kind": "nnm"}],
)
SCALES = ("restore", "median_clip", "unit", "restore")


def block(seed, count=12):
    """Return 12 messages: zeros, equal directions, long norms and a public root among them."""
    generator = np.random.default_rng(seed)
    directions = sent(some_rows(seed, count, 9), seed)
    integers, exponents = list(directions.integers), list(directions.exponents)
    integers[4], exponents[4] = integers[3], exponents[3]
    norms = generator.lognormal(size=count)
    norms[4], norms[6] = norms[3], 1e6
    directions = Directions(tuple(integers), tuple(exponents))
    if seed % 2:
        directions, norms[7] = with_zeros(directions, 7), 0.0
    records = generator.integers(1, 9, count).astype(np.float64)
    records[5] = 0.0
    return received(directions, norms, records)


def as_messages(heard):
    parts = zip(heard.directions.integers, heard.directions.exponents, strict=True)
    return [
        {"direction": q, "exponent": e, "norm": norm, "records": int(n)}
        for (q, e), norm, n in zip(parts, heard.norms.tolist(), heard.records.tolist(), strict=True)
    ]


@pytest.mark.parametrize("place", range(len(FIRST)))
@pytest.mark.parametrize("kind", aggregations.names())
def test_both_aggregate_to_the_same_bits_block_after_block(kind, place):
    usual = {"first": FIRST[place], "scale": SCALES[place]}
    least = {"bulyan": {"byzantine": 2 * (place < 2)}, "krum": {"byzantine": 1}, "trimmed_mean": {"trim": 2}}
    own = least.get(kind, {"byzantine": 2} if "byzantine" in block_of(kind) else {})
    text = {**block_of(kind, **usual), **own}
    if kind == "average_of":
        inner = ({"kind": "dnc", "byzantine": 1, **usual}, {"kind": "centred_clipping", **usual})
        text = {"kind": kind, "rules": list(inner)}
    rule, ours = read_rule(text, "registered"), aggregations.check(text)
    memory = {}
    for seed in (place, place + 1):
        heard = block(seed)
        made = aggregations.build(
            ours, received(heard.directions, heard.norms, heard.records, **memory)
        )
        gradient, kept = aggregate(rule, as_messages(heard), memory)
        assert gradient.tobytes() == made.gradient.tobytes()
        assert {name: array.tobytes() for name, array in kept.items()} == {
            name: array.tobytes() for name, array in made.memory.items()
        }
        memory = dict(made.memory)

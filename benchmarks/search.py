"""Nonces that the compute nodes of a run try, beside those of nodes that each find a block.

    python benchmarks/search.py [--rounds 100] [--bits 12]

Both numbers are counted in one run for each number of compute nodes. The second one is what nodes
try that never look for blocks of others: for each search, the nonces up to its own success.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter

from fedchain import run
from fedchain.ledger.chain.work import search
from fedchain.nodes.compute import compute_node
from fedchain.scenario import from_mapping

WHOLE = 2**32
"""Most nonces of a search that nobody interrupts."""


def counted(compute: int, rounds: int, bits: int) -> tuple[int, int]:
    """Return the nonces that a run tries, and those that uninterrupted searches would try."""
    tried: Counter[tuple[bytes, int]] = Counter()

    def count(prefix: bytes, first: int, most: int, target: int) -> int | None:
        nonce = search(prefix, first, most, target)
        tried[prefix, target] += most if nonce is None else nonce - first + 1
        return nonce

    scenario = from_mapping({
        "version": 1,
        "name": "search",
        "rounds": rounds,
        "task": {"kind": "none"},
        "nodes": {"compute": compute},
        "network": {"latency_ms": {"kind": "constant", "value": 100}},
        "ledger": {"work": {"kind": "hashcash", "difficulty_bits": bits}},
    })  # fmt: skip
    compute_node.search = count
    try:
        with tempfile.TemporaryDirectory() as folder:
            run(scenario, folder)
    finally:
        compute_node.search = search
    whole = sum(1 + (search(prefix, 0, WHOLE, target) or 0) for prefix, target in tried)
    return tried.total(), whole


def main() -> None:
    """Run, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100, help="100 by default")
    parser.add_argument("--bits", type=int, default=12, help="bits of difficulty, 12 by default")
    asked = parser.parse_args()
    for compute in (1, 3, 10):
        tried, whole = counted(compute, asked.rounds, asked.bits)
        each = tried / asked.rounds
        print(f"{compute:3} compute nodes: {each:9,.0f} nonces a block, {tried / whole:.2f} of all")


if __name__ == "__main__":
    main()

"""Speed of the search for a nonce, beside a bare hashlib loop: tries per second and their ratio.

The bare loop copies the state of a hashed prefix, adds a nonce and hashes twice; it compares
nothing and returns nothing. Search and loop are timed in turns. The best turn of each counts, so
that other load on the machine affects both alike.
"""

from __future__ import annotations

import argparse
import hashlib
import time

from fedchain.ledger.chain.work import search

PREFIX = bytes(range(256))


def bare(tries: int) -> None:
    """Hash as often as the search, and do nothing else."""
    sha256, copy = hashlib.sha256, hashlib.sha256(PREFIX).copy
    for nonce in range(tries):
        state = copy()
        state.update(nonce.to_bytes(8))
        sha256(state.digest()).digest()


def naive(tries: int) -> None:
    """Hash the whole header at every try."""
    for nonce in range(tries):
        hashlib.sha256(hashlib.sha256(PREFIX + nonce.to_bytes(8)).digest()).digest()


def seconds(work: object, *arguments: int) -> float:
    """Return the time of one call, in seconds."""
    start = time.perf_counter()
    work(*arguments)  # type: ignore[operator]
    return time.perf_counter() - start


def main() -> None:
    """Time the loops in turns and print tries a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=200_000, help="tries a turn")
    parser.add_argument("--turns", type=int, default=7, help="turns; the best one counts")
    asked = parser.parse_args()

    def searched(tries: int) -> None:
        assert search(PREFIX, 0, tries, 1) is None

    loops = {"bare": bare, "search": searched, "naive": naive}
    best = dict.fromkeys(loops, float("inf"))
    for _ in range(asked.turns):
        for name, loop in loops.items():
            best[name] = min(best[name], seconds(loop, asked.tries))
    for name, took in best.items():
        print(f"{name:8} {asked.tries / took:12,.0f} tries/s")
    print(f"ratio    {best['bare'] / best['search']:12.3f} of the bare loop")


if __name__ == "__main__":
    main()

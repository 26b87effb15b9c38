"""Speed of secure aggregation: a round of 100 holders, in groups of several sizes.

    python benchmarks/secure_aggregation.py [--holders 100] [--dimension 30000] [--tries 3] [--json]

Prints the milliseconds of one round of all groups, with all members and the assembler computed
here: once without lost members, and once with as many lost as a group can bear. Prints the same
time as a multiple of one plain sum of the same words, and the bytes that a member sends. ``--json``
prints one object, case to milliseconds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping

from fedchain.machine import prepare

prepare()  # before numpy reads how many threads one operation may take

import numpy as np  # noqa: E402

from fedchain.randomness import digest  # noqa: E402
from fedchain.secure_aggregation.assembler import Step, summed  # noqa: E402
from fedchain.secure_aggregation.masks import MaskWords, key_pair  # noqa: E402
from fedchain.secure_aggregation.member import GroupMember, Session, sent_bytes  # noqa: E402

SIZES = (5, 10, 20, 50, 100)
LOST = 3
"""One in this number of members is lost."""


def main() -> None:
    """Time a round in groups of every size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("holders", 100), ("dimension", 30_000), ("tries", 3)):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{default} by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    times = measured(asked.holders, asked.dimension, asked.tries)
    if asked.json:
        print(json.dumps({name: round(ms, 2) for name, ms in times.items()}))
        return
    print(f"{asked.holders} holders of {asked.dimension} parameters, one round, all groups")
    print(f"{'':28}{'ms':>8}  plain sums")
    for name, ms in times.items():
        print(f"{name:28}{ms:8.1f}{ms / times['plain sum']:12.0f}")
    for size in SIZES[:2]:
        sent = sent_bytes(size, asked.dimension)
        print(f"of a group of {size} each member sends {sent / 1e3:.1f} kB")


def measured(holders: int, dimension: int, tries: int) -> dict[str, float]:
    """Return the least milliseconds of the plain sum and of every case."""
    drawn = np.random.default_rng(0).integers(-(2**40), 2**40, (holders, dimension))
    rows = drawn.view(np.uint64)
    times = {"plain sum": least(lambda: rows.sum(axis=0), tries)}
    for size in SIZES:
        if holders % size:
            continue
        for lost in (0, size // LOST):
            name = f"groups of {size}, {lost} lost"
            # the first round agrees on the channel keys, once for a run
            round_of(rows, size, lost, 0)
            turns = iter(range(1, tries + 1))
            times[name] = least(lambda: round_of(rows, size, lost, next(turns)), tries)  # noqa: B023
    return times


def round_of(rows: MaskWords, size: int, lost: int, turn: int) -> None:
    """Sum each group, and check that the result is the sum of the survivors."""
    gone = dict.fromkeys(range(1, lost + 1), Step.NUMBERS)
    for first in range(0, len(rows), size):
        keys = [key_pair(digest(0, "channel", first + k)) for k in range(size)]
        channels = tuple(key.public for key in keys)
        session = Session(digest(0, "session", first, turn), channels, size - size // LOST)
        members = [
            GroupMember(session, k + 1, keys[k], digest(0, "member", first + k, turn))
            for k in range(size)
        ]
        numbers: Mapping[int, MaskWords] = {k + 1: rows[first + k] for k in range(size)}
        found = summed(members, session, numbers, gone)
        assert np.array_equal(found.words, rows[first + lost : first + size].sum(axis=0))


def least(work: Callable[[], object], tries: int) -> float:
    """Return the shortest time of the work, in milliseconds."""
    best = float("inf")
    for _ in range(tries):
        began = time.perf_counter()
        work()
        best = min(best, 1000.0 * (time.perf_counter() - began))
    return best


if __name__ == "__main__":
    main()

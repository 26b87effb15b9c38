"""Speed of the aggregation rules, beside one read of the same numbers from memory.

    python benchmarks/aggregation.py [--rows 100] [--dimension 1000000] [--tries 5] [--json]

Prints the milliseconds of processor time of each rule in one thread, on random directions, which
are int16 as they are sent. Prints the same time as a multiple of one read of the directions: as
float32, and as int16. ``--json`` prints one object, name to milliseconds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from fedchain.machine import one_thread, prepare
from fedchain.registry import Part

prepare()  # before numpy reads how many threads one operation may take

import numpy as np  # noqa: E402

from fedchain.aggregation import Received, aggregations, directions  # noqa: E402
from fedchain.aggregation.directions import Directions, spread  # noqa: E402
from fedchain.ledger.chain.codec import quantise  # noqa: E402
from fedchain.transforms import lengths  # noqa: E402

RULES = (
    "l_nearest",
    "mean",
    "krum",
    "trimmed_mean",
    "median",
    "mean_around_median",
    "bulyan",
    "geometric_median",
    "centred_clipping",
    "dnc",
    "caf",
)


def main() -> None:
    """Time both reads and every rule."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rows", 100), ("dimension", 1_000_000), ("tries", 5)):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{default} by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    one_thread()
    directions.SMALL = 2**62  # the rules do not divide the columns among threads
    times = measured(asked.rows, asked.dimension, asked.tries)
    if asked.json:
        print(json.dumps({name: round(ms, 2) for name, ms in times.items()}))
        return
    print(f"{asked.rows} directions of {asked.dimension} entries")
    print(f"{'':20}{'ms':>8}  reads as float32  reads as int16")
    for name, ms in times.items():
        reads = ms / times["read_float32"], ms / times["read_int16"]
        print(f"{name:20}{ms:8.1f}{reads[0]:18.1f}{reads[1]:16.1f}")


def measured(rows: int, dimension: int, tries: int) -> dict[str, float]:
    """Return the least milliseconds of each read and each rule."""
    sent, norms = drawn(rows, dimension), np.linspace(1.0, 2.0, rows)
    floats = [row.astype(np.float32) for row in sent.integers]
    reads = {"read_float32": floats, "read_int16": sent.integers}
    times = {
        name: least(lambda held=held: spread(sent, lambda part: peaks(held, part)), tries)
        for name, held in reads.items()
    }
    del floats, reads
    options = {
        "l_nearest": {"keep": max(1, 7 * rows // 10)},
        "krum": {"byzantine": rows // 5},
        "trimmed_mean": {"trim": rows // 10},
        "mean_around_median": {"byzantine": rows // 5},
        "bulyan": {"byzantine": (rows - 3) // 4},
        "dnc": {"byzantine": rows // 5},
        "caf": {"byzantine": rows // 5},
    }
    for kind in RULES:
        rule = aggregations.check({"kind": kind, **options.get(kind, {})})
        times[kind] = least(lambda rule=rule: aggregate(rule, sent, norms), tries)
    return times


def aggregate(rule: Part, sent: Directions, norms: np.ndarray) -> None:
    """Apply a rule to messages of which no product is known yet."""
    fresh = Directions(sent.integers, sent.exponents)
    aggregations.build(rule, Received(fresh, norms, np.ones(len(norms))))


def drawn(rows: int, dimension: int) -> Directions:
    """Return random directions around a common mean."""
    generator = np.random.default_rng(0)
    mean = generator.standard_normal(dimension, dtype=np.float32)
    sent = []
    for _ in range(rows):
        row = generator.standard_normal((1, dimension), dtype=np.float32) + mean
        sent += quantise(row, lengths(row), "int16")
    return Directions(tuple(q for _, q in sent), tuple(e for e, _ in sent))


def peaks(held: tuple[np.ndarray, ...] | list[np.ndarray], columns: slice) -> None:
    """Read the columns of all rows."""
    for row in held:
        row[columns].max()


def least(call: Callable[[], object], tries: int) -> float:
    """Return the least processor time of a call, in milliseconds."""
    spent = []
    for _ in range(tries):
        start = time.process_time()
        call()
        spent.append(1000 * (time.process_time() - start))
    return min(spent)


if __name__ == "__main__":
    main()

"""Kernels beside what computes without them: processor time of each, in one run.

    python benchmarks/kernels.py [--rows 50] [--dimension 50890] [--tries 9] [--json]

Every line is one pass over rows of numbers: with the kernels, by numpy, and the ratio of the two.
The line ``normals, numpy`` compares with numpy's own logarithm and cosine, as fedchain drew noise
before it had kernels. ``benchmarks/gradients.py`` does the same for gradients.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

from fedchain.machine import one_thread, prepare

prepare()  # before numpy reads how many threads one operation may take

import numpy as np  # noqa: E402
from aggregation import drawn  # noqa: E402

from fedchain import transforms  # noqa: E402
from fedchain.aggregation import (  # noqa: E402
    Received,
    coordinates,
    directions,
    inner_products,
    weights,
)
from fedchain.aggregation.vectors import Vectors  # noqa: E402
from fedchain.ledger.chain import codec  # noqa: E402
from fedchain.randomness import _fill, digest, laplaces, normals  # noqa: E402

MODULES = (codec, coordinates, inner_products, transforms, weights)


def main() -> None:
    """Time every pass both ways, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rows", 50), ("dimension", 50_890), ("tries", 9)):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{default} by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    one_thread()
    found = measured(asked.rows, asked.dimension, asked.tries)
    if asked.json:
        print(json.dumps(found))
        return
    numbers = asked.rows * asked.dimension
    print(f"{'':22}{'kernels':>9}{'without':>9}  ratio    ns a number, {numbers:,} numbers")
    for name, (fast, slow) in found.items():
        print(f"{name:22}{1e9 * fast / numbers:9.2f}{1e9 * slow / numbers:9.2f}{slow / fast:7.1f}")


def measured(count: int, dimension: int, tries: int) -> dict[str, tuple[float, float]]:
    """Return the processor seconds of each pass, with the kernels and without."""
    keys = [digest(0, "noise", row) for row in range(count)]
    noise, gradients = normals(keys, dimension), np.zeros((count, dimension))
    norms, sent = transforms.lengths(noise), drawn(count, dimension)
    used = np.ones(count, dtype=np.bool_)
    vectors = Vectors(Received(sent, norms, np.ones(count)), norms)
    passes: dict[str, Callable[[], object]] = {
        "normals": lambda: normals(keys, dimension),
        "laplaces": lambda: laplaces(keys, dimension),
        "noise to release": lambda: transforms.add_gradients(noise, [1.0] * count, gradients),
        "norms": lambda: transforms.lengths(noise),
        "quantise": lambda: codec.quantise(noise, norms, "int16"),
        "check of a direction": lambda: [codec.squared_norm(row) for row in sent.integers],
        "inner products": lambda: inner_products.agreement_of(sent),
        "weighted mean": lambda: weights.weighted_mean(sent, norms, used),
        "median": lambda: coordinates.untrimmed_means(vectors, (count - 1) // 2),
    }
    spent: dict[str, tuple[float, float]] = {}
    with mock.patch.object(directions, "SMALL", 2**62):  # one thread
        for name, work in passes.items():
            spent[name] = in_turns(work, work, tries)
        slow = lambda: by_numpy(keys, dimension)  # noqa: E731 - the second of two ways
        spent["normals, numpy's log"] = in_turns(passes["normals"], slow, tries)
    return spent


def in_turns(
    fast: Callable[[], object], slow: Callable[[], object], tries: int
) -> tuple[float, float]:
    """Return the least processor seconds of a call with the kernels and of one without."""
    best = [float("inf"), float("inf")]
    for _ in range(tries):
        best[0] = min(best[0], seconds(fast))
        with without_kernels():
            best[1] = min(best[1], seconds(slow))
    return best[0], best[1]


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time of a call."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


@contextmanager
def without_kernels() -> Iterator[None]:
    """Let every pass compute without the kernels."""
    with ExitStack() as stack:
        for module in MODULES:
            stack.enter_context(mock.patch.object(module, "library", return_value=None))
        yield


def by_numpy(keys: list[bytes], count: int) -> np.ndarray:
    """Draw normal numbers by numpy's logarithm, sine and cosine."""
    half = (count + 1) // 2
    words, found = np.empty(2 * half, dtype=np.uint32), np.empty((len(keys), 2 * half), np.float32)
    for row, key in zip(found, keys, strict=True):
        _fill(words, key)
        row[:] = words
    radius, angle = found[:, :half], found[:, half:]
    radius += np.float32(0.5)
    radius *= np.float32(2.0**-32)
    np.log(radius, out=radius)
    radius *= np.float32(-2.0)
    np.sqrt(radius, out=radius)
    angle *= np.float32(2.0 * np.pi * 2.0**-32)
    sine = np.sin(angle)
    np.cos(angle, out=angle)
    angle *= radius
    radius *= sine
    return found[:, :count]


if __name__ == "__main__":
    main()

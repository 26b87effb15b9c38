"""What the protocol of a round cannot do without: bytes hashed, signatures, bytes written."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np

from fedchain.ledger.chain.crypto import is_signature, public_key_of, sign


def main() -> None:
    """Print one JSON object: what it is to milliseconds a round."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--holders", type=int, default=50)
    parser.add_argument("--dimension", type=int, default=50_890)
    asked = parser.parse_args()
    rows = np.ones((asked.holders, asked.dimension), dtype=np.int16)
    weights, secret, digest = np.ones(asked.dimension), bytes(32), bytes(42)
    public, signature = public_key_of(secret), sign(secret, digest)

    def hashed() -> None:
        for row in (*rows, weights):
            hashlib.sha256(row.data).digest()

    def written(file) -> None:
        for row in (*rows, weights):
            file.write(row.data)
        file.flush()
        os.fsync(file.fileno())

    with tempfile.TemporaryFile(dir=".") as file:
        calls: dict[str, Callable[[], object]] = {
            "hash": hashed,
            "sign": lambda: [sign(secret, digest) for _ in rows],
            "verify": lambda: [is_signature(public, signature, digest) for _ in rows],
            "read": lambda: [row.max() for row in rows],
            "write": lambda: written(file),
        }
        print(json.dumps({name: round(median(call), 3) for name, call in calls.items()}))


def median(call: Callable[[], object], tries: int = 11) -> float:
    """Return the median milliseconds of a call, on one thread."""
    spent = []
    for _ in range(tries):
        start = time.perf_counter()
        call()
        spent.append(1000 * (time.perf_counter() - start))
    return statistics.median(spent)


if __name__ == "__main__":
    main()

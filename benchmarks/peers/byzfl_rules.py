"""ByzFL's aggregation rules on 100 gradients of a million entries each, in one thread."""

from __future__ import annotations

import argparse
import json
import time

import torch
from byzfl import Krum, Median, MultiKrum, TrMean


def main() -> None:
    """Print one JSON object: name of fedchain's rule to its least processor time, in ms."""
    parser = argparse.ArgumentParser()
    for name, default in (("rows", 100), ("dimension", 1_000_000), ("tries", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(asked.rows, asked.dimension, generator=generator)
    rows += torch.randn(asked.dimension, generator=generator)
    rules = {
        "krum": Krum(f=asked.rows // 5),
        "l_nearest": MultiKrum(f=3 * asked.rows // 10),  # the nearest relative: keeps seven of ten
        "trimmed_mean": TrMean(f=asked.rows // 10),
        "median": Median(),
    }
    found = {}
    for name, rule in rules.items():
        spent = []
        for _ in range(asked.tries):
            start = time.process_time()
            rule(rows)
            spent.append(1000 * (time.process_time() - start))
        found[name] = round(min(spent), 2)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

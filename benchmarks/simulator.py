"""Speed and class statistics of the simulated scanner.

``python benchmarks/simulator.py [--size 32] [--sites 20] [--scans 60]``
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from fedchain.scans.scan import CLASSES, NONE
from fedchain.scans.simulator.scanner import Scanned, simulate
from fedchain.scans.simulator.scenes import site_of
from fedchain.scans.tasks.simulated import masks


def main() -> None:
    """Print one line per site, and one line for all sites."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("size", 32), ("sites", 20), ("scans", 60), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    everything, total = [], 0.0
    for number in range(options.sites):
        site = site_of(options.seed, number)
        names = [("scan", number, i) for i in range(options.scans)]
        start = time.perf_counter()
        everything.append(simulate(site, options.seed, names, options.size, number))
        spent = time.perf_counter() - start
        total += spent
        speed = f"{1e3 * spent / options.scans:6.2f} ms a scan"
        print(f"{site.family:8s} gloss {site.gloss:.2f}  {speed}  {statistics(everything[-1:])}")
    count = options.sites * options.scans
    print(f"\n{count} scans of {options.size} x {options.size} in {total:.2f} s on one core")
    print(statistics(everything))


def statistics(many: list[Scanned]) -> str:
    """Return the shares of the classes and the score of keeping everything, in words."""
    labels = np.concatenate([s.labels for s in many])
    seen = np.bincount(labels.ravel(), minlength=len(CLASSES)) / (labels != NONE).sum()
    shares = "  ".join(f"{n} {s:.3f}" for n, s in zip(CLASSES[1:], seen[1:], strict=True))
    text = f"fill {(labels != NONE).mean():.2f}, of it {shares}"
    for mask in ("object", "outliers"):
        pairs = [masks(s, mask) for s in many]
        valid, keep = (np.concatenate(part) for part in zip(*pairs, strict=True))
        score = (keep.sum((1, 2)) / np.maximum(valid.sum((1, 2)), 1)).mean()
        text += f"; {mask}: fill {valid.mean():.3f}, keep-everything IoU {score:.3f}"
    return text


if __name__ == "__main__":
    main()

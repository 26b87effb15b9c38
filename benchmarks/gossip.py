"""Gossip over a large network: blocks of sampled work over 1,000 compute nodes and 2,000 links.

Every node has its own chain, and every block is announced, requested and delivered link by link.
The network runs once without faults; and once with a tenth of all transmissions lost, with nodes
that come and go, and with a partition that heals. Prints wall time, memory and deliveries per
second.

    python benchmarks/gossip.py
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fedchain
from fedchain.scenario import from_mapping

FAULTS = {
    "plain": {},
    "with faults": {
        "loss": 0.1,
        "churn": {"away": 0.1, "stay_s": 600.0},
        "partitions": [{"from_s": 600.0, "to_s": 1200.0}],
    },
}


def main() -> None:
    """Measure each kind of network in a separate process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000, help="compute nodes")
    parser.add_argument("--degree", type=int, default=4, help="links of each")
    parser.add_argument("--blocks", type=int, default=200, help="blocks of the main chain")
    parser.add_argument("--only", choices=FAULTS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        measure(asked.nodes, asked.degree, asked.blocks, asked.only)
        return
    links = asked.nodes * asked.degree // 2
    print(f"{asked.nodes} nodes, {links} links, {asked.blocks} blocks")
    for kind in FAULTS:
        subprocess.run([sys.executable, *sys.argv, "--only", kind], check=True)


def measure(nodes: int, degree: int, blocks: int, kind: str) -> None:
    """Run one network, and print its wall time, memory and deliveries."""
    scenario = from_mapping(
        {
            "version": 1,
            "name": "gossip",
            "rounds": blocks,
            "task": {"kind": "none"},
            "nodes": {"compute": nodes},
            "network": {
                "kind": "random_regular",
                "degree": degree,
                "latency_ms": {"kind": "lognormal", "median": 80.0, "sigma": 0.5},
            },
            "gossip": {"relay": "announce", "bandwidth_mbit_s": 10.0, **FAULTS[kind]},
            "ledger": {"work": {"kind": "sampled", "interval_s": 10.0}},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = fedchain.run(scenario, Path(folder))
        seconds = time.perf_counter() - began
        chain = run.manifest["chain"]
    made = chain["main_blocks"] + chain["stale_blocks"]
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{kind:12s} {seconds:6.1f} s, {megabytes:5.0f} MB, {made} blocks found, "
        f"{chain['stale_blocks']} stale, {made * (nodes - 1) / seconds:8.0f} deliveries a second"
    )


if __name__ == "__main__":
    main()

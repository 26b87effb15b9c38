"""Time of a chain that learns nothing, and whether higher blocks take longer.

    python benchmarks/chain.py [--blocks 100000] [--nodes 10] [--json FILE]

The work is sampled, and the delay is a hundredth of the interval. Times the whole of ``fedchain
run``: events, ledger on disk, tables. Prints the microseconds of a block for every tenth of the
run. Linux only.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

from fedchain.machine import prepare

prepare()

from fedchain import run  # noqa: E402
from fedchain.runs.callbacks import Callback, RoundEnd  # noqa: E402
from fedchain.scenario import from_mapping  # noqa: E402
from fedchain.simulation.setup import RunSetup  # noqa: E402

PARTS = 10
"""Number of parts of the run that are timed separately."""


class Gauge(Callback):
    """Records the time at which each part of the run ends."""

    def __init__(self, blocks: int) -> None:
        self.every = max(1, blocks // PARTS)
        self.ends: list[float] = []

    def on_run_begin(self, folder: Path, setup: RunSetup) -> None:
        """Record the time at which the first block begins."""
        del folder, setup
        self.ends.append(time.perf_counter())

    def on_round_end(self, ended: RoundEnd) -> None:
        """Record the time of the first block that ends a part of the run."""
        if ended.record.round == len(self.ends) * self.every:
            self.ends.append(time.perf_counter())

    @property
    def microseconds(self) -> list[float]:
        """Mean time of a block in each part of the run, in microseconds."""
        pairs = zip(self.ends, self.ends[1:], strict=False)
        return [1e6 * (end - start) / self.every for start, end in pairs]


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=100_000, help="100000 by default")
    parser.add_argument("--nodes", type=int, default=10, help="10 by default")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    asked = parser.parse_args()
    scenario = from_mapping(
        {
            "version": 1,
            "name": "chain",
            "rounds": asked.blocks,
            "task": {"kind": "none"},
            "nodes": {"compute": asked.nodes},
            "network": {"latency_ms": {"kind": "constant", "value": 100}},
            "ledger": {"work": {"kind": "sampled", "interval_s": 10.0}},
        }
    )
    gauge, start = Gauge(asked.blocks), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        chain = run(scenario, folder, callbacks=[gauge]).manifest["chain"]
    seconds, spent = time.perf_counter() - start, gauge.microseconds
    used = resource.getrusage(resource.RUSAGE_SELF)
    for part, each in enumerate(spent, 1):
        print(f"up to block {part * gauge.every:7}  {each:6.0f} us a block")
    half = len(spent) // 2
    figures = {
        "blocks": asked.blocks,
        "nodes": asked.nodes,
        "seconds": round(seconds, 1),
        "processor_s": round(used.ru_utime + used.ru_stime, 1),
        "us_block": [round(each) for each in spent],
        "late_over_early": round(statistics.mean(spent[half:]) / statistics.mean(spent[:half]), 3),
        "stale_share": chain["stale_share"],
        "peak_mb": round(used.ru_maxrss * 1024 / 1e6),
    }
    print(
        f"{asked.blocks} blocks, {asked.nodes} compute nodes: {figures['seconds']} s in all, "
        f"{figures['processor_s']} s of processor, second half "
        f"{figures['late_over_early']} times the first, {figures['peak_mb']} MB"
    )
    if asked.json:
        asked.json.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()

"""Whether memory and time stay flat over many rounds of a small scenario.

    python benchmarks/rounds.py [--rounds 10000] [--json FILE]

The scenario has ten holders of the breast cancer table and three compute nodes. For every thousand
rounds, prints resident memory and the median milliseconds of a round. At the end, prints the
largest growth of memory after round 100, including the closing tables and the summary. Linux only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from fedchain.machine import prepare

prepare()

from fedchain import load, run  # noqa: E402
from fedchain.runs.callbacks import Callback, RoundEnd  # noqa: E402

SMALL = Path(__file__).parents[1] / "scenarios" / "breast_cancer.yaml"
SETTINGS = {
    "ledger.work.difficulty_bits": 4,
    "evaluate.every": 1000,
    "evaluate.samples": 0,
    "privacy": {"kind": "gaussian", "noise_multiplier": 100.0, "clip": 1.0},
}
SETTLED, STEP = 100, 1000
"""Round from which the growth of memory is measured; number of rounds in one line of the table."""


class Gauge(Callback):
    """Records memory and time of the rounds."""

    def __init__(self) -> None:
        self.resident: dict[int, float] = {}
        self.spent: list[float] = []
        self._since = time.perf_counter()

    def on_round_end(self, ended: RoundEnd) -> None:
        """Record a round."""
        record = ended.record
        now = time.perf_counter()
        self.spent.append(1000.0 * (now - self._since))
        self._since = now
        if record.round == SETTLED or record.round % STEP == 0:
            self.resident[record.round] = resident_mb()
            median = statistics.median(self.spent[-STEP:])
            resident = self.resident[record.round]
            print(f"round {record.round:6}  {resident:7.1f} MB  {median:6.2f} ms", flush=True)
        if record.round == SETTLED:
            Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here


def resident_mb() -> float:
    """Return the current resident memory of this process, in MB (10^6 bytes)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def peak_mb() -> float:
    """Return the largest resident memory of this process since round 100, in MB (10^6 bytes)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10_000, help=f"at least {SETTLED}")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    asked = parser.parse_args()
    gauge = Gauge()
    with tempfile.TemporaryDirectory() as folder:
        scenario = load(SMALL, set={**SETTINGS, "rounds": asked.rounds})
        run(scenario, folder, callbacks=[gauge]).summary()
    first, last, peak = gauge.resident[SETTLED], resident_mb(), peak_mb()
    early, late = gauge.spent[SETTLED : SETTLED + STEP], gauge.spent[-STEP:]
    figures = {
        "rounds": asked.rounds,
        "resident_mb_settled": first,
        "resident_mb_end": last,
        "resident_mb_peak": peak,
        "growth": last / first - 1,
        "growth_peak": peak / first - 1,
        "ms_first": statistics.median(early),
        "ms_last": statistics.median(late),
    }
    print(f"the end        {last:7.1f} MB: {figures['growth']:+.1%} since round {SETTLED}")
    print(f"at the highest {peak:7.1f} MB: {figures['growth_peak']:+.1%}")
    ratio = figures["ms_last"] / figures["ms_first"]
    print(f"the last thousand rounds took {ratio:.2f} times as long as the first")
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

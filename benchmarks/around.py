"""What a run pays beside its rounds, as ratios of processor time that are measured in one run.

    python benchmarks/around.py [--stale]

Prints how much faster a curve bounds epsilon after each round than the accountant composes anew,
how the tables of a report grow with the number of holders, what the answer of a finished run takes
beside the run, and how far estimates of the hashing time are apart. With ``--stale``, holds the
expected shares of stale blocks against measured runs, which takes some minutes. Linux only.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fedchain.machine import prepare

prepare()

from fedchain import load, run  # noqa: E402
from fedchain.forecasts.stale import expected_stale  # noqa: E402
from fedchain.nodes.compute.hashing import seconds_per_try  # noqa: E402
from fedchain.privacy.mechanisms import Mechanism, gaussian, knorm  # noqa: E402
from fedchain.reports.study import Recorded, Study  # noqa: E402
from fedchain.reports.tables import tabulate  # noqa: E402

ROUNDS, COUNTED = 300, 12
PROMISED = {"noise_multiplier": 4.0, "delta": 1e-4, "clip": 1.0}
MECHANISMS: dict[str, Callable[[], Mechanism]] = {
    "gaussian, sampled": lambda: gaussian(ROUNDS, 31, sampling_rate=0.2, **PROMISED),
    "gaussian, prv": lambda: gaussian(ROUNDS, 31, accountant="prv", **PROMISED),
    "knorm": lambda: knorm(ROUNDS, 31, **PROMISED),
}
WORKS = [(bits, nodes) for nodes in (3, 5) for bits in (0, 1, 2, 3, 4)]
STALE_ROUNDS = 120


def spent(act: Callable[..., object], *given: object) -> float:
    """Return the seconds of processor time that a call takes."""
    began = time.process_time()
    act(*given)
    return time.process_time() - began


def accounting() -> None:
    """Print the time of an epsilon by a curve and by the accountant."""
    for name, make in MECHANISMS.items():
        made = make()
        made.epsilon_bound(2), made.epsilon_after(2)  # builds what is built once
        counts = range(10, ROUNDS, ROUNDS // COUNTED)
        quick = statistics.median(spent(made.epsilon_bound, n) for n in counts)
        anew = statistics.median(spent(made.epsilon_after, n) for n in counts)
        most = max(made.epsilon_bound(n) / made.epsilon_after(n) - 1 for n in counts)
        print(f"epsilon, {name:18}  {anew / quick:6.1f} times as fast, at most {most:+.4%}")


def tables() -> None:
    """Print how the time of a report's tables grows with the number of holders."""
    few, many = (statistics.median(spent(_tables_of(n)) for _ in range(5)) for n in (500, 5000))
    print(f"tables of 5,000 holders    {many / few:6.1f} times as long as of 500")


def _tables_of(holders: int) -> Callable[[], object]:
    rows = [
        {"round": t, "holder": k, "used": True, "late": False, "attack": "", "epsilon": 1.0}
        for t in range(5)
        for k in range(holders)
    ]
    made = Recorded(folder=Path(), manifest={}, metrics=[], messages=rows)
    study = Study(folder=Path(), kind="run", name="", score="", runs=(made,))
    return lambda: tabulate(study)


def hashing() -> None:
    """Print how far estimates of the time of a try are apart."""
    found = []
    for _ in range(30):
        seconds_per_try.cache_clear()
        found.append(seconds_per_try())
    print(f"hashing, 30 estimates      {max(found) / min(found):6.2f} from least to largest")


def finished() -> None:
    """Print what the answer of a finished run takes, beside the run and beside --version."""
    with tempfile.TemporaryDirectory() as folder:
        asked = ["run", "breast_cancer", "--set", "rounds=20", "--out", folder]
        whole = _command(asked)
        (made,) = Path(folder).iterdir()
        least = _command(["--version"])
        answers = {
            "run": asked,
            "resume": ["resume", str(made)],
            "inspect": ["inspect", str(made), "block", "3"],
        }
        for name, words in answers.items():
            seconds = _command(words)
            print(
                f"{name + ', finished run':26} {seconds / whole:6.2f} of the run, "
                f"{seconds / least:.1f} times --version"
            )


def _command(words: list[str]) -> float:
    """Return the processor seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "fedchain", *words], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def stale() -> None:
    """Print expected and measured shares of stale blocks, for easy work."""
    for bits, nodes in WORKS:
        scenario = load(
            "breast_cancer",
            set={
                "rounds": STALE_ROUNDS,
                "nodes.compute": nodes,
                "ledger.work.difficulty_bits": bits,
                "privacy": {"kind": "none"},
                "evaluate.every": STALE_ROUNDS,
            },
        )
        with tempfile.TemporaryDirectory() as folder:
            measured = run(scenario, folder).manifest["chain"]["stale_share"]
        share = expected_stale(scenario).share
        print(
            f"stale, {nodes} nodes, {bits} bits      {share:.3f} expected, {measured:.3f} measured"
        )


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stale", action="store_true", help="also run scenarios of easy work")
    asked = parser.parse_args()
    for part in (accounting, tables, hashing, finished, *([stale] if asked.stale else ())):
        part()


if __name__ == "__main__":
    main()

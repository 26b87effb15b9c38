"""Files and functions of one round: those that a reader must open to follow the round.

    python benchmarks/round.py

Runs a scenario for four rounds and for six. The functions of fedchain that are called more often in
the longer run belong to a round, all others to the start or the end. Then names the files on the
way of one release, from the block that reaches a holder to the holder's signed message.
Comprehensions and lambdas are part of the function in which they are written.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import fedchain

PACKAGE = Path(fedchain.__file__).parent
SCENARIO = Path(__file__).parents[1] / "scenarios" / "breast_cancer.yaml"
FEWER, MORE = 4, 6
"""Rounds of the two runs."""
APART = ("ledger/", "network/")
"""Folders that a reader who trusts the chain and the links need not open."""
WAY = {"Simulation._act_on_holder", "HolderPool.__call__"}
"""Functions within which a release runs: on the simulation's thread, and on a worker's thread."""
BEYOND = {"Transport.post"}
"""Function that ends the way of a release: it sends the signed message."""
GRANTED = {
    "mathematics": ("learning/", "privacy/", "randomness.py", "transforms.py"),
    "bytes": ("ledger/chain/", "arrays.py"),
    "threads": ("engines/", "timing.py"),
}
"""Code that the way calls and that is not counted, since a reader may take it for granted."""


class Calls:
    """Counts the calls of fedchain's functions in all threads; an object for ``sys.setprofile``."""

    def __init__(self) -> None:
        """Start without any calls."""
        self.counts: Counter[CodeType] = Counter()
        """Number of calls of each function."""
        self.way: set[CodeType] = set()
        """Functions that were called on the way of a release."""

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Count one call."""
        code = frame.f_code
        named = not code.co_name.startswith("<")
        if event == "call" and named and code.co_filename.startswith(str(PACKAGE)):
            self.counts[code] += 1
            if code not in self.way and _is_on_the_way(frame):
                self.way.add(code)


def _is_on_the_way(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_qualname in BEYOND:
            return False
        if frame.f_code.co_qualname in WAY:
            return True
        frame = frame.f_back
    return False


def calls_of(rounds: int, scenario: Path) -> Calls:
    """Run a scenario for some rounds; return its calls."""
    calls = Calls()
    loaded = fedchain.load(scenario, set={"rounds": rounds})
    with tempfile.TemporaryDirectory() as folder:
        threading.setprofile(calls)
        sys.setprofile(calls)
        try:
            fedchain.run(loaded, folder, workers=1)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    return calls


def file_of(code: CodeType) -> str:
    """Return the file of a function, below the package."""
    return Path(code.co_filename).relative_to(PACKAGE).as_posix()


def counted(codes: set[CodeType]) -> str:
    """Return the numbers of files and functions, in words."""
    return f"{len({file_of(code) for code in codes}):3} files, {len(codes):3} functions"


def main() -> None:
    """Run twice, and print the counts and the names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", type=Path, default=SCENARIO, help="what is run")
    parser.add_argument("--names", action="store_true", help="print every function of a round")
    arguments = parser.parse_args()
    calls_of(1, arguments.scenario)  # fills the caches, which belongs to no round
    few, many = (calls_of(rounds, arguments.scenario) for rounds in (FEWER, MORE))
    round_ = {code for code, count in many.counts.items() if count > few.counts[code]}
    inner = {code for code in round_ if not file_of(code).startswith(APART)}
    granted = tuple(prefix for prefixes in GRANTED.values() for prefix in prefixes)
    way = {code for code in round_ & many.way if not file_of(code).startswith(granted)}
    print(f"one round                       {counted(round_)}")
    print(f"outside of ledger and network   {counted(inner)}")
    print(f"from a block to a message       {counted(way)}")
    for file in sorted({file_of(code) for code in way}):
        print(f"    {file}")
    if arguments.names:
        for file in sorted({file_of(code) for code in round_}):
            names = sorted(code.co_qualname for code in round_ if file_of(code) == file)
            print(f"{file}: {', '.join(names)}")


if __name__ == "__main__":
    main()

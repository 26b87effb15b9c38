"""Coverage-guided fuzzing of every function that reads bytes from outside.

    python benchmarks/fuzz.py [TARGET ..] [--inputs 1200000] [--keep FOLDER] [--json FILE]

Needs the extra ``fuzz``. The seeds are the bytes of a small run. An input must be read or be
refused with a declared error. An input that is read must encode to the same bytes again. Memory and
time of an input are bounded. Prints one line per target. ``--keep`` keeps the inputs that were
found; an input that failed is called TARGET-crash-HASH and can be read again by

    python benchmarks/fuzz_targets.py TARGET FOLDER/TARGET-crash-HASH 1

Linux only.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from fuzz_targets import RULES, SLOW, seeds

TARGETS = Path(__file__).with_name("fuzz_targets.py")


def shared(names: Sequence[str], inputs: int) -> dict[str, int]:
    """Return how many inputs each target gets: slow ones get fewer."""
    weights = {name: SLOW.get(name, 1.0) for name in names}
    return {name: round(inputs * w / sum(weights.values())) for name, w in weights.items()}


def fuzzed(name: str, corpus: Path, inputs: int) -> dict[str, object]:
    """Fuzz one target in a separate process, and return its figures."""
    command = [sys.executable, str(TARGETS), name, str(corpus), str(inputs)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    stats = dict(re.findall(r"^stat::(\w+):\s+(\d+)", done.stderr, re.MULTILINE))
    covered = re.findall(r"cov: (\d+)", done.stderr)
    failed = sorted(file.name for file in corpus.parent.glob(f"{name}-*"))
    if done.returncode and not failed:
        raise SystemExit(f"{name}: did not run:\n{done.stderr[-2000:]}")
    return {
        "target": name,
        "inputs": int(stats.get("number_of_executed_units", 0)),
        "seconds": round(time.perf_counter() - start, 1),
        "branches": int(covered[-1]) if covered else 0,
        "peak_mb": int(stats.get("peak_rss_mb", 0)),
        "failed": failed,
        "said": done.stderr[-4000:] if failed else "",
    }


def rows(names: Sequence[str], keep: Path, inputs: int) -> Iterator[dict[str, object]]:
    """Yield the figures of each target as soon as it is finished."""
    found = seeds()
    unknown = set(names) - set(found)
    if unknown:
        known = ", ".join(found)
        raise SystemExit(f"fuzz: no such target: {', '.join(sorted(unknown))}; there are {known}")
    (keep / RULES).write_bytes(found["rules"][0])
    for name, share in shared(names or list(found), inputs).items():
        corpus = keep / name
        corpus.mkdir(exist_ok=True)
        for number, seed in enumerate(found[name]):
            (corpus / f"seed{number}").write_bytes(seed)
        yield fuzzed(name, corpus, share)


def main() -> None:
    """Fuzz the targets one after the other, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", help="all by default")
    parser.add_argument("--inputs", type=int, default=1_200_000, help="of all targets together")
    parser.add_argument("--keep", type=Path, help="folder for what was found")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    asked = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print('fuzz: atheris is not installed; pip install -e ".[fuzz]"', file=sys.stderr)
        raise SystemExit(3)
    figures = []
    with tempfile.TemporaryDirectory(prefix="fedchain.") as place:
        keep = asked.keep or Path(place)
        keep.mkdir(parents=True, exist_ok=True)
        for row in rows(asked.targets, keep, asked.inputs):
            figures.append(row)
            print(
                f"{row['target']:9} {row['inputs']:>9,} inputs {row['seconds']:>6} s "
                f"{row['branches']:>6,} branches {row['peak_mb']:>5} MB "
                f"{len(row['failed'])} failed",
                flush=True,
            )
            if row["said"]:
                print(row["said"], file=sys.stderr)
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"{sum(row['inputs'] for row in figures):,} inputs in all")
    raise SystemExit(1 if any(row["failed"] for row in figures) else 0)


if __name__ == "__main__":
    main()

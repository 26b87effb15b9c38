"""Differential fuzzing of chain files: fedchain's verifier beside the second one.

    python benchmarks/fuzz_chain.py [--seed 0] [--mutants 2000] [--minutes 0] [--keep FOLDER]

Each mutant is a small chain made by hand (``hand_chain.py``) in which one thing is changed: a value
of the agreed text, its spelling, a field of a message, a header, a block or the file, or any byte.
What follows from the change (ids, signatures, roots, nonces, states, the digest) is made right
again, so that the checks behind it are reached. Both verifiers read the mutant. They must give the
same verdict, and refuse only by a declared error. Prints a line of counts for each kind of mutant,
and the first mutant on which they differ. The keys of the agreed text are those of the table in
docs/format.md. A mutant follows from seed and number alone. Exit code 1: there was a difference.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import chain_mutants
from verify_chain import chain, encoding

from fedchain.errors import FedchainError
from fedchain.ledger.tools.chain_file import verify_file
from fedchain.transition import steps_of

WORDS = ("accepted", "refused", "unknown", "crashed")


@dataclass(frozen=True)
class Verdict:
    """What a verifier said of a file."""

    word: str
    """accepted, refused, unknown (a rule that only fedchain knows) or crashed (another error)."""
    reason: str


def second_verdict(data: bytes) -> Verdict:
    """Return the verdict of the second verifier."""
    try:
        chain.verify(data)
    except encoding.Wrong as error:
        return Verdict("refused", str(error))
    except encoding.UnknownRule as error:
        return Verdict("unknown", str(error))
    except Exception as error:
        return Verdict("crashed", repr(error))
    return Verdict("accepted", "")


def fedchain_verdict(file: Path) -> Verdict:
    """Return the verdict of fedchain."""
    try:
        found = verify_file(file, steps_of(trust_user_parts=False))
    except FedchainError as error:
        return Verdict("refused", str(error))
    except Exception as error:
        return Verdict("crashed", repr(error))
    return Verdict("accepted" if found.ok else "refused", found.reason)


def differ(theirs: Verdict, ours: Verdict) -> bool:
    """Say whether two verdicts are a finding."""
    if "crashed" in (theirs.word, ours.word):
        return True
    return theirs.word != "unknown" and theirs.word != ours.word


@dataclass(frozen=True)
class Outcome:
    """A mutant and both verdicts."""

    kind: str
    number: int
    what: str
    data: bytes
    theirs: Verdict
    ours: Verdict

    @property
    def differs(self) -> bool:
        """Whether the verdicts are a finding."""
        return differ(self.theirs, self.ours)


def outcomes(seed: int, numbers: Iterator[int], folder: Path) -> Iterator[Outcome]:
    """Make mutants, and yield what both verifiers say of each.

    Args:
        seed: the seed of all draws.
        numbers: the mutants to make.
        folder: where files may be written.
    """
    file = folder / "mutant.fedchain"
    for number in numbers:
        kind, what, data = chain_mutants.mutant(random.Random(f"{seed}:{number}"))
        file.write_bytes(data)
        yield Outcome(kind, number, what, data, second_verdict(data), fedchain_verdict(file))


def numbers_until(mutants: int, minutes: float) -> Iterator[int]:
    """Yield numbers from 0 until there were enough, or the time is over."""
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    for number in itertools.count():
        if (not minutes and number >= mutants) or time.monotonic() > end:
            return
        yield number


def shown(outcome: Outcome) -> str:
    """Return the lines about a difference."""
    return (
        f"mutant {outcome.number} ({outcome.kind}): {outcome.what}\n"
        f"  second verifier: {outcome.theirs.word} {outcome.theirs.reason}\n"
        f"  fedchain:        {outcome.ours.word} {outcome.ours.reason}"
    )


def main() -> None:
    """Fuzz, and print counts and the first difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of all draws; 0 by default")
    parser.add_argument("--mutants", type=int, default=2000, help="how many; 2000 by default")
    parser.add_argument("--minutes", type=float, default=0.0, help="go on so long instead")
    parser.add_argument("--only", type=int, help="make this mutant alone, and show it")
    parser.add_argument("--keep", type=Path, help="folder for mutants with different verdicts")
    parser.add_argument("--json", type=Path, help="also write the counts here")
    asked = parser.parse_args()
    numbers = numbers_until(asked.mutants, asked.minutes)
    numbers = numbers if asked.only is None else iter([asked.only])
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    differences, start = 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fedchain.") as place:
        for outcome in outcomes(asked.seed, numbers, Path(place)):
            counts[outcome.kind][outcome.ours.word] += 1
            counts[outcome.kind]["different"] += outcome.differs
            counts[outcome.kind]["unknown"] += outcome.theirs.word == "unknown"
            if (outcome.differs and not differences) or asked.only is not None:
                print(shown(outcome), flush=True)
            differences += outcome.differs
            if outcome.differs and asked.keep:
                asked.keep.mkdir(parents=True, exist_ok=True)
                (asked.keep / f"{asked.seed}-{outcome.number}.fedchain").write_bytes(outcome.data)
                (asked.keep / f"{asked.seed}-{outcome.number}.txt").write_text(shown(outcome))
    for kind, found in sorted(counts.items()):
        told = ", ".join(f"{found[word]:,} {word}" for word in (*WORDS, "different"))
        print(f"{kind:8} {told}")
    total = sum(found[word] for found in counts.values() for word in WORDS if word != "unknown")
    seconds = time.monotonic() - start
    print(f"{total:,} mutants in {seconds:.0f} s, {differences} with different verdicts")
    if asked.json:
        asked.json.write_text(json.dumps({kind: dict(c) for kind, c in counts.items()}) + "\n")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()

"""Differential fuzzing of chain files: fedchain's verifier beside the second and the page's.

    python benchmarks/fuzz_chain.py [--seed 0] [--mutants 2000] [--only N] [--keep FOLDER]

Each mutant is a small chain made by hand (``hand_chain.py``) in which one thing is changed: a value
of the agreed text, its spelling, a field of a message, a header, a block or the file, or any byte.
Values of the agreed text lie at or beyond the bounds that the tables of docs/format.md state. In
sealed mutants everything that follows from the change (ids, signatures, roots, nonces, states, the
digest) is right again, so that the checks behind it are reached. Both verifiers read the mutant, on
all processors, and the browser's does where Node and the packages of web/ are here. They must give
the same verdict, refuse only by a declared error, and refuse what is beyond a bound; the browser's
must name the same block. Prints how often each reason to refuse of docs/format.md was met, the
share of sealed mutants, and every difference, whose file is kept. A mutant follows from seed and
number alone. Exit code 1: there was a difference.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import chain_mutants
from browser_verifier import BrowserVerifier, is_here
from format_tables import agreed_rows, parameter_rows, reasons, stands_in_a_rule
from verify_chain import chain, encoding

from fedchain.errors import FedchainError
from fedchain.ledger.tools.chain_file import verify_file
from fedchain.transition import steps_of

BATCH = 250
"""Number of mutants that a process makes at a time."""
FEW = 500
"""Up to so many mutants are made in this process, since others would take longer to start."""
MEMORY = "/dev/shm"
"""Folder in memory, on systems that have one: files there need no disk."""
MESSAGE = re.compile(r"message( [0-9a-f]{8})?: |bytes: |direction: |proof: |length: |text: ")
PART = re.compile(r"(?:rules: )?(aggregation|update)(?:\.of)*[.:] ?(\w*)")


@dataclass(frozen=True)
class Verdict:
    """What a verifier said of a file."""

    word: str
    """accepted, refused, unknown (a rule that only fedchain knows) or crashed (another error)."""
    reason: str
    block: str = ""
    """Hash of the block that is refused, where the verifier names it."""


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
    return Verdict("accepted" if found.ok else "refused", found.reason, found.block)


def page_verdict(verifier: BrowserVerifier, data: bytes) -> Verdict:
    """Return the verdict of the page's verifier."""
    try:
        found = verifier.verdict(data)
    except RuntimeError as error:
        return Verdict("crashed", str(error))
    if found.ok and found.not_checked:
        return Verdict("unknown", "; ".join(found.not_checked), found.block)
    return Verdict("accepted" if found.ok else "refused", found.reason, found.block)


def reason_of(text: str) -> str:
    """Return the name of the reason of docs/format.md that an error of fedchain gives."""
    key = re.match(r"rules: ([a-z_.]+): got", text)
    if key and key[1] in agreed_rows() and "an object with exactly" not in text:
        return f"rules: {key[1]}"
    about, part = "message" if MESSAGE.match(text) else "block", PART.match(text)
    if text.startswith(("rules: ", "file: ", "head: ")) or part:
        about = "rules" if part else text.partition(":")[0]
    if re.match(r"update(\.of)+: (needs a block|is missing)", text):
        return "update: of"
    for reason in reasons():
        pattern = ".*".join(map(re.escape, reason.words.split("..")))
        if about == reason.about and re.search(pattern, text):
            return f"{reason.about}: {reason.words}"
    return f"{part[1]}: {part[2]}" if part else f"not in the table: {text[:80]}"


def all_reasons() -> list[str]:
    """Return the names of all reasons that docs/format.md lists."""
    keys = [f"rules: {key}" for key in agreed_rows() if key not in ("model", "ledger")]
    parts = {
        f"{'aggregation' if stands_in_a_rule(kind) else 'update'}: {name}"
        for kind, rows in parameter_rows().items()
        for name in rows
    }
    return [*(f"{each.about}: {each.words}" for each in reasons()), *keys, *sorted(parts)]


@dataclass(frozen=True)
class Outcome:
    """A mutant and all verdicts."""

    number: int
    mutant: chain_mutants.Mutant
    theirs: Verdict
    ours: Verdict
    page: Verdict | None
    """None where Node is not here."""

    @property
    def differs(self) -> bool:
        """Whether the verdicts are a finding."""
        ours, others = self.ours.word, [self.theirs.word, *([self.page.word] if self.page else [])]
        words = (ours, *others)
        if "crashed" in words or (self.mutant.beyond and "accepted" in words):
            return True
        if self.page and self.page.word == ours and self.page.block != self.ours.block:
            return True
        return any(word not in ("unknown", ours) for word in others)

    def __str__(self) -> str:
        page = f"\n  page:            {self.page.word} {self.page.reason}" if self.page else ""
        return (
            f"mutant {self.number} ({self.mutant.kind}): {self.mutant.what}\n"
            f"  second verifier: {self.theirs.word} {self.theirs.reason}\n"
            f"  fedchain:        {self.ours.word} {self.ours.reason}{page}"
        )


@dataclass
class Counts:
    """What was found of many mutants."""

    words: collections.Counter[str]
    """Number of mutants by fedchain's verdict, ``sealed`` and ``unknown`` among them."""
    reasons: collections.Counter[str]
    """Number of refusals by their reason."""
    differing: list[Outcome]

    def add(self, other: Counts) -> None:
        """Add what was found of other mutants."""
        self.words += other.words
        self.reasons += other.reasons
        self.differing += other.differing


def outcomes(seed: int, numbers: Iterable[int], folder: Path) -> Iterator[Outcome]:
    """Make mutants, and yield what all verifiers say of each; files are written to a folder."""
    file = folder / "mutant.fedchain"
    with BrowserVerifier(folder) if is_here() else nullcontext() as page:
        for number in numbers:
            made = chain_mutants.mutant(random.Random(f"{seed}:{number}"))
            file.write_bytes(made.data)
            said = page_verdict(page, made.data) if page else None
            yield Outcome(number, made, second_verdict(made.data), fedchain_verdict(file), said)


def counted(seed: int, numbers: Iterable[int]) -> Counts:
    """Make mutants, and count what all verifiers say of them."""
    found = Counts(collections.Counter(), collections.Counter(), [])
    tempfile.tempdir = MEMORY if Path(MEMORY).is_dir() else None
    with tempfile.TemporaryDirectory(prefix="fedchain.") as place:
        for outcome in outcomes(seed, numbers, Path(place)):
            found.words["mutants"] += 1
            found.words[outcome.ours.word] += 1
            found.words["sealed"] += outcome.mutant.sealed
            found.words["unknown"] += outcome.theirs.word == "unknown"
            if outcome.ours.word == "refused":
                found.reasons[reason_of(outcome.ours.reason)] += 1
            if outcome.differs:
                found.differing.append(outcome)
    return found


def fuzzed(seed: int, mutants: int) -> Counts:
    """Make mutants on all processors, and count what both verifiers say of them."""
    if mutants <= FEW:
        return counted(seed, range(mutants))
    found, start = Counts(collections.Counter(), collections.Counter(), []), time.monotonic()
    batches = [range(at, min(at + BATCH, mutants)) for at in range(0, mutants, BATCH)]
    ways = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), ways) as pool:
        for done, part in enumerate(pool.map(counted, [seed] * len(batches), batches), 1):
            found.add(part)
            speed = found.words["mutants"] / (time.monotonic() - start)
            if done % 40 == 0:
                print(f"{found.words['mutants']:,} mutants, {speed:.0f} a second", flush=True)
    return found


def main() -> None:
    """Fuzz, and print counts and differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of all draws; 0 by default")
    parser.add_argument("--mutants", type=int, default=2000, help="how many; 2000 by default")
    parser.add_argument("--only", type=int, help="make this mutant alone, and show it")
    parser.add_argument("--keep", type=Path, default=Path("differences"), help="folder for them")
    asked, start = parser.parse_args(), time.monotonic()
    if asked.only is not None:
        with tempfile.TemporaryDirectory(prefix="fedchain.") as place:
            print(*outcomes(asked.seed, [asked.only], Path(place)))
        return
    found = fuzzed(asked.seed, asked.mutants)
    seconds, total = time.monotonic() - start, found.words["mutants"]
    listed = all_reasons()
    for name in [*listed, *sorted(found.reasons.keys() - set(listed))]:
        print(f"{found.reasons[name]:7,}  {name}")
    for outcome in found.differing:
        asked.keep.mkdir(parents=True, exist_ok=True)
        file = asked.keep / f"{asked.seed}-{outcome.number}.fedchain"
        file.write_bytes(outcome.mutant.data)
        print(f"{outcome}\n  kept as          {file}")
    told = ", ".join(f"{count:,} {word}" for word, count in sorted(found.words.items()))
    least = min(found.reasons[name] for name in listed)
    print(f"{told}; sealed {found.words['sealed'] / total:.0%}")
    print(f"{len(listed)} reasons to refuse, each met {least:,} times or more")
    print(f"{seconds:.0f} s, {total / seconds:.0f} mutants a second")
    print(f"{len(found.differing)} with different verdicts")
    sys.exit(1 if found.differing else 0)


if __name__ == "__main__":
    main()

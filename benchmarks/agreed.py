"""Overhead of what is agreed: whole cohorts, commitment, agreed text, signatures, declarations.

    python benchmarks/agreed.py [--scenario breast_cancer] [--rounds 40] [--repeats 5] [--json]

Runs a scenario as it stands, where blocks seldom fork, and with fast blocks on a slow network, in
turns. Each run times all of its rounds and the functions of ``PARTS``, so that every share is of
the same run. Times are CPU time of all threads, without what a timer itself takes: a thread that
waits costs nothing, and other programs change little. Prints the median of the repeats, a line for
each part, with its share of a round and of a round without the search for nonces. What is done once
per run is shared over its rounds. ``--json`` prints one object.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import statistics
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from fedchain.machine import prepare

prepare()  # before numpy reads how many threads one operation may take

from fedchain import commitment, load, run  # noqa: E402
from fedchain.ledger.chain import block, rules, validity, verdict_cache  # noqa: E402
from fedchain.ledger.storage import store  # noqa: E402
from fedchain.nodes.compute import compute_node  # noqa: E402
from fedchain.nodes.holders.adversary import Adversary  # noqa: E402
from fedchain.nodes.holders.holder_pool import HolderPool  # noqa: E402
from fedchain.simulation import setup  # noqa: E402
from fedchain.simulation.release_service import ReleaseService  # noqa: E402
from fedchain.simulation.simulation import Simulation  # noqa: E402

SLOW = {"kind": "lognormal", "median": 2500.0, "sigma": 0.8}
FORKING = {
    "network": {"kind": "complete", "latency_ms": SLOW},
    "ledger.work.interval_s": 1.0,
    "privacy.spare_releases": 200,
}
"""Fast blocks on a slow network: the next block is found before the last one is heard of."""
BOUND = 0.05
"""Largest share of a round that may remain beside rows that are never sent and signatures."""
PARTS: dict[str, tuple[tuple[Any, str], ...]] = {
    "rows": ((HolderPool, "__call__"),),
    "checks": ((verdict_cache, "_find_verdict"),),
    "search": ((compute_node, "search"),),
    "signing": ((compute_node, "sign_block"),),
    "signatures": ((block, "is_signature"),),
    "cohorts": ((ReleaseService, "_message"), (Adversary, "listen"), (Adversary, "hear")),
    "waiting": ((ReleaseService, "_compute"),),
    "declared": ((validity, "declaration_problem"), (validity, "zero_problem")),
    "text": (
        (setup, "rules_of"),
        (rules, "encode_rules"),
        (commitment, "encode_rules"),
        (store, "encode_rules"),
    ),
    "digest": ((setup, "held_data"),),
    "commitment": ((setup, "secrets_of"),),
}
"""The functions that are timed, by part. What one of them calls of another is not its own time."""
LINES = {
    "unsent": "rows never sent: gradient, noise, signature",
    "unused": "rows never sent: checks of their messages",
    "signing": "signing of blocks",
    "signatures": "checks of the signatures of blocks",
    "cohorts": "whole cohorts: bookkeeping",
    "declared": "checks of declarations",
    "text": "agreed text (once per run)",
    "digest": "digest of the data (once per run)",
    "commitment": "commitment and secret root (once per run)",
    "remains": "what remains: the last five lines",
}
"""The lines with a share of a round."""
REMAINING = ("cohorts", "declared", "text", "digest", "commitment")
"""The lines that together must stay below the bound."""


class Timers:
    """Calls and CPU seconds of functions by part, without those of timed functions inside them."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self._lock, self._thread = threading.Lock(), threading.local()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same, and is timed."""

        @functools.wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            outer, self._thread.inner = getattr(self._thread, "inner", 0.0), 0.0
            began = time.thread_time()
            try:
                return function(*given, **named)
            finally:
                spent = time.thread_time() - began
                with self._lock:
                    self.seconds[part] += spent - self._thread.inner
                    self.calls[part] += 1
                self._thread.inner = outer + spent

        return call

    def own(self, part: str, empty: float) -> float:
        """Return the seconds of a part without those of the timer, ``empty`` a call."""
        return max(0.0, self.seconds[part] - empty * self.calls[part])

    def empty(self) -> float:
        """Return the seconds that are counted for one call of a function that does nothing."""
        nothing = self.timed("nothing", lambda: None)
        for _ in range(10_000):
            nothing()
        return self.seconds["nothing"] / self.calls["nothing"]


def main() -> None:
    """Run in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", default="breast_cancer", help="what is run")
    for name, default in (("rounds", 40), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{default} by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    kinds: dict[str, dict[str, Any]] = {"as it stands": {}, "with forks": FORKING}
    for changes in kinds.values():  # fills caches, which belongs to no round
        measured(asked.scenario, 4, changes)
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for _ in range(asked.repeats):
        for kind, changes in kinds.items():
            found[kind].append(measured(asked.scenario, asked.rounds, changes))
    told = {kind: medians(each) for kind, each in found.items()}
    print(json.dumps(told) if asked.json else table(asked.scenario, told))


def measured(scenario: str, rounds_: int, changes: dict[str, Any]) -> dict[str, float]:
    """Run once; return what happened and the milliseconds of each part, both per round."""
    loaded = load(scenario, set={"rounds": rounds_, "evaluate.every": rounds_, **changes})
    timers, whole = Timers(), defaultdict[str, float](float)
    play, compute = Simulation.rounds, HolderPool.__call__

    def played(simulation: Simulation) -> Iterator[Any]:
        cpu, wall = time.process_time(), time.perf_counter()
        yield from play(simulation)
        whole["cpu"] += time.process_time() - cpu
        whole["wall"] += time.perf_counter() - wall

    def computed(pool: HolderPool, weights: Any, requests: Any) -> Any:
        whole["computed"] += sum(each.sent is None for each in requests)
        return compute(pool, weights, requests)

    with contextlib.ExitStack() as patches, tempfile.TemporaryDirectory() as folder:
        patches.enter_context(patch.object(HolderPool, "__call__", computed))
        patches.enter_context(patch.object(Simulation, "rounds", played))
        for part, places in PARTS.items():
            for owner, name in places:
                slow = timers.timed(part, getattr(owner, name))
                patches.enter_context(patch.object(owner, name, slow))
        made = run(loaded, folder, workers=1)
        sent = len({(message["block"], message["holder"]) for message in made.messages})
        stale = made.manifest["stale_blocks"]
    empty = timers.empty()
    spent = {part: timers.own(part, empty) for part in PARTS}
    unsent = 1.0 - sent / whole["computed"]
    spent |= {"unsent": unsent * spent["rows"], "unused": unsent * spent["checks"]}
    spent |= {"remains": sum(spent[part] for part in REMAINING)}
    counted = {"blocks": timers.calls["signing"], "stale": stale, "sent": sent}
    counted |= {"computed": whole["computed"], "declarations": timers.calls["declared"] // 2}
    times = {name: 1000.0 * spent[name] / rounds_ for name in LINES}
    whole["unsearched"] = whole["cpu"] - spent["search"]
    times |= {name: 1000.0 * whole[name] / rounds_ for name in ("wall", "cpu", "unsearched")}
    return {name: count / rounds_ for name, count in counted.items()} | times


def medians(found: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each value, and of the share of each line in its own run's rounds.

    The shares are of a round with and without the search for nonces, which no part makes longer.
    """
    told = {name: statistics.median(each[name] for each in found) for name in found[0]}
    for name in LINES:
        for whole, share in (("cpu", "share"), ("unsearched", "unsearched_share")):
            values = (each[name] / each[whole] for each in found)
            told[f"{name}_{share}"] = statistics.median(values)
    return told


def table(scenario: str, told: dict[str, dict[str, float]]) -> str:
    """Return the table in words."""
    title = f"{scenario}, per round (shares: of all, unsearched)"
    lines = [f"{title:58}" + "".join(f"{kind:>26}" for kind in told)]
    counts = {
        "blocks": "blocks signed",
        "stale": "stale blocks",
        "computed": "rows computed",
        "sent": "rows sent",
        "declarations": "declarations checked",
        "wall": "a round in all, wall time, ms",
        "cpu": "a round in all, CPU time, ms",
        "unsearched": "a round without the search for nonces, ms",
    }
    for name, words in counts.items():
        lines.append(f"{words:58}" + "".join(f"{each[name]:26.2f}" for each in told.values()))
    for name, words in LINES.items():
        keys = f"{name}_share", f"{name}_unsearched_share"
        cells = (
            f"{each[name]:.3f} ms" + "".join(f"{each[key]:8.2%}" for key in keys)
            for each in told.values()
        )
        lines.append(f"{words:58}" + "".join(f"{cell:>26}" for cell in cells))
    most = max(each["remains_unsearched_share"] for each in told.values())
    verdict = "within" if most <= BOUND else "above"
    return "\n".join(
        [*lines, f"what remains is {verdict} {BOUND:.0%} of a round, also without the search"]
    )


if __name__ == "__main__":
    main()

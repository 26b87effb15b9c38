"""Summaries of runs: what ``fedchain run`` prints, and sentences about a run that is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fedchain.results.finding import COUNTED, finding
from fedchain.results.folder import EVENTS
from fedchain.results.statuses import OVER, STOPPED
from fedchain.results.tables import attackers_share, capture_of, main_rounds

if TYPE_CHECKING:
    from fedchain.results.run import Run

NAMED = 6
"""Limit on the participants that a text names for each reason."""
SUMMARISED = (
    "status", "rounds", "height", "head", "stale_blocks", "reorganisations", "chain", "traffic",
    "silent", "refused", "evidence", "fooled", "misconduct", "score", "weights", "epsilon",
    "seconds", "peak_rss_mb",
)  # fmt: skip
"""Keys that a summary copies from the manifest."""


def summary_of(run: Run) -> dict[str, Any]:
    """Return the summary of the run that ``fedchain run --format json`` prints."""
    manifest = run.manifest
    measured: Mapping[str, Any] = {}
    messages = dict.fromkeys(COUNTED, 0)
    last, diverged = None, None
    for each in main_rounds(run.folder / EVENTS):
        measured = each["metrics"] or measured
        if diverged is None and each["metrics"].get("loss", 0.0) is None:
            diverged = each["round"]
        messages = {name: count + each[name] for name, count in messages.items()}
        last = each
    reached = manifest
    if last is not None and (manifest["status"] not in OVER or last["height"] < manifest["height"]):
        # The manifest of a run that was killed, or that goes on, says nothing of its rounds.
        epsilon = {**manifest["epsilon"], "total": last["epsilon"]}
        reached = {**manifest, "height": last["height"], "epsilon": epsilon}

    def rounds() -> Iterable[dict[str, Any]]:
        return main_rounds(run.folder / EVENTS) if messages["byzantine"] else ()

    return {
        "run": str(run.folder),
        "finding": finding(reached, measured, messages),
        **{name: manifest[name] for name in SUMMARISED},
        **{name: reached[name] for name in ("height", "epsilon")},
        "stopped": manifest.get("stopped"),
        "warnings": manifest.get("warnings", []),
        "diverged": diverged,
        "faults": manifest.get("faults", []),
        "metrics": {**measured, "baselines": manifest["baselines"]},
        "messages": messages,
        "byzantine_share": attackers_share(rounds()),
        "capture": capture_of(rounds()),
    }


def found_again(run: Run) -> str:
    """Return a line that says that a run had ended before, and that nothing was run now."""
    manifest = run.manifest
    told = f"{manifest['status'].replace('_', ' ')} on {manifest['ended']}, nothing was run"
    if manifest["status"] == STOPPED:
        rounds = f"round {manifest['height']} of {manifest['rounds']}"
        told += f"; it ended at {rounds} ({manifest['stopped']['reason']}): fedchain resume goes on"
    return f"{run.folder}: {told}"


def silent_words(silent: Mapping[str, Sequence[str]]) -> str:
    """Return a text with the reasons why participants could not send, and their names.

    >>> silent_words({"gradient is not finite": ["h0", "h3"]})
    'h0, h3: gradient is not finite'
    """
    return "; ".join(
        f"{', '.join(names[:NAMED])}{f' and {more} more' if more > 0 else ''}: {reason}"
        for reason, names in silent.items()
        for more in [len(names) - NAMED]
    )

"""Noise: draws the noise in the messages of each round beside what else is in them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

from fedchain.errors import RunRefused
from fedchain.files import read_json
from fedchain.reports.figures import style
from fedchain.reports.study import Recorded, Study

Norms = dict[int, tuple[float, float]]
"""Medians over the honest messages of a round, by round: expected norm of the noise, and norm."""


def noise_and_signal(study: Study) -> style.Drawing | None:
    """Plot the part of a message that noise makes up, and the rest, as areas over the rounds."""
    if study.kind == "sweep" or not (norms := _norms(study.first)):
        return None
    figure, ax = style.axes(2.3)
    edges = [*(t - 0.5 for t in norms), max(norms) + 0.5]
    noise, whole = zip(*norms.values(), strict=True)
    signal = [math.sqrt(max(all_**2 - n**2, 0.0)) for n, all_ in norms.values()]
    ax.stairs(noise, edges, fill=True, color=style.GREY, alpha=0.45, label="noise")
    ax.stairs(signal, edges, baseline=None, color=style.PALETTE[0], linewidth=1.4, label="signal")
    ax.stairs(whole, edges, baseline=None, color="black", linestyle="--", label="message")
    ax.set(xlabel="round", ylabel="norm (median)", xlim=(edges[0], edges[-1]))
    ax.set_ylim(bottom=0)
    style.whole_numbers(ax.xaxis)
    style.legend_below(figure, 3, ax.get_legend_handles_labels()[0])
    mean = statistics.median(n / all_ for n, all_ in norms.values() if all_)
    caption = (
        "Noise beside signal, as medians over honest holders: the expected norm of the noise in a "
        "message, the norm of the message, and the root of the difference of their squares, which "
        f"is what the data add. In the middle round, noise is {mean:.2f} of a message's norm."
    )
    return style.finished("noise_and_signal", caption, figure)


def _norms(run: Recorded) -> Norms:
    noise = _noise_norms(run)
    found: dict[int, list[tuple[float, float]]] = {}
    for row in run.messages:
        honest = row["members"] and not row["attack"]  # a public root adds no noise
        if honest and int(row["holder"]) < len(noise):
            pair = noise[int(row["holder"])], float(row["norm"])
            found.setdefault(int(row["round"]), []).append(pair)
    middle = statistics.median
    return {t: (middle(n for n, _ in p), middle(w for _, w in p)) for t, p in sorted(found.items())}


def _noise_norms(run: Recorded) -> list[float]:
    """Return the expected norm of the noise of each participant; empty if nothing is known."""
    try:
        known: Any = read_json(run.folder / "privacy.json")
    except FileNotFoundError:
        return []
    norms = known.get("noise_norm") if isinstance(known, Mapping) else None
    if not norms:
        return []
    if not isinstance(norms, list) or not all(isinstance(n, int | float) for n in norms):
        raise RunRefused(f"{run.folder / 'privacy.json'}: noise_norm must be numbers, got {norms}")
    return [float(norm) for norm in norms] if any(norms) else []

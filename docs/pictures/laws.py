"""Draws laws.png: chains that learn nothing, beside the published laws; some minutes.

python docs/pictures/laws.py [--blocks 4000] [--seeds 5]: every point is a mean over the seeds
with its 95 % interval, of runs with sampled work.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import fedchain
from fedchain.scenario import from_mapping
from fedchain.studies.figures.style import MARKERS, PALETTE, WIDTH_IN, Drawing, render, styled
from fedchain.studies.laws import double_spend, selfish_revenue, stale_share
from fedchain.studies.statistics import interval

HERE = Path(__file__).resolve().parent
INTERVAL_S, MINERS, OTHERS = 600.0, 30, 10
DELAYS = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5)
SHARES, GAMMAS = (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45), (0.0, 0.5)
DEPTHS, SPENDERS = (1, 2, 3, 4, 6), (0.1, 0.2, 0.3)


def chains(blocks: int, seeds: int, **block: Any) -> list[dict[str, Any]]:
    """Run a chain alone for every seed, and return the manifests."""
    told = []
    for seed in range(seeds):
        scenario = from_mapping(
            {
                "version": 1,
                "name": "law",
                "seed": seed,
                "rounds": blocks,
                "task": {"kind": "none"},
                "ledger": {"work": {"kind": "sampled", "interval_s": INTERVAL_S}},
                **block,
            }
        )
        with tempfile.TemporaryDirectory() as folder:
            told.append(fedchain.run(scenario, folder).manifest)
    return told


def attacked(share: float, **misconduct: Any) -> dict[str, Any]:
    """Return the blocks of a chain on which node 0 has this share and misbehaves."""
    powers = [share, *[(1 - share) / OTHERS] * OTHERS]
    return {
        "nodes": {"compute": [{"hash_share": power} for power in powers]},
        "attacks": [{**misconduct, "nodes": [0]}],
    }


def stale(axes: Axes, blocks: int, seeds: int) -> None:
    """Draw the stale share against the delay."""
    x = np.linspace(0.0, max(DELAYS), 100)
    axes.plot(x, [stale_share(each, MINERS) for each in x], color=PALETTE[0], label="x / (1 + x)")
    axes.plot(x, 1 - np.exp(-x), color=PALETTE[6], ls=":", label="1 - exp(-x), not the law")
    found = []
    for delay in DELAYS:
        latency = {"kind": "constant", "value": 1000.0 * INTERVAL_S * delay}
        told = chains(blocks, seeds, nodes={"compute": MINERS}, network={"latency_ms": latency})
        found.append([each["chain"]["stale_share"] for each in told])
    points(axes, DELAYS, found, 0, f"measured, {MINERS} equal nodes")
    axes.set(xlabel="delay / interval, x", ylabel="share of stale blocks")


def selfish(axes: Axes, blocks: int, seeds: int) -> None:
    """Draw the selfish miner's revenue against its share of work."""
    x = np.linspace(0.05, max(SHARES), 100)
    axes.plot(x, x, color=PALETTE[6], ls=":", label="honest")
    for number, gamma in enumerate(GAMMAS):
        axes.plot(x, [selfish_revenue(a, gamma) for a in x], color=PALETTE[number])
        found = []
        for share in SHARES:
            told = chains(blocks, seeds, **attacked(share, kind="selfish_mining", gamma=gamma))
            found.append([each["chain"]["nodes"][0]["main_share"] for each in told])
        points(axes, SHARES, found, number, f"gamma {gamma:g}: law and measured")
    axes.set(xlabel="share of work", ylabel="share of the main chain")


def spends(axes: Axes, blocks: int, seeds: int) -> None:
    """Draw the success of double spends against the confirmations."""
    for number, share in enumerate(SPENDERS):
        law = [double_spend(share, z) for z in DEPTHS]
        axes.plot(DEPTHS, law, color=PALETTE[number])
        found = []
        for depth in DEPTHS:
            told = chains(
                blocks, seeds, **attacked(share, kind="double_spend", confirmations=depth)
            )
            deeds = [each["misconduct"][0]["deeds"] for each in told]
            found.append([each.get("successes", 0) / each["attempts"] for each in deeds])
        points(axes, DEPTHS, found, number, f"share {share:g}: exact law and measured")
    axes.set(xlabel="confirmations", ylabel="double spends that succeed", yscale="log")


def points(
    axes: Axes, x: Sequence[float], found: list[list[float]], number: int, label: str
) -> None:
    """Draw means with their 95 % intervals over the seeds."""
    whole = [interval(values) for values in found]
    axes.errorbar(
        x,
        [each.mean for each in whole],
        [each.half for each in whole],
        fmt=MARKERS[number],
        color=PALETTE[number],
        elinewidth=0.8,
        label=label,
    )


def main() -> None:
    """Run the chains, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=4000, help="4000 by default")
    parser.add_argument("--seeds", type=int, default=5, help="5 by default")
    asked = parser.parse_args()
    with styled():
        figure = Figure(figsize=(3 * WIDTH_IN, 0.85 * WIDTH_IN), layout="constrained")
        for axes, draw in zip(figure.subplots(1, 3), (stale, selfish, spends), strict=True):
            draw(axes, asked.blocks, asked.seeds)
            axes.legend()
        drawing = Drawing("laws", "", figure)
        (HERE / "laws.png").write_bytes(render(drawing, "png"))


if __name__ == "__main__":
    main()

"""Laws: published formulas for proof-of-work chains, compared with the runs of a sweep."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fedchain.reports.assumptions import double_spend_flaw, selfish_flaw, stale_flaw
from fedchain.reports.study import Recorded, Study
from fedchain.statistics import Interval, interval

Setting = tuple[float, float, float | None]
"""The first and the second parameter of a law in one run, and the measured value or None."""


@dataclass(frozen=True, kw_only=True)
class ChainLaw:
    """A published formula with two parameters. The first is on the horizontal axis of a figure."""

    name: str
    """Name of the law's figure file and table file, without the ending."""
    caption: str
    """Caption of the figure, with the source of the law."""
    x: str
    """Label of the horizontal axis."""
    y: str
    """Label of the measured value."""
    fixed: str
    """Label of a curve, with a placeholder such as ``{:g}`` for the second parameter."""
    formula: Callable[[float, float], float]
    """A function that takes the two parameters and returns the law's value."""
    read: Callable[[Mapping[str, Any]], Setting | None]
    """A function that takes a run's manifest and returns its ``Setting``; None if the law does not
    apply to the run."""
    flaw: Callable[[Mapping[str, Any]], str]
    """A function that takes a run's manifest and returns the assumption that the run breaks; empty
    if the run breaks none."""
    counts: bool = False
    """Whether the horizontal axis has only whole numbers."""
    beside: tuple[str, Callable[[float], float]] | None = None
    """Label and formula of an additional curve; None: no additional curve."""


@dataclass(frozen=True)
class Compared:
    """The measurement and the law's value at one point of a sweep."""

    x: float
    """The law's first parameter."""
    fixed: float
    """The law's second parameter."""
    measured: Interval
    """Mean of the measured values over the seeds, with the 95 % interval."""
    formula: float
    """The law's value at this point."""


@dataclass(frozen=True)
class Comparison:
    """The comparison of a sweep with a law."""

    law: ChainLaw
    """The law."""
    points: tuple[Compared, ...]
    """The points of the sweep, sorted by the law's second parameter, then by the first."""
    flaw: str
    """The first assumption of the law that a run breaks; empty if no run breaks any."""


def compare(study: Study) -> Comparison | None:
    """Compare a sweep with the first law that applies to it; None if no law does.

    A law applies to a sweep if it applies to each run, and no two points have the same parameters
    of the law.
    """
    # Points with equal parameters differ in something that the law ignores.
    groups = list(study.groups().values())
    if study.kind == "sweep":
        for law in LAWS:
            points = list(_read_points(law, groups))
            places = {(point.fixed, point.x) for point in points}
            if len(points) == len(places) == len(groups):
                ordered = tuple(sorted(points, key=lambda point: (point.fixed, point.x)))
                flaws = (law.flaw(run.manifest) for run in study.runs)
                return Comparison(law, ordered, next((flaw for flaw in flaws if flaw), ""))
    return None


def _read_points(law: ChainLaw, groups: list[list[Recorded]]) -> Iterator[Compared]:
    for runs in groups:
        read = [law.read(run.manifest) for run in runs]
        values = [each[2] for each in read if each is not None and each[2] is not None]
        if read[0] is not None and len(values) == len(runs):
            x, fixed, _ = read[0]
            yield Compared(x, fixed, interval(values), law.formula(x, fixed))


def _stale(manifest: Mapping[str, Any]) -> Setting | None:
    scenario = manifest["scenario"]
    if not _bare(scenario, []):
        return None
    latency = scenario["network"].get("latency_ms", {})
    if scenario["network"]["kind"] != "complete" or latency.get("kind") != "constant":
        return None
    delay = latency["value"] / 1000.0 / scenario["ledger"]["work"]["interval_s"]
    miners = len(manifest["chain"]["nodes"])
    return delay, float(miners), float(manifest["chain"]["stale_share"])


def _selfish(manifest: Mapping[str, Any]) -> Setting | None:
    if not _bare(manifest["scenario"], ["selfish_mining"]):
        return None
    (attack,) = manifest["scenario"]["attacks"]
    nodes = manifest["chain"]["nodes"]
    own = nodes[attack["nodes"][0]]
    others = len(nodes) - 1
    if not others:
        return None
    # The honest node that found the rival block builds on it, so the attacker can win over only
    # the others.
    gamma = min(attack["gamma"], 1.0 - 1.0 / others)
    return own["hash_share"], gamma, float(own["main_share"])


def _double(manifest: Mapping[str, Any]) -> Setting | None:
    if not _bare(manifest["scenario"], ["double_spend"]):
        return None
    (attack,) = manifest["scenario"]["attacks"]
    deeds = manifest["misconduct"][0]["deeds"]
    share = manifest["chain"]["nodes"][attack["nodes"][0]]["hash_share"]
    tried = deeds.get("attempts", 0)
    won = deeds.get("successes", 0) / tried if tried else None
    return float(attack["confirmations"]), share, won


def _bare(scenario: Mapping[str, Any], attacks: list[str]) -> bool:
    """Return whether a scenario learns nothing and has exactly these attacks, each by one node."""
    made = scenario["attacks"]
    alone = all(len(attack.get("nodes", ())) == 1 for attack in made)
    kinds = [each["kind"] for each in made]
    return bool(scenario["task"]["kind"] == "none" and alone and kinds == attacks)


def stale_share(delay: float, miners: int | None = None) -> float:
    """Return the share of all blocks that are stale, for miners with equal shares of the work.

    The share is from 0 to below 1. For very many miners, it is delay / (1 + delay). For few miners,
    the formula has an error of order 1 / miners^2.

    Args:
        delay: travel time of a block between two miners, divided by the mean time between two
            blocks, 0 or more.
        miners: number of miners, at least 1; None: very many.

    >>> round(stale_share(0.3), 4), round(stale_share(0.3, 20), 4), stale_share(0.3, 1)
    (0.2308, 0.2191, 0.0)
    """
    if miners is None:
        return delay / (1.0 + delay)
    # With n miners and N blocks found in a delay (Poisson), one height lasts
    # T = sum_j P(N >= j) prod_{i<=j} (1 - i/n) mean intervals, and the share is 1 - 1/T. This
    # neglects that two heights may be found in one delay.
    lasts, alone, exactly, at_least = 0.0, 1.0, math.exp(-delay), 1.0
    for found in range(miners):
        lasts += alone * at_least
        at_least, exactly = at_least - exactly, exactly * delay / (found + 1)
        alone *= 1.0 - (found + 1) / miners
    return 1.0 - 1.0 / lasts


def selfish_revenue(share: float, gamma: float) -> float:
    """Return the selfish miner's share of the blocks in the main chain, from 0 to below 1.

    Args:
        share: the selfish miner's share of all work, 0 to below 1/2.
        gamma: share of the honest work that builds on the selfish miner's block in a tie, 0 to 1.

    Reference:
        Eyal and Sirer, Majority is not Enough: Bitcoin Mining is Vulnerable, 2014, equation (8).

    >>> round(selfish_revenue(0.3, 0.0), 4), round(selfish_revenue(0.25, 0.5), 4)
    (0.2731, 0.25)
    """
    a = share
    gained = a * (1 - a) ** 2 * (4 * a + gamma * (1 - 2 * a)) - a**3
    return gained / (1 - a * (1 + (2 - a) * a))


def double_spend_success(share: float, confirmations: int) -> float:
    """Return the exact probability that a double spend succeeds, with one block mined in advance.

    Args:
        share: the attacker's share of all work, 0 to below 1/2.
        confirmations: number of blocks that confirm the payment before the merchant delivers, at
            least 1.

    Reference:
        Rosenfeld, Analysis of Hashrate-Based Double Spending, 2014, equation (1).

    >>> round(double_spend_success(0.1, 2), 4), round(double_spend_success(0.3, 6), 7)
    (0.056, 0.1564496)
    """
    q, p, z = share, 1.0 - share, confirmations
    return 1.0 - math.fsum(math.comb(k + z - 1, k) * (p**z * q**k - q**z * p**k) for k in range(z))


LAWS = (
    ChainLaw(
        name="stale_share_against_delay",
        caption="Share of the blocks that end beside the main chain, among equal miners. The "
        "dotted curve is x / (1 + x), for very many miners; the others are for few miners, who "
        "need not wait for their own blocks",
        x="delay / mean interval of blocks, x",
        y="stale share of all blocks",
        fixed="{:g} miners",
        formula=lambda x, miners: stale_share(x, round(miners)),
        read=_stale,
        flaw=stale_flaw,
        beside=("x / (1 + x), many miners", stale_share),
    ),
    ChainLaw(
        name="selfish_revenue_against_share",
        caption="The selfish miner's share of the main chain. γ is the share of the honest work "
        "that takes the attacker's side in a tie; among n equal honest nodes it is at most "
        "1 - 1/n, since the finder of a block builds on it. The solid curves are equation (8) of "
        "Eyal and Sirer (2014), the dotted line is an honest miner's share",
        x="share of all work",
        y="share of the main chain",
        fixed="γ = {:g}",
        formula=selfish_revenue,
        read=_selfish,
        flaw=selfish_flaw,
        beside=("honest", lambda share: share),
    ),
    ChainLaw(
        name="double_spends_against_confirmations",
        caption="Share of the attempted double spends that succeed, by the attacker's share of all "
        "work. The lines are the exact probability (Rosenfeld 2014, one block mined in advance)",
        x="confirmations",
        y="double spends that succeed",
        fixed="share {:.3g}",
        formula=lambda depth, share: double_spend_success(share, round(depth)),
        read=_double,
        flaw=double_spend_flaw,
        counts=True,
    ),
)
"""All laws, in the order in which ``compare`` tries them."""

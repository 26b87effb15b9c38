"""Sweeps of chains beside the published laws; the manifests are made up."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedchain.reports.assumptions import QUIET
from fedchain.reports.figures.chains import measured_against_law
from fedchain.reports.laws import compare, double_spend_success, selfish_revenue, stale_share
from fedchain.reports.study import Recorded, Study
from fedchain.reports.tables import tabulate


def manifest(*, shares: tuple[float, ...] = (0.25,) * 4, **changed: Any) -> dict[str, Any]:
    """A chain alone, quiet, with a constant delay of a 600th of an interval."""
    nodes = [{"hash_share": s, "main_share": 0.4, "node": n} for n, s in enumerate(shares)]
    scenario = {
        "task": {"kind": "none"},
        "network": {"kind": "complete", "latency_ms": {"kind": "constant", "value": 1000.0}},
        "gossip": dict(QUIET),
        "ledger": {"work": {"interval_s": 600.0, "retarget_window": 0}},
        "attacks": [],
        **{key: value for key, value in changed.items() if key != "deeds"},
    }
    told = [{"deeds": changed.get("deeds", {})}]
    chain = {"nodes": nodes, "stale_share": 0.1}
    return {"scenario": scenario, "chain": chain, "misconduct": told}


def study(*manifests: dict[str, Any], kind: Any = "sweep") -> Study:
    runs = [Recorded(folder=Path(), manifest=each, metrics=[], messages=[]) for each in manifests]
    placed = tuple(replace(run, values=(float(place),)) for place, run in enumerate(runs))
    return Study(
        folder=Path(), kind=kind, name="law", score="", runs=placed, keys=("key",), x="key"
    )


def latency(value: float) -> dict[str, Any]:
    return {"kind": "complete", "latency_ms": {"kind": "constant", "value": value}}


def attack(kind: str, **more: Any) -> list[dict[str, Any]]:
    own = {"selfish_mining": {"gamma": 0.5}, "double_spend": {"confirmations": 3, "gives_up": 20}}
    whole = {"nodes": [0], "from_round": 1, "to_round": None}
    return [{"kind": kind, **whole, **own.get(kind, {}), **more}]


def test_stale_blocks_stand_over_the_delay_in_intervals() -> None:
    quick, slow = manifest(network=latency(60e3)), manifest(network=latency(300e3))
    found = compare(study(slow, quick))
    assert found is not None
    assert found.law.name == "stale_share_against_delay"
    assert [point.x for point in found.points] == [0.1, 0.5]
    assert [point.formula for point in found.points] == [stale_share(0.1, 4), stale_share(0.5, 4)]
    assert found.points[0].measured.mean == 0.1
    assert not found.flaw


def test_the_selfish_miner_wins_over_all_but_the_finder_of_the_other_block() -> None:
    shares = (0.2, *[0.2] * 4)
    found = compare(study(manifest(shares=shares, attacks=attack("selfish_mining", gamma=1.0))))
    assert found is not None
    assert not found.flaw
    (point,) = found.points
    assert (point.x, point.fixed, point.measured.mean) == (0.2, 0.75, 0.4)
    assert point.formula == selfish_revenue(0.2, 0.75)


def test_double_spends_are_those_that_succeed_among_those_tried() -> None:
    made = attack("double_spend", confirmations=3)
    deeds = {"attempts": 8, "successes": 2}
    found = compare(study(manifest(attacks=made, deeds=deeds)))
    assert found is not None
    assert not found.flaw
    (point,) = found.points
    assert (point.x, point.fixed, point.measured.mean) == (3.0, 0.25, 0.25)
    assert point.formula == double_spend_success(0.25, 3)
    assert compare(study(manifest(attacks=made, deeds={"attempts": 0}))) is None


@pytest.mark.parametrize(
    "other",
    [
        {"task": {"kind": "digits"}},
        {"network": {"kind": "ring", "latency_ms": {"kind": "constant", "value": 1000.0}}},
        {"attacks": attack("withholding")},
        {"attacks": attack("selfish_mining", gamma=0.5) * 2},
    ],
)
def test_no_law_speaks_of_a_sweep_with_a_run_that_it_does_not_know(other: dict[str, Any]) -> None:
    assert compare(study(manifest(network=latency(5000.0)), manifest(**other))) is None


RELAYED = {"gossip": {**QUIET, "relay": "announce"}}
LATE = {"gossip": {**QUIET, "late_joiners": {"share": 0.5, "at_s": 100.0}}}
RETARGETED = {"ledger": {"work": {"interval_s": 600.0, "retarget_window": 2}}}
STALE: dict[str, Any] = {"attacks": []}
SELFISH = {"attacks": attack("selfish_mining"), "shares": (0.25, *[0.15] * 5)}
DOUBLE = {"attacks": attack("double_spend"), "deeds": {"attempts": 8, "successes": 2}}
SLOW = {"network": latency(600e3)}
WIDE = {"kind": "complete", "latency_ms": {"kind": "lognormal", "median": 400.0, "sigma": 1.0}}


@pytest.mark.parametrize(
    ("made", "other", "words"),
    [
        *((made, RELAYED, 'gossip.relay is not "push"') for made in (STALE, SELFISH, DOUBLE)),
        *((made, LATE, "gossip.late_joiners is not null") for made in (STALE, SELFISH, DOUBLE)),
        *((made, RETARGETED, "changes every 2 blocks") for made in (STALE, SELFISH, DOUBLE)),
        (STALE, {"shares": (0.7, 0.1, 0.1, 0.1)}, "different shares"),
        (SELFISH, {"shares": (0.2, 0.5, 0.3)}, "different shares"),
        *(
            (made, SLOW, "travels for up to 600 s, more than 1% of the 600")
            for made in (SELFISH, DOUBLE)
        ),
        (SELFISH, {"network": WIDE}, "travels for up to 8.03421 s"),
        (SELFISH, {"network": {"kind": "complete", "latency_ms": {"kind": "my:own"}}}, "unknown"),
        (SELFISH, {"network": {**latency(1.0), "kind": "ring"}}, "is ring, not complete"),
        (SELFISH, {"attacks": attack("selfish_mining", from_round=900)}, "the whole run"),
        (DOUBLE, {"attacks": attack("double_spend", to_round=900)}, "the whole run"),
        (SELFISH, {"shares": (0.6, 0.2, 0.2)}, "0.6 of all work"),
        (DOUBLE, {"attacks": attack("double_spend", gives_up=2)}, "gives up when it is 2 blocks"),
    ],
)
def test_a_law_is_drawn_only_for_runs_that_fulfil_its_assumptions(
    made: dict[str, Any], other: dict[str, Any], words: str
) -> None:
    kept = compare(study(manifest(**made)))
    assert kept is not None
    assert not kept.flaw
    there = study(manifest(**{**made, **other}))
    found = compare(there)
    assert found is not None
    assert words in found.flaw
    drawing = measured_against_law(there)
    assert drawing is not None
    assert words in drawing.caption
    points = drawing.figure.axes[0].lines[0]
    assert list(points.get_ydata()) == [found.points[0].measured.mean]
    assert not any("law" in line.get_label() for line in drawing.figure.axes[0].lines)
    (table,) = tabulate(there)
    assert words in table.caption
    assert [key for key, _ in table.columns] == ["curve", "x", "n", "measured"]


def test_no_law_speaks_where_something_else_is_varied_or_nothing() -> None:
    assert compare(study(manifest(), manifest())) is None  # one place, two points
    assert compare(study(manifest(), kind="run")) is None


def test_the_figure_and_the_table_show_what_was_measured_beside_the_law() -> None:
    found = study(manifest(network=latency(300e3)), manifest(network=latency(60e3)))
    drawing = measured_against_law(found)
    assert drawing is not None
    law, points, *_ = drawing.figure.axes[0].lines[1:]
    assert list(points.get_ydata()) == [0.1, 0.1]
    assert law.get_ydata()[-1] == pytest.approx(stale_share(0.5, 4), rel=1e-12)
    assert "over 1 seed," in drawing.caption
    (table,) = tabulate(found)
    assert [row[-1] for row in table.rows] == [stale_share(0.1, 4), stale_share(0.5, 4)]


@pytest.mark.parametrize(("delay", "miners"), [(0.8, 3), (0.5, 20)])
def test_the_law_of_few_miners_is_what_a_race_of_so_many_gives(delay: float, miners: int) -> None:
    draw, blocks = random.Random(1), 40_000
    own, sent, now, heard = [0] * miners, [], 0.0, 0
    top, place = 0, 0
    for _ in range(blocks):
        now += draw.expovariate(1.0)
        while place < len(sent) and sent[place][0] + delay <= now:
            heard, place = max(heard, sent[place][1]), place + 1
        miner = draw.randrange(miners)
        own[miner] = max(own[miner], heard) + 1
        sent.append((now, own[miner]))
        top = max(top, own[miner])
    spread = 4 * math.sqrt(0.25 / blocks)
    assert abs((1 - top / blocks) - stale_share(delay, miners)) < spread

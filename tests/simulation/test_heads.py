"""The heads of compute nodes, written down where nodes can be cut off."""

from __future__ import annotations

from pathlib import Path

from fedchain import resume, run
from fedchain.reports.figures.run import heads_over_time, stays_of
from fedchain.reports.opening import open_study
from fedchain.reports.study import Recorded
from fedchain.scenario import from_mapping

CHAIN = {
    "version": 1,
    "name": "heads",
    "seed": 0,
    "task": {"kind": "none"},
    "nodes": {"compute": 6},
    "ledger": {"work": {"kind": "sampled", "interval_s": 10.0}},
}
"""A chain alone: six nodes, a block every ten seconds."""


def test_a_node_stays_at_a_head_until_the_next_one_comes() -> None:
    # genesis - aa - bb      node 0 stays at aa, node 1 changes over from xx to bb
    #    |
    #    +- xx
    heads = [
        {"round": 1, "node": 0, "time_s": 2.0, "block": "aa"},
        {"round": 1, "node": 1, "time_s": 3.0, "block": "xx"},
        {"round": 2, "node": 1, "time_s": 9.0, "block": "bb"},
    ]
    run_ = Recorded(
        folder=Path(),
        manifest={},
        metrics=[{"block": "aa"}, {"block": "bb"}],
        messages=[],
        heads=heads,
    )
    assert list(stays_of(run_, 0)) == [(2.0, 9.0, 1, True)]
    assert list(stays_of(run_, 1)) == [(3.0, 9.0, 1, False), (9.0, 9.0, 2, True)]


def test_two_halves_have_two_heads_until_they_meet_and_one_at_the_end(tmp_path: Path) -> None:
    # genesis - .. -+- ..      one half, from 60 to 200 s
    #               |
    #               +- ..      the other half: stale when they meet
    apart = [{"from_s": 60.0, "to_s": 200.0, "share": 0.5}]
    scenario = from_mapping({**CHAIN, "rounds": 40, "gossip": {"partitions": apart}})
    done = run(scenario, tmp_path)
    last = {row["node"]: row["block"] for row in done.heads}
    assert last == dict.fromkeys(range(6), done.manifest["head"])
    at_healing = {r["node"]: r["block"] for r in done.heads if r["time_s"] < 200.0}
    assert len(set(at_healing.values())) >= 2
    assert [row["time_s"] for row in done.heads] == sorted(row["time_s"] for row in done.heads)
    drawing = heads_over_time(open_study(done.folder))
    assert drawing is not None
    assert len(drawing.figure.axes[0].patches) == 6
    events = done.events
    (done.folder / "events.ndjson").write_bytes(
        b"".join((done.folder / "events.ndjson").read_bytes().splitlines(keepends=True)[:20])
    )
    manifest = (done.folder / "manifest.json").read_text()
    (done.folder / "manifest.json").write_text(manifest.replace('"finished"', '"interrupted"', 1))
    assert [e for e in resume(done.folder).events if e["event"] == "head"] == [
        e for e in events if e["event"] == "head"
    ]


def test_a_run_whose_nodes_are_never_cut_off_writes_no_heads(tmp_path: Path) -> None:
    done = run(from_mapping({**CHAIN, "rounds": 3}), tmp_path)
    assert done.heads == []
    assert heads_over_time(open_study(done.folder)) is None

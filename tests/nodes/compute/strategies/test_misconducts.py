"""Every misconduct in a small learning task: what the honest nodes did, as the user sees it."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pytest
import typer
from rich.console import Console
from small_runs import SLOW, small
from whole_numbers import WHOLE, whole_numbers

from fedchain.commands.explorer import look
from fedchain.commands.terminal import closing_lines, held_against
from fedchain.ledger.chain.block import Block, decode_header
from fedchain.ledger.storage.store import Store
from fedchain.nodes.compute.strategy import strategies
from fedchain.results import LEDGER, Run
from fedchain.runs.callbacks import Callback
from fedchain.runs.running import resume, run
from fedchain.scenario import Scenario, run_name

ROUNDS = 6
LIAR = 1
POWER = [{"hash_share": 1}, {"hash_share": 3}, {"hash_share": 1}, {"hash_share": 1}]
"""The liar has half of the work, and three honest nodes judge it."""
HONEST = [0, 2, 3]


@pytest.fixture(scope="module", autouse=True)
def alike_on_any_processor():
    with whole_numbers():
        yield


def scenario(kind: str, **parameters: object) -> Scenario:
    overrides = {k: parameters.pop(k) for k in list(parameters) if "." in k or k == "seed"}
    if parameters.pop("network", None):
        overrides["network"] = SLOW
    attack = {"kind": kind, "nodes": [LIAR], **parameters}
    overrides = {"privacy": WHOLE, "nodes.compute": POWER, **overrides}
    return small(ROUNDS, attacks=[attack], **overrides)


@functools.cache
def ran(kind: str, *pairs: tuple[str, object]) -> Run:
    return run(scenario(kind, **dict(pairs)), tempfile.mkdtemp(), workers=1)


@functools.cache
def blocks(found: Run) -> tuple:
    with Store.open(found.folder / LEDGER, writable=False) as store:
        return tuple(store.blocks())


def deeds(found: Run) -> dict[str, int]:
    (said,) = found.manifest["misconduct"]
    assert said["node"] == LIAR
    return said["deeds"]


def shown(found: Run, *what: str) -> dict:
    return look(found.folder, *(*what, None, None)[:2])[0]


LIES = [
    ("wrong_weights", (), "weights_hash: weights are not the aggregate of its messages"),
    (
        "wrong_weights",
        (("by", "replaced"),),
        "weights_hash: weights are not the aggregate of its messages",
    ),
    ("bad_time", (), "and at most"),
    ("bad_time", (("ahead_s", -1e6),), "time_ms: is 0; must be above"),
    ("empty_blocks", (), "messages: got 0; must be 8 (the quorum) to 10"),
]


@pytest.mark.parametrize(("kind", "parameters", "reason"), LIES)
def test_every_honest_node_refuses_every_lie_and_inspect_says_why(kind, parameters, reason):
    found = ran(kind, *parameters)
    lies = deeds(found)["invalid blocks"]
    assert lies > 0
    told = shown(found, "refusals")["refusals"]
    assert len(told) == lies
    for row in told:
        assert reason in row["reason"]
        assert (row["what"], row["maker"], row["nodes"]) == ("block", LIAR, HONEST)
    assert found.manifest["refused"] == 3 * lies
    assert all(row["miner"] != LIAR for row in found.metrics)
    assert found.manifest["status"] == "finished"
    assert found.verify().ok


def test_lies_cost_no_release_while_objections_are_faster_than_gradients():
    found = ran("wrong_weights")
    assert deeds(found)["invalid blocks"] > 0
    assert found.manifest["fooled"] == 0


def test_where_objections_come_late_releases_are_wasted_and_counted_and_the_chain_goes_on():
    found = ran("wrong_weights", ("network", "slow"), ("privacy.spare_releases", 12))
    assert found.manifest["status"] == "finished"
    lies = deeds(found)["invalid blocks"]
    assert 0 < found.manifest["fooled"] <= 10 * lies


def test_an_honest_node_that_is_lied_to_shows_it_in_its_own_view():
    found = ran("wrong_weights")
    liar, honest = shown(found, "node", "c1"), shown(found, "node", "c0")
    assert liar["misconduct"][0]["kind"] == "wrong_weights"
    assert len(liar["refused_by_others"]) == deeds(found)["invalid blocks"]
    assert honest["refused"] == deeds(found)["invalid blocks"]
    assert honest["misconduct"] == honest["refused_by_others"] == []


def keys_in(found: Run, holders: list[int]) -> dict[str, int]:
    """Messages of some holders in the main chain, by who made the block: the liar or another."""
    of = {row["id"] for row in found.messages if row["holder"] in holders}
    miners = {row["block"]: row["miner"] for row in found.metrics}
    counts = {"liar": 0, "others": 0}
    for block in blocks(found):
        maker = miners.get(block_name(block))
        if maker is not None:
            who = "liar" if maker == LIAR else "others"
            counts[who] += sum(message.id.hex() in of for message in block.messages)
    return counts


def block_name(block) -> str:

    return block.header.hash.hex()


def test_a_censor_leaves_out_whom_it_chose_and_its_block_is_valid():
    found = ran("censorship", ("holders", (0, 4)), ("seed", 1))
    counts = keys_in(found, [0, 4])
    assert counts["liar"] == 0 < counts["others"]
    assert deeds(found)["messages left out"] > 0
    assert (found.manifest["refused"], found.verify().ok) == (0, True)


def test_the_quorum_makes_a_censor_carry_whom_it_would_leave_out():
    found = ran("censorship", ("holders", (0, 1, 2, 3, 4)))
    by_liar = [row for row in found.metrics if row["miner"] == LIAR]
    assert by_liar
    assert {row["messages"] for row in by_liar} == {8}
    assert deeds(found)["censored messages carried for the quorum"] >= 3 * len(by_liar)


def test_who_carries_as_little_as_possible_carries_the_quorum():
    found = ran("empty_blocks", ("carry", "quorum"))
    by_liar = [row for row in found.metrics if row["miner"] == LIAR]
    assert by_liar
    assert {row["messages"] for row in by_liar} == {8}
    assert found.manifest["refused"] == 0


@pytest.mark.parametrize("kind", ["stale_parents", "withholding"])
def test_blocks_on_stale_parents_and_late_ones_are_valid_and_end_as_stale(kind):
    found = ran(kind)
    done = sum(deeds(found).values())
    assert done > 0
    last = found.metrics[-1]["miner"] == LIAR  # which no block decides against: hashes do
    assert shown(found, "node", "c1")["stale_blocks"] >= done - 1 - last
    assert found.manifest["refused"] == 0
    assert found.manifest["stale_blocks"] >= done - 1  # a late one may win an equal race
    assert found.verify().ok


def test_two_blocks_on_one_parent_are_evidence_that_every_honest_node_holds():
    found = ran("equivocation")
    pairs = deeds(found)["pairs of blocks"]
    assert found.manifest["evidence"] == pairs > 0
    for row in shown(found, "refusals")["evidence"]:
        assert (row["maker"], row["nodes"], len(set(row["blocks"]))) == (LIAR, HONEST, 2)
    for row in found.evidence:  # everybody can check it: both headers are signed
        for name in ("first", "second"):
            data = bytes.fromhex(row[f"{name}_signed"])
            block = Block(decode_header(data[:264]), (), data[264:296], data[296:])
            assert (block.header.hash.hex(), block.forgery) == (row[name], "")
    assert shown(found, "node", "c1")["evidence_against"]
    assert found.manifest["refused"] == 0


def test_made_up_blocks_and_messages_are_dropped_and_the_reasons_told():
    found = ran("spam", ("blocks", 4), ("messages", 5))
    reasons = " ".join(row["reason"] for row in shown(found, "refusals")["refusals"])
    assert "does not bring the hash below the target" in reasons
    assert "its work is below that of any block" in reasons
    assert "is not registered for round" in reasons
    made = deeds(found)
    assert found.manifest["refused"] >= 3 * (made["made-up messages"] + made["made-up blocks"]) / 2
    assert (found.manifest["fooled"], found.manifest["status"]) == (0, "finished")


@pytest.mark.parametrize("kind", ["selfish_mining", "double_spend"])
def test_with_holders_a_secret_branch_never_grows_beyond_one_block(kind):
    found = ran(kind)
    assert deeds(found).get("successes", 0) == 0
    assert found.manifest["status"] == "finished"
    heights = [block.header.height for block in blocks(found)]
    assert max(heights) == ROUNDS  # nothing was built on what holders could not see


def test_after_its_last_round_a_misbehaving_node_is_honest():
    found = ran("wrong_weights", ("to_round", 2))
    assert {row["height"] for row in shown(found, "refusals")["refusals"]} <= {1, 2}
    assert any(row["miner"] == LIAR for row in found.metrics)


@pytest.mark.parametrize("kind", ["equivocation", "wrong_weights"])
def test_a_run_with_liars_that_is_interrupted_ends_as_one_that_is_not(kind, tmp_path):
    class Stop(Callback):
        def on_round_end(self, ended):
            if ended.record.round == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scenario(kind), tmp_path, workers=1, callbacks=[Stop()])
    resumed = resume(tmp_path / run_name(scenario(kind)))
    whole = ran(kind)
    assert resumed.manifest["head"] == whole.manifest["head"]
    told = [
        [{k: v for k, v in event.items() if k != "seconds"} for event in found.events]
        for found in (resumed, whole)
    ]
    assert told[0] == told[1]


def test_a_height_of_refusals_can_be_asked_for_and_nonsense_is_refused(capsys):
    found = ran("wrong_weights")
    rows = shown(found, "refusals")["refusals"]
    assert look(found.folder, "refusals", str(rows[0]["height"]))[0]["refusals"]
    with pytest.raises(typer.Exit):
        look(found.folder, "refusals", "h3")
    assert "'h3' is no height" in capsys.readouterr().err


def test_every_misconduct_is_seen_by_one_of_these_tests():
    text = Path(__file__).read_text()
    assert all(f'"{kind}"' in text for kind in strategies.names())


def test_tables_and_closing_lines_name_the_liar_the_reason_and_who_refused():
    found = ran("wrong_weights")
    lines = closing_lines(found.summary())
    assert any(line.startswith("dishonest c1 wrong_weights: ") for line in lines)
    assert any("times by honest compute nodes" in line for line in lines)
    console = Console(width=160)
    with console.capture() as captured:
        for view in (("refusals", None), ("node", "c1"), (None, None)):
            for part in look(found.folder, *view)[1]:
                console.print(part)
    text = captured.get()
    assert "weights_hash: weights are not the aggregate" in text
    assert "c0 c2 c3" in text
    assert "it is dishonest, wrong_weights" in text
    assert "times by honest compute nodes" in text


def test_where_nobody_lies_nothing_is_said_of_it(tmp_path):
    found = run(small(2), tmp_path, workers=1)
    assert found.manifest["misconduct"] == found.refusals == found.evidence == []
    assert not any(
        line.startswith(("dishonest", "refused")) for line in closing_lines(found.summary())
    )
    assert held_against(found.manifest, found.folder) == []

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from ledger_world import MINERS, make_world, signed
from small_runs import forking, simulate, small
from whole_numbers import WHOLE, whole_gradients, whole_numbers

from fedchain.aggregation import Aggregate
from fedchain.agreement import quorum_of
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.ledger.chain.block import header_prefix
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.work import search, target_from_compact
from fedchain.ledger.storage.store import Store
from fedchain.results import LEDGER, MessageRecord, RoundRecord, Run
from fedchain.runs.manifest import final_manifest
from fedchain.runs.running import resume, run
from fedchain.simulation.recorder import Recorder
from fedchain.timing import Stopwatch

WORLD = make_world()


@pytest.fixture(scope="module")
def healed(tmp_path_factory):
    with whole_numbers():
        made = simulate(forking(rounds=8, privacy=WHOLE), tmp_path_factory.mktemp("healed"))
        list(made.simulation.rounds())
    yield made
    made.close()


def test_a_copy_with_a_wrong_signature_is_not_stored_and_does_not_keep_the_true_block_out(tmp_path):
    made = simulate(small(3, attacks=[]), tmp_path)
    transport = made.simulation._transport
    keep = transport._sent

    def forged_first(sender, block, now_s):
        keep(sender, replace(block, signature=bytes(64)), now_s)
        keep(sender, block, now_s)

    transport._sent = forged_first
    list(made.simulation.rounds())
    made.store.flush()
    stored = list(made.store.blocks())
    made.close()
    assert len(stored) >= 3
    assert [block.flaw for block in stored] == [""] * len(stored)


def without_wall_time(found: Run) -> list[dict[str, object]]:
    return [{k: v for k, v in e.items() if k != "seconds"} for e in found.events]


def mined(header):
    nonce = search(header_prefix(header), 0, 10**6, target_from_compact(header.bits))
    return replace(header, nonce=nonce)


def test_a_block_off_by_one_unit_in_the_last_place_is_refused_by_every_compute_node(tmp_path):
    made = simulate(small(rounds=2), tmp_path)
    list(made.simulation.rounds())
    MINERS.update({node.address: node._secret for node in made.simulation.compute_nodes})
    chain = made.simulation.chain
    good = chain.block(chain.path()[1])
    state = made.simulation.blocks.state(chain.path()[1])
    now_s = good.header.time_ms / 1000.0 + 1.0
    for place in (0, len(state.weights) - 1):
        weights = state.weights.copy()
        weights[place] = np.nextafter(weights[place], np.inf)
        wrong = replace(good.header, weights_hash=State(weights, state.memory).weights_hash)
        wrong = signed(mined(wrong), good.messages)
        for node in made.simulation.compute_nodes:
            before = len(node.incidents.refusals)
            node.receive(wrong, now_s)
            assert "weights are not the aggregate" in node.incidents.refusals[before].reason
            assert wrong.header.hash not in node.chain
    # Nothing but the weights is at fault: the same block made a moment later is accepted.
    twin = signed(mined(replace(good.header, time_ms=good.header.time_ms + 1)), good.messages)
    for node in made.simulation.compute_nodes:
        node.receive(twin, now_s)
        assert twin.header.hash in node.chain
    made.close()


def test_after_forks_all_compute_nodes_share_all_but_the_last_block(healed):
    # genesis - 1 - .. - 7 - 8     the tips may differ, being of equal work
    #           |            |
    #           +- stale     +- 8'
    paths = [node.chain.path() for node in healed.simulation.compute_nodes]
    assert sum(node.chain.stale for node in healed.simulation.compute_nodes) > 0
    assert len({tuple(path[:-1]) for path in paths}) == 1
    assert {len(path) for path in paths} == {9}
    assert len({node.chain.work for node in healed.simulation.compute_nodes}) == 1


def test_no_honest_block_or_message_is_refused(healed):
    assert [node.incidents.refusals for node in healed.simulation.compute_nodes] == [[], [], []]


def test_every_block_that_any_node_accepted_is_on_disk(healed):
    stored = {block.header.hash for block in healed.store.blocks()}
    for node in healed.simulation.compute_nodes:
        assert len(node.chain) - 1 == len(stored)
        assert all(name in node.chain for name in stored)


def test_no_noise_is_drawn_twice(tmp_path, monkeypatch):
    made = simulate(forking(privacy=WHOLE), tmp_path)
    drawn = []
    kind = type(made.setup.mechanism)
    release = kind.release

    def noted(mechanism, gradients, *rest):
        released = release(mechanism, gradients, *rest)
        drawn.extend(released.astype(np.float64) - gradients)
        return released

    monkeypatch.setattr(kind, "release", noted)
    with whole_numbers():
        list(made.simulation.rounds())
    releases = sum(made.simulation.releases.values())
    # Forks have cost releases; who left a block before its gradient was done released nothing.
    assert len(drawn) >= releases > 12 * 10
    scaled = np.array(drawn)
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
    cosines = np.abs(scaled @ scaled.T - np.eye(len(scaled)))
    assert cosines.max() < 0.9
    made.close()


def test_a_finished_run_played_again_computes_only_what_no_block_carries(tmp_path):
    scenario = forking(rounds=4, privacy=WHOLE)
    with whole_numbers():
        first = simulate(scenario, tmp_path)
        told = list(first.simulation.rounds())
    carried = {m.public_key for block in first.store.blocks() for m in block.messages}
    first.close()
    asked = []

    def noted(weights, holders, _):
        asked.extend(holders)
        return whole_gradients(weights, holders)

    with whole_numbers():
        again = simulate(scenario, tmp_path, noted)
        replayed = list(again.simulation.rounds())
    releases = sum(again.simulation.releases.values())
    assert len(asked) < releases / 2
    assert len(carried) > 0
    assert [(r.block, r.epsilon, r.time_s) for r, _ in replayed] == [
        (r.block, r.epsilon, r.time_s) for r, _ in told
    ]
    assert [m for _, m in replayed] == [m for _, m in told]
    again.close()


def forked(folder, wanted):
    """Return the first run of three rounds whose forks are as wanted."""
    with whole_numbers():
        runs = (run(forking(3, privacy=WHOLE, seed=s), folder, workers=1) for s in range(20))
        return next(found for found in runs if wanted(found))


def test_of_two_last_blocks_of_equal_work_ledger_and_manifest_name_the_same(tmp_path):
    # genesis - 1 - 2 - 3      the last block that was made first
    #               |
    #               +- 3'      of equal work, and with the smaller hash: the head
    def first_made(found):
        with Store.open(found.folder / LEDGER, writable=False) as store:
            last = next(block for block in store.blocks() if block.header.height == 3)
        return last.header.hash.hex()

    tied = forked(tmp_path, lambda found: found.manifest["head"] != first_made(found))
    with Store.open(tied.folder / LEDGER, writable=False) as store:
        assert store.head.hex() == tied.manifest["head"]
    assert tied.verify().ok


def test_messages_of_a_lost_block_are_told_again(tmp_path):
    found = forked(tmp_path, lambda found: found.manifest["reorganisations"] > 0)
    rows, blocks = found.messages, {row["block"] for row in found.metrics}
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(row["block"] in blocks for row in rows if not row["late"])
    assert not any(row["used"] for row in rows if row["late"])
    assert sum(not row["late"] for row in rows) == sum(row["messages"] for row in found.metrics)
    assert sum(row["used"] for row in rows) == sum(row["used"] for row in found.metrics)
    sent = Counter(row["holder"] for row in rows)
    stated = json.loads((found.folder / "privacy.json").read_text())
    assert [sent[holder] for holder in range(10)] == stated["releases"]


def test_an_event_file_torn_anywhere_is_made_whole_by_resuming(tmp_path):
    done = run(small(rounds=3), tmp_path, workers=1)
    file = done.folder / "events.ndjson"
    whole, events = file.read_bytes(), without_wall_time(done)
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    for cut in (0, ends[0] - 1, ends[3], ends[10], ends[10] + 7, len(whole) - 1):
        file.write_bytes(whole[:cut])
        manifest = json.loads((done.folder / "manifest.json").read_text())
        (done.folder / "manifest.json").write_text(json.dumps({**manifest, "status": "running"}))
        resumed = resume(done.folder, workers=1)
        assert resumed.manifest["status"] == "finished"
        assert without_wall_time(resumed) == events
        kept = file.read_bytes()
        assert (
            kept[: max((end for end in ends if end <= cut), default=0)]
            == whole[: max((end for end in ends if end <= cut), default=0)]
        )


def test_releases_after_the_last_recorded_round_stay_counted(tmp_path):
    told = RoundRecord(
        round=1,
        height=1,
        block="ab",
        miner=0,
        time_s=0.5,
        messages=1,
        used=1,
        byzantine=0,
        byzantine_used=0,
        epsilon=1.0,
        releases=1,
        stale_blocks=0,
        reorganisations=0,
        seconds=dict.fromkeys(Stopwatch().lap(), 0.5),
    )
    record = {"event": "round", **vars(told)}
    (tmp_path / "events.ndjson").write_text(json.dumps(record) + "\n" + json.dumps(record) + "\n")
    spent = {"total": 1.4, "worst_holder_releases": 2}
    before = {"epsilon": spent, "seconds": {"total": 1.0}, "peak_rss_mb": 0.0}
    after = final_manifest(tmp_path, before, "finished", 2.0)
    assert after["epsilon"] == spent
    assert after["seconds"]["total"] == 3.0
    assert after["seconds"]["gradients"] == 1.0  # of both tellings of the round
    less = {**before, "epsilon": {"total": 0.0, "worst_holder_releases": 0}}
    assert final_manifest(tmp_path, less, "failed", 0.0)["epsilon"] == {
        "total": 1.0,
        "worst_holder_releases": 1,
    }


def test_a_quorum_is_rounded_up_and_not_beyond():
    shares = {0.8: 8, 0.75: 8, 0.7: 7, 0.3: 3, 1.0: 10, 0.001: 1}
    assert {q: quorum_of(small(**{"ledger.quorum": q})) for q in shares} == shares


def recorder_of(chain: object) -> Recorder:
    """Return a recorder that follows a chain and measures nothing."""
    return Recorder(
        chain=chain,
        steps=None,
        state_of=None,
        measure=None,
        measured_every=1,
        miners={b"": 0},
        watch=Stopwatch(),
        keep=64,
    )


def test_a_message_that_only_a_lost_block_carried_is_told_as_late():
    # genesis - a         carries the messages of holders 0 and 1; it is the head at first
    #    |
    #    +- b - c         carry those of 0 and of 2: nothing on this branch has that of 1
    first, second, third = WORLD.messages(WORLD.chain_id, 1, range(3))
    carried = {b"a": (first, second), b"b": (first,), b"c": (third,)}
    parents = {b"a": WORLD.chain_id, b"b": WORLD.chain_id, b"c": b"b"}
    chain = SimpleNamespace(
        head=WORLD.chain_id,
        height=0,
        link=lambda name: SimpleNamespace(header=SimpleNamespace(parent=parents[name])),
        block=lambda name: SimpleNamespace(
            header=SimpleNamespace(
                parent=parents[name], height=2 if name == b"c" else 1, address=b""
            ),
            messages=carried[name],
        ),
    )
    two = np.ones(2)
    one = SimpleNamespace(
        used=two > 0, shares=two / 2, cosines=two, reasons=("", ""), scores=np.array([7.0, 1 / 3])
    )
    observer = recorder_of(chain)
    released = [
        MessageRecord(
            round=message.round,
            block=message.parent.hex(),
            holder=holder,
            id=message.id.hex(),
            norm=message.norm,
            cosine=None,
            used=False,
            reason="late",
            epsilon=0.5,
            attack="",
            late=True,
            members=1,
        )
        for holder, message in enumerate((first, second, third))
    ]
    observer.note(released)
    assert released == []

    def told_at(head, height):
        chain.head, chain.height = head, height
        for block in observer.new_blocks():
            records = observer.message_records(block, one)
            yield from ((m.holder, m.block, m.late, m.score) for m in records)

    fates = [*told_at(b"a", 1), *told_at(b"c", 2)]
    a, b, c, genesis = b"a".hex(), b"b".hex(), b"c".hex(), WORLD.chain_id.hex()
    assert fates == [
        (0, a, False, 7.0),
        (1, a, False, 0.333333333),
        (0, b, False, 7.0),
        (2, c, False, 7.0),
        (1, genesis, True, None),
    ]


def test_the_share_of_attackers_is_a_part_of_all_shares():
    sent = WORLD.messages(WORLD.chain_id, 1, range(3))
    header = SimpleNamespace(parent=WORLD.chain_id, height=1, address=b"")
    block = SimpleNamespace(messages=sent, header=header)
    chain = SimpleNamespace(
        head=b"a",
        height=1,
        link=lambda _: SimpleNamespace(header=header),
        block=lambda _: block,
        stale=0,
        reorganisations=0,
        rules=SimpleNamespace(rounds=9),
    )
    shares = np.array([1.0, 2.0, 5.0])  # a rule of one's own need not divide them by their sum
    found = Aggregate(np.ones(1), shares, shares, ("",) * 3, scores=shares, score="length")
    observer = recorder_of(SimpleNamespace(**{**vars(chain), "head": WORLD.chain_id, "height": 0}))
    observer._chain = chain
    observer._steps = SimpleNamespace(outcome=lambda *_: SimpleNamespace(aggregate=found))
    observer._state_of, observer._measured_every = lambda _: None, 2
    observer.note(
        [
            MessageRecord(
                round=1, block="", holder=k, id=each.id.hex(), norm=1.0, cosine=None, used=False,
                reason="late", epsilon=None, attack="hidden" * (k == 1), late=True, members=1,
            )
            for k, each in enumerate(sent)
        ]
    )  # fmt: skip
    (fresh,) = observer.new_blocks()
    unfinished, _, _ = observer.round_record(fresh, 1.0, (1, None))
    record = unfinished(metrics={})
    assert (record.byzantine, record.byzantine_share) == (1, 0.25)
    assert observer.judged_by == "length"


def test_the_observer_reports_a_replaced_branch_anew():
    # g - a - b         reported first
    # |
    # +- c - d - e      replaces it
    headers = {b"g": None, b"a": b"g", b"b": b"a", b"c": b"g", b"d": b"c", b"e": b"d"}
    chain = SimpleNamespace(
        head=b"g",
        height=0,
        link=lambda name: SimpleNamespace(header=SimpleNamespace(parent=headers[name])),
        block=lambda name: SimpleNamespace(
            name=name, messages=(), header=SimpleNamespace(address=b"")
        ),
    )
    observer = recorder_of(chain)

    def new_at(head, height):
        chain.head, chain.height = head, height
        return [block.name for block in observer.new_blocks()]

    assert new_at(b"a", 1) == [b"a"]
    assert new_at(b"b", 2) == [b"b"]
    assert new_at(b"b", 2) == []
    assert new_at(b"e", 3) == [b"c", b"d", b"e"]


def test_every_release_of_a_holder_is_recorded_with_the_epsilon_of_all_so_far(tmp_path):
    made = simulate(small(rounds=3), tmp_path)
    messages = [each for _, carried in made.simulation.rounds() for each in carried]
    # A reorganisation yields a round again; a message has one epsilon whichever block carries it.
    by_id = {each.id: each for each in [*messages, *made.simulation.stragglers()]}
    epsilon_after = made.setup.mechanism.epsilon_after
    for holder, count in made.simulation.releases.items():
        told = sorted(each.epsilon for each in by_id.values() if each.holder == holder)
        assert told == [epsilon_after(number) for number in range(1, count + 1)]
    made.close()


def test_holders_whose_gradient_is_exactly_zero_count_in_every_round(tmp_path):
    def with_zeros(_, weights, holders, *asked):
        rows = whole_gradients(weights, holders, *asked)
        rows[np.asarray(holders) < 4] = 0
        return rows

    mean = {"aggregation": {"kind": "mean"}, "privacy": {"kind": "none"}, "attacks": []}
    with whole_numbers(), pytest.MonkeyPatch.context() as patch:  # undone before the whole numbers
        patch.setattr(CohortGradients, "__call__", with_zeros)
        done = run(small(rounds=4, **mean), tmp_path)
    assert done.manifest["status"] == "finished"
    assert [(row["messages"], row["used"]) for row in done.metrics] == [(10, 10)] * 4
    zeros = [message["holder"] for message in done.messages if message["norm"] == 0]
    assert sorted(zeros) == sorted(4 * [0, 1, 2, 3])

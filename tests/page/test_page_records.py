"""Tests of page records: every number is the one of the run folder and of its ledger."""

import base64
import contextlib
import csv
import json
import math
import shutil
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
from fresh_processes import fresh_processes
from group_runs import grouped
from page_runs import kind_of, records_of, shown
from small_runs import forking

import fedchain
from fedchain.ledger.chain.block import decode_block, decode_header, encode_block
from fedchain.ledger.chain.crypto import Tree
from fedchain.ledger.chain.rules import decode_rules
from fedchain.ledger.storage.blobs import decode_state
from fedchain.ledger.storage.store import Store
from fedchain.page import records as page_records
from fedchain.page.chunks import ChunkReader
from fedchain.page.ledger import LedgerView
from fedchain.page.lines import line_of
from fedchain.page.noise import noise_norms
from fedchain.page.records import Feed
from fedchain.page.runs import Runs
from fedchain.page.thinning import Thinning
from fedchain.privacy.skellam_law import DEVIATION
from fedchain.results import Run
from fedchain.runs.callbacks import Callback
from fedchain.simulation.setup import build_setup


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """Return a finished run whose trips were written."""
    return fedchain.run(forking(8, trace=True), tmp_path_factory.mktemp("traced"))


@pytest.fixture(scope="module")
def store(traced):
    with Store.open(traced.folder / "ledger", writable=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def told(traced):
    return records_of(traced.folder)


def rows_of(file):
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def as_cell(value):
    return "" if value is None else str(value)


def test_messages_and_rounds_are_those_of_the_tables(traced, told):
    state = shown(told)
    messages = [record for key, record in state.items() if key[0] == "message"]
    rows = rows_of(traced.folder / "messages.csv")
    assert len(messages) == len(rows) > 70
    by_id = {record["id"]: record for record in messages}
    for row in rows:
        assert row == {name: as_cell(by_id[row["id"]][name]) for name in row}
    for row in rows_of(traced.folder / "metrics.csv"):
        record = state["round", int(row["round"])]
        assert record["block"] == row["block"]
        assert as_cell(record["metrics"]["accuracy"]) == row["accuracy"]


def test_a_round_told_again_comes_after_the_one_that_it_replaces(traced, told):
    blocks = [record["block"] for record in kind_of(told, "round")]
    assert len(blocks) > 8, "a reorganisation"
    final = [row["block"] for row in rows_of(traced.folder / "metrics.csv")]
    assert [shown(told)["round", n]["block"] for n in range(1, 9)] == final


def test_headers_are_those_of_the_ledger_and_commit_to_the_contents(store, told):
    headers = {record["hash"]: record for record in kind_of(told, "header")}
    blocks = list(store.blocks())
    assert len(headers) == len(blocks) > 8, "stale blocks too"
    chain = {store.head}
    for block in reversed(blocks):
        if block.header.hash in chain:
            chain.add(block.header.parent)
    for block in blocks:
        record = headers[block.header.hash.hex()]
        header = decode_header(base64.b64decode(record["bytes"]))
        assert header == block.header
        assert record["main"] is (header.hash in chain)
        assert Tree(map(bytes.fromhex, record["contents"])).root == header.messages_root
        assert record["ids"] == [message.id.hex() for message in block.messages]
        assert base64.b64decode(record["signature"]) == block.signature
        assert record["arrived_ms"] == store.arrived_ms(header.hash)


def test_genesis_is_that_of_the_chain(store, told):
    (record,) = kind_of(told, "genesis")
    rules = decode_rules(record["rules"].encode())
    assert rules == store.rules
    parts = (base64.b64decode(record[name]) for name in ("weights", "memory"))
    state = decode_state(rules, *parts)
    assert state.weights_hash == store.genesis.header.weights_hash
    assert record["hash"] == store.genesis.header.hash.hex()


def test_cosines_are_those_of_the_directions_in_the_bodies(store, told):
    grams = kind_of(told, "gram")
    assert len(grams) == len(kind_of(told, "round"))
    gram = grams[-1]
    messages = store.block(bytes.fromhex(gram["block"])).messages
    rows = [message.direction.astype(float) / 2.0**message.exponent for message in messages]
    expected = [
        sum(a * b for a, b in zip(rows[i], rows[j], strict=True))
        / math.sqrt(sum(a * a for a in rows[i]) * sum(b * b for b in rows[j]))
        for i in range(len(rows))
        for j in range(i + 1, len(rows))
    ]
    found = np.frombuffer(base64.b64decode(gram["cosines"]), "<f4")
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert gram["ids"] == sorted(gram["ids"]) == [message.id.hex() for message in messages]
    assert gram["norms"] == [message.norm for message in messages]
    assert gram["records"] == [message.declaration.records for message in messages]


def test_a_body_has_the_bytes_of_the_block(traced, store):
    view = LedgerView(traced.folder / "ledger", Thinning(8, 10))
    with contextlib.closing(view):
        record = view.body(store.head)
    data = base64.b64decode(record["bytes"])
    assert data == encode_block(store.block(store.head))
    assert decode_block(data, store.rules.limits).header.hash.hex() == record["block"]


def test_the_run_says_who_attacks_what_was_settled_and_what_noise_to_expect(traced, told):
    first, last = kind_of(told, "run")
    assert first["attackers"] == {"8": "sign_flip", "9": "sign_flip"}
    assert first["rule"]["weights"] == "records"
    assert first["weights"] == 31
    privacy = json.loads((traced.folder / "privacy.json").read_text())
    for norm, count in zip(last["noise_norm"], privacy["records"], strict=True):
        scale = privacy["noise_multiplier"] * privacy["clip"] / count
        assert norm == pytest.approx(scale * math.sqrt(31))
    assert last["records"] == privacy["records"]
    assert last["privacy"] == privacy
    assert last["finding"] == traced.summary()["finding"]
    assert last["resume"] is None


def test_no_record_has_a_norm_without_noise(told):
    text = "".join(map(line_of, told))
    assert "clean" not in text
    assert "private_norm" not in text


def test_trips_lead_to_every_message_of_a_block(traced, told):
    trips = kind_of(told, "trip")
    sent = {trip["id"]: trip for trip in trips if trip["what"] == "message"}
    names = {record["name"] for record in kind_of(told, "place")}
    for record in kind_of(told, "header"):
        for name in record["ids"]:
            assert sent[name]["sender"].startswith("h")
    assert {trip["sender"] for trip in trips} <= names
    assert {trip["what"] for trip in trips} == {"message", "block"}
    for trip in trips:
        times = [at for _, at in trip["arrivals"]]
        assert times == sorted(times)
        assert times[0] >= trip["left_s"]


def test_a_trip_is_told_with_the_first_round_that_ends_after_it_began(told):
    now = 0.0
    waiting = []
    for record in told:
        if record["is"] == "trip":
            waiting.append(record["left_s"])
        if record["is"] == "round":
            assert all(left <= now for left in waiting)
            waiting, now = [], max(now, record["time_s"])


def test_writing_trips_changes_no_head(traced, run_folder):
    assert traced.folder.name == run_folder.name
    assert not (run_folder / "travel.ndjson").exists()
    assert Run.open(run_folder).manifest["head"] == traced.manifest["head"]


class Stops(Callback):
    """Ends a run at a round, by an exception or by a signal that nobody can catch."""

    def __init__(self, kill: bool = False):
        self._kill = kill

    def on_round_end(self, ended):
        if ended.record.round == 5:
            if self._kill:
                signal.raise_signal(signal.SIGKILL)
            raise KeyboardInterrupt


def test_an_interrupted_and_resumed_run_has_the_records_of_an_undisturbed_one(
    traced, told, tmp_path
):
    with pytest.raises(KeyboardInterrupt):
        fedchain.run(forking(8, trace=True), tmp_path, callbacks=[Stops()])
    (folder,) = tmp_path.glob("small-*")
    for name in ("events.ndjson", "travel.ndjson"):  # as if the last line had been cut
        (folder / name).write_bytes((folder / name).read_bytes()[:-7])
    before = records_of(folder)
    assert before[-1]["status"] == "interrupted"
    assert kind_of(before, "lost") == [{"p": 1, "is": "lost", "count": 1}]
    assert kind_of(before, "run")[-1]["resume"].startswith("fedchain resume ")
    fedchain.resume(folder)
    assert shown(records_of(folder)) == shown(told)
    travel = (folder / "travel.ndjson").read_bytes()
    assert travel == (traced.folder / "travel.ndjson").read_bytes()


def as_if_killed(traced, folder):
    """Return a copy of a run whose process was killed: its manifest is that of the beginning."""
    shutil.copytree(traced.folder, folder)
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    begun = {"status": "running", "height": 0, "epsilon": {**manifest["epsilon"], "total": 0.0}}
    file.write_text(json.dumps(manifest | begun))
    return Run.open(folder)


def test_the_finding_of_a_killed_run_tells_its_last_round(traced, tmp_path):
    killed = as_if_killed(traced, tmp_path / "killed")
    lines = (killed.folder / "events.ndjson").read_text().splitlines(keepends=True)
    rounds = [place for place, line in enumerate(lines) if '"event": "round"' in line]
    (killed.folder / "events.ndjson").write_text("".join(lines[: rounds[3] + 1]))
    last = json.loads(lines[rounds[3]])
    words = killed.summary()["finding"]
    assert words.startswith(f"After {last['height']} of 8 rounds, ")
    assert f"at ε {last['epsilon']:.2f}" in words
    assert Runs(tmp_path).described()[0]["status"] == "interrupted"


def test_the_stream_of_an_interrupted_run_ends_once_it_is_resumed(traced, tmp_path, monkeypatch):
    monkeypatch.setattr(page_records, "RESUMED_S", 0.0)
    killed = as_if_killed(traced, tmp_path / "killed")
    with contextlib.closing(Feed(killed)) as feed:
        told = feed.records(follow=True)
        assert {"p": 1, "is": "end", "status": "interrupted"} in (
            each and each[0] for each in told
        ), "the stream has told the interruption"
        assert [next(told) for _ in range(3)] == [None] * 3, "it stays open"
        shutil.copy(traced.folder / "manifest.json", killed.folder)
        assert list(told) == []


def killed_at_a_round(folder):
    fedchain.run(forking(8, trace=True), folder, callbacks=[Stops(kill=True)])


@pytest.mark.long
def test_a_killed_and_resumed_run_has_the_records_of_an_undisturbed_one(told, tmp_path):
    child = fresh_processes().Process(target=killed_at_a_round, args=(tmp_path,))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    (folder,) = tmp_path.glob("small-*")
    assert json.loads((folder / "manifest.json").read_text())["status"] == "running"
    assert records_of(folder)[-1]["status"] == "interrupted"
    fedchain.resume(folder)
    assert shown(records_of(folder)) == shown(told)


def test_lines_that_are_no_events_are_skipped_and_counted(traced, told, tmp_path):
    folder = tmp_path / traced.folder.name
    shutil.copytree(traced.folder, folder)
    lines = (folder / "events.ndjson").read_bytes().splitlines(keepends=True)
    lines[3:3] = [b"torn\n", b'{"event": "dance"}\n', b"[1]\n"]
    (folder / "events.ndjson").write_bytes(b"".join(lines) + b'{"event": "rou')
    found = records_of(folder)
    assert kind_of(found, "lost") == [{"p": 1, "is": "lost", "count": 4}]
    assert shown(record for record in found if record["is"] != "lost") == shown(told)


def test_a_growing_file_gives_each_chunk_once_and_only_whole(tmp_path, traced):
    whole = (traced.folder / "events.ndjson").read_bytes()
    file = tmp_path / "events.ndjson"
    reader, ends = ChunkReader(file), []
    for size in (0, 1000, 20_000, 20_001, len(whole)):
        file.write_bytes(whole[:size])
        for chunk in reader.chunks(last=False):
            assert whole[: chunk.end].endswith(b"}\n")
            assert chunk.round is not None
            ends.append(chunk.end)
    every = [chunk.end for chunk in ChunkReader(traced.folder / "events.ndjson").chunks(last=True)]
    assert ends == [end for end in every if end <= ends[-1]]
    assert len(ends) == len(set(ends))


def test_a_run_of_ten_thousand_rounds_is_thinned():
    thinning = Thinning(10_000, 20)
    shown_rounds = [n for n in range(1, 10_001) if thinning.shows(n)]
    assert len(shown_rounds) == 2001
    assert {1, 10_000} <= set(shown_rounds)
    told = sum(20 for n in shown_rounds if thinning.shows_messages(n))
    assert told <= 41_000
    assert all(thinning.shows(n) for n in range(1, 10_001) if thinning.shows_messages(n))
    assert sum(thinning.shows_header(h, 10_000) for h in range(1, 10_001)) == 500
    assert all(Thinning(2_000, 20).shows(n) for n in range(1, 2001))


def test_the_noise_of_a_group_is_that_of_all_its_members_shares():
    setup = build_setup(grouped(2))
    groups, mechanism = setup.scenario.nodes.groups, setup.mechanism
    counts = [records.count for records in setup.task.holders]
    units = [sum(counts[k] for k in groups.members_of(g)) for g in range(2)]
    norms = noise_norms(setup.scenario, setup.rules, units)
    for norm, records in zip(norms, units, strict=True):
        deviation = math.sqrt(groups.size) * DEVIATION * mechanism.step / records
        assert norm == pytest.approx(deviation * math.sqrt(setup.rules.dimension))
    quantile = replace(setup.rules, clip=None)
    assert noise_norms(setup.scenario, quantile, units) == [None, None]
    assert noise_norms(None, setup.rules, []) == []
    assert noise_norms(setup.scenario, setup.rules, [None, 3])[0] is None


class Paced(Callback):
    """A callback that lets a run go on only once a reader has been told its last round."""

    def __init__(self):
        self.begun, self.told = threading.Event(), {}

    def on_run_begin(self, folder, setup):
        self.folder = folder
        self.told = {each: threading.Event() for each in range(1, setup.scenario.rounds + 1)}
        self.begun.set()

    def on_round_end(self, ended):
        # Metrics arrive one round later, so the run must be a round ahead.
        assert ended.record.round < 3 or self.told[ended.record.round - 2].wait(60)


def test_a_reader_who_follows_a_run_knows_in_the_end_what_a_later_reader_knows(
    tmp_path, monkeypatch
):
    # The run waits for its reader, so that its blocks reach the ledger late.
    monkeypatch.setattr(page_records, "PAUSE_S", 0.01)
    paced, followed = Paced(), []
    scenario = forking(8, trace=True)
    running = threading.Thread(
        target=fedchain.run, args=(scenario, tmp_path), kwargs={"callbacks": [paced]}
    )
    running.start()
    assert paced.begun.wait(60)
    with contextlib.closing(Feed(Run.open(paced.folder))) as feed:
        for told in feed.records(follow=True):
            if told is not None:
                followed.append(told[0])
                if told[0]["is"] == "round":
                    paced.told[told[0]["round"]].set()
    running.join()
    assert kind_of(followed, "run")[0]["status"] == "running"
    assert followed[-1] == {"p": 1, "is": "end", "status": "finished"}
    assert shown(followed) == shown(records_of(paced.folder))


def test_a_reader_who_reconnects_is_told_what_belongs_to_a_block_that_was_late(
    traced, told, monkeypatch
):
    late, heard = {bytes.fromhex(kind_of(told, "round")[3]["block"])}, []
    monkeypatch.setattr(
        LedgerView, "__contains__", lambda view, block: block in view._rows and block not in late
    )
    with contextlib.closing(Feed(traced)) as feed:
        for each in feed.records():
            heard += [each] * (each is not None)
            if len(kind_of((record for record, _ in heard), "round")) > 4:
                late.clear()  # from the chunk after the next one on
    places = [(count, end) for count, (_, end) in enumerate(heard, start=1) if end is not None]
    assert len(places) > 3
    for count, end in places:
        with contextlib.closing(Feed(traced)) as feed:
            later = [each for each in feed.records(after=end) if each is not None]
        assert shown(record for record, _ in heard[:count] + later) == shown(told)

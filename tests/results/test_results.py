from __future__ import annotations

import errno
import io
import json
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain.errors import RunError, RunRefused
from fedchain.files import write_whole
from fedchain.results import (
    EventLog,
    MessageRecord,
    RoundRecord,
    Run,
    RunFolder,
    tables,
    tampered_copy,
)
from fedchain.results.events import read_events
from fedchain.results.shapes import ManifestShape
from fedchain.results.summary import SUMMARISED
from fedchain.results.tables import (
    attackers_share,
    capture_of,
    columns_of,
    csv_lines,
    last_fates,
    main_rounds,
    metrics_csv,
    round_rows,
)

ROUND = RoundRecord(
    round=1,
    height=1,
    block="aa",
    miner=0,
    time_s=1.5,
    messages=3,
    used=2,
    byzantine=1,
    byzantine_used=0,
    epsilon=0.5,
    releases=1,
    stale_blocks=0,
    reorganisations=0,
    metrics={"iou": 0.5},
    seconds={"work": 0.25},
)
MESSAGE = MessageRecord(
    round=1,
    block="aa",
    holder=2,
    id="m2",
    norm=1.5,
    cosine=0.25,
    used=True,
    reason="",
    epsilon=0.5,
    attack="",
    late=False,
    members=1,
)


def in_line(kind: str, record: object) -> dict[str, object]:
    return {"event": kind, **vars(record)}


def event(number: int, block: str = "") -> dict[str, object]:
    return in_line("round", replace(ROUND, round=number, block=block or f"b{number}"))


def told(name: str, **changes: object) -> dict[str, object]:
    return {**in_line("message", replace(MESSAGE, id=name)), **changes}


def open_log(path: Path) -> EventLog:
    return EventLog(path / "events.ndjson")


def test_events_are_read_back_as_they_were_written(tmp_path):
    log = open_log(tmp_path)
    assert log.recorded == 0
    log.write("message", MESSAGE)
    log.write("round", ROUND)
    log.flush()
    log.close()
    message, round_ = read_events(tmp_path / "events.ndjson")
    assert message["event"] == "message"
    assert MessageRecord(**{k: v for k, v in message.items() if k != "event"}) == MESSAGE
    assert RoundRecord(**{k: v for k, v in round_.items() if k != "event"}) == ROUND


def test_nothing_is_on_disk_before_a_flush(tmp_path):
    log = open_log(tmp_path)
    log.write("round", ROUND)
    assert (tmp_path / "events.ndjson").read_bytes() == b""
    log.close()


def test_what_is_recorded_is_not_written_again_and_a_torn_line_goes(tmp_path):
    file, log = tmp_path / "events.ndjson", open_log(tmp_path)
    for number in (1, 2, 3):
        log.write("round", replace(ROUND, round=number))
    log.flush()
    log.close()
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    again = open_log(tmp_path)
    assert again.recorded == 2
    for number in (1, 2, 3, 4):
        again.write("round", replace(ROUND, round=number))
    again.flush()
    again.close()
    assert file.read_bytes().startswith(whole)
    assert [e["round"] for e in read_events(file)] == [1, 2, 3, 4]


def test_a_last_line_without_its_end_is_torn_even_where_it_parses(tmp_path):
    line = json.dumps(event(1))
    (tmp_path / "events.ndjson").write_text(f"{line}\n{line}")
    assert len(list(read_events(tmp_path / "events.ndjson"))) == 1


def test_a_file_that_is_not_there_has_no_events(tmp_path):
    assert list(read_events(tmp_path / "events.ndjson")) == []


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b"7", b"\xff\xfe", b'{"event": '])
def test_a_wrong_line_in_the_middle_is_named(tmp_path, line):
    file = tmp_path / "events.ndjson"
    file.write_bytes(json.dumps(event(1)).encode() + b"\n" + line + b"\n{}\n")
    with pytest.raises(RunError, match=r"events\.ndjson:2: not a JSON object"):
        list(read_events(file))


@pytest.mark.parametrize("taken", [0, 5])
def test_a_full_disk_is_noticed_also_where_a_part_was_taken(tmp_path, taken):
    class Full(io.BytesIO):
        def write(self, data):
            if not taken:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return taken

    log = open_log(tmp_path)
    log.close()
    log._file = Full()
    log.write("round", ROUND)
    with pytest.raises(RunError, match=r"No space left on device; the run can be resumed"):
        log.flush()


def test_events_that_may_not_be_read_or_written_are_an_error_with_words(tmp_path, monkeypatch):
    file = tmp_path / "events.ndjson"
    file.mkdir()
    with pytest.raises(RunError, match=r"cannot be read: (Is a directory|Permission denied)"):
        list(read_events(file))
    with pytest.raises(RunError, match=r"nowhere.*cannot be written: No such file"):
        EventLog(tmp_path / "nowhere" / "events.ndjson")


def test_a_log_that_is_closed_in_the_middle_of_a_replay_reads_no_more(tmp_path):
    written(tmp_path, [event(1), event(2)])
    log = open_log(tmp_path)
    next(log._unread)
    log.close()
    assert list(log._unread) == []


def test_a_replay_that_computes_another_event_is_refused(tmp_path):
    log = open_log(tmp_path)
    log.write("message", MESSAGE)
    log.flush()
    log.close()
    for other in (replace(MESSAGE, id="ff"), replace(MESSAGE, round=9), replace(ROUND, round=1)):
        again = open_log(tmp_path)
        kind = "message" if isinstance(other, MessageRecord) else "round"
        with pytest.raises(RunError, match="computes another"):
            again.write(kind, other)
        again.close()


def written(folder: Path, events: list[dict[str, object]]) -> Path:
    path = folder / "events.ndjson"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def test_a_round_told_again_voids_all_above_it(tmp_path):
    events = [event(1), event(2), told("m", round=2), event(3), event(2, "other")]
    path = written(tmp_path, events)
    assert [e["block"] for e in main_rounds(path)] == ["b1", "other"]
    path = written(tmp_path, [*events, event(3, "third")])
    assert [e["block"] for e in main_rounds(path)] == ["b1", "other", "third"]


def test_a_message_has_its_last_fate_alone(tmp_path):
    first = [told("x", round=1, used=True), told("y", round=1), event(1)]
    again = [told("x", round=1, used=False), event(1, "other")]
    rows = list(last_fates(written(tmp_path, [*first, *again])))
    assert [(row["id"], row["used"]) for row in rows] == [("y", True), ("x", False)]


def slow_tables(events):
    """Say what stands as plainly as can be: all of it in memory."""
    standing, fates = [], {}
    for each in events:
        if each["event"] == "round":
            standing[each["round"] - 1 :] = [each]
        else:
            fates.pop(each["id"], None)
            fates[each["id"]] = {key: value for key, value in each.items() if key != "event"}
    return standing, list(fates.values())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.randoms(use_true_random=False))
def test_streamed_tables_are_those_of_all_events_in_memory(tmp_path_factory, chance):
    events, height = [], 0
    for number in range(chance.randrange(1, 40)):
        height = max(0, height - chance.choice([0, 0, 0, 1, 2, 5])) + 1  # a fork, now and then
        for each in range(chance.randrange(4)):
            again = any(e["event"] == "round" and e["round"] >= height for e in events)
            name = f"{height}-{each}" if again else f"{height}-{each}-{number}"
            events.append(told(name, round=height, at=number))
        events.append(event(height, f"b{number}"))
        for each in range(chance.randrange(3)):  # once more, when their block has been lost
            lost = sum(e["event"] == "round" and e["round"] == height for e in events) > 1
            events += [told(f"{height}-{each}", round=height, at=number)] * lost
    path = written(tmp_path_factory.mktemp("events"), events)
    assert (list(main_rounds(path)), list(last_fates(path))) == slow_tables(events)


def test_tables_of_many_rounds_hold_little_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MOST_REPLACED", 8)
    events = []
    for number in range(1, 701):
        for height in (number - 1, number) if number % 5 == 0 else (number,):  # forks everywhere
            events += [told(f"{height:064}-{each}", round=height, at=number) for each in range(8)]
            events.append({**event(height, f"b{number}"), "metrics": {}, "seconds": {}})
    path = written(tmp_path, events)
    size = path.stat().st_size
    tracemalloc.start()
    for lines in (metrics_csv(path), last_fates(path)):
        assert sum(1 for _ in lines) > 700
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 700_000
    assert peak < size / 8


def test_a_reorganisation_deeper_than_any_can_be_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MOST_REPLACED", 3)
    path = written(tmp_path, [*map(event, range(1, 6)), event(3, "other")])
    assert [e["block"] for e in main_rounds(path)] == ["b1", "b2", "other"]
    path = written(tmp_path, [*map(event, range(1, 6)), event(2, "other")])
    with pytest.raises(RunError, match=r"round 2 comes after round 5; .* at most 3 rounds"):
        list(main_rounds(path))


def test_a_replay_reads_the_metrics_of_the_round_it_comes_to(tmp_path):
    log = open_log(tmp_path)
    for number in (1, 2, 3):
        for holder in range(3):
            log.write("message", replace(MESSAGE, round=number, holder=holder))
        log.write(
            "round", replace(ROUND, round=number, block=f"b{number}", metrics={"iou": number})
        )
    log.flush()
    log.close()
    again = open_log(tmp_path)
    for number in (1, 2, 3):
        assert again.metrics_of("another") == {}
        assert again.metrics_of(f"b{number}") == {"iou": number}
        assert again.metrics_of(f"b{number + 1}") == {}
        assert len(again._ahead) <= 4  # the messages of one round, and no more
        for holder in range(3):
            again.write("message", replace(MESSAGE, round=number, holder=holder))
        again.write("round", replace(ROUND, round=number, block=f"b{number}"))
    assert again.metrics_of("b4") == {}
    again.close()


def rows_of(rounds):
    return list(round_rows(rounds))


def test_rows_are_flat_and_a_metric_that_was_not_measured_is_an_empty_cell():
    rows = rows_of(
        [
            {"event": "round", "round": 1, "metrics": {}, "seconds": {"work": 0.5}},
            {"event": "round", "round": 2, "metrics": {"iou": None}, "seconds": {"work": 0.25}},
            {"event": "round", "round": 3, "metrics": {"iou": 0.5}, "seconds": {"work": 0.25}},
        ]
    )
    assert rows[2] == {"round": 3, "iou": 0.5, "seconds_work": 0.25}
    text = "".join(csv_lines(columns_of(rows), rows))
    assert text == "round,seconds_work,iou\n1,0.5,\n2,0.25,\n3,0.25,0.5\n"
    assert "".join(csv_lines([], [])) == "\n"


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path, monkeypatch):
    file = tmp_path / "manifest.json"
    write_whole(file, "before")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RunError, match=r"manifest\.json: cannot be written: No space left"):
            write_whole(file, "after")
    assert file.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    write_whole(tmp_path / "deep" / "er" / "file", b"bytes")
    assert (tmp_path / "deep" / "er" / "file").read_bytes() == b"bytes"


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    first, second = RunFolder(tmp_path), RunFolder(tmp_path)
    first.lock()
    with pytest.raises(RunError, match="another process is running it"):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()


def test_a_stale_lock_file_holds_nothing(tmp_path):
    (tmp_path / ".lock").touch()
    folder = RunFolder(tmp_path)
    folder.lock()
    folder.unlock()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "it has no manifest.json"),
        ("{", "cannot be read"),
        ("[]", "format must be 2"),
        ('{"format": 1}', r"\(format 1\); this version reads format 2: run the scenario again"),
        ('{"format": 3}', "format must be 2"),
        ("{}", "format must be 2"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(tmp_path, content, text):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunError, match=text):
        Run.open(tmp_path)


def test_a_manifest_says_its_format_and_no_number_that_json_has_not(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_manifest({"status": "running"})
    assert folder.manifest == {"format": 2, "status": "running"}
    with pytest.raises(ValueError, match="JSON"):
        folder.write_manifest({"epsilon": float("inf")})
    assert folder.manifest == {"format": 2, "status": "running"}


SPENT = {"per_release": None, "total": None, "delta": 1e-5, "worst_holder_releases": 0}


def test_a_summary_has_the_last_measured_metrics_and_the_sums_of_the_rounds(tmp_path):
    manifest = {name: getattr(ManifestShape(), name, None) for name in SUMMARISED}
    manifest |= {"chain": {}, "rounds": 3, "seconds": {"total": 0.5}, "score": "iou"}
    manifest |= {"epsilon": SPENT}
    asked = {"scenario": {"nodes": {"holders": 3}}, "baselines": {"majority": {"iou": 0.1}}}
    RunFolder(tmp_path).write_manifest({**manifest, **asked})
    log = open_log(tmp_path)
    for number, metrics in ((1, {"iou": 0.3}), (2, {"iou": 0.4}), (3, {})):
        log.write("round", replace(ROUND, round=number, metrics=metrics))
    log.flush()
    log.close()
    summary = Run(tmp_path).summary()
    assert summary["metrics"] == {"iou": 0.4, "baselines": {"majority": {"iou": 0.1}}}
    assert summary["messages"] == {"messages": 9, "used": 6, "byzantine": 3, "byzantine_used": 0}
    # The manifest of a run that is not over knows neither its height nor what it has spent.
    reached = {"height": 1, "epsilon": {**SPENT, "total": ROUND.epsilon}}
    assert {name: summary[name] for name in manifest} == {**manifest, **reached}
    assert (summary["byzantine_share"], summary["capture"]) == (0.0, 0.0)


def test_a_round_is_captured_by_attackers_with_their_part_of_the_messages(tmp_path):
    log = open_log(tmp_path)
    told = [(0, 0.0), (2, 0.5), (1, 0.2477), (1, 0.2474), (0, 0.0)]  # of 4 messages, 1 % is slack
    for number, (byzantine, share) in enumerate(told, 1):
        row = replace(ROUND, round=number, messages=4, byzantine=byzantine, byzantine_share=share)
        log.write("round", row)
    log.flush()
    log.close()
    rounds = list(main_rounds(tmp_path / "events.ndjson"))
    with_root = [{**row, "messages": 5, "root": 1} for row in rounds]
    assert capture_of(with_root) == capture_of(rounds)
    assert capture_of(rounds) == pytest.approx(2 / 3)
    assert attackers_share(rounds) == pytest.approx((0.5 + 0.2477 + 0.2474) / 3)
    assert (capture_of(rounds[:1]), attackers_share(rounds[:1])) == (None, None)


def test_tables_are_written_from_the_events(tmp_path):
    log = open_log(tmp_path)
    log.write("message", MESSAGE)
    log.write("round", ROUND)
    log.flush()
    log.close()
    RunFolder(tmp_path).write_tables()
    head, row = (tmp_path / "metrics.csv").read_text().splitlines()
    assert dict(zip(head.split(","), row.split(","), strict=True))["iou"] == "0.5"
    head, row = (tmp_path / "messages.csv").read_text().splitlines()
    assert dict(zip(head.split(","), row.split(","), strict=True))["cosine"] == "0.25"


def test_a_manifest_without_a_key_that_is_read_is_refused_with_the_key(tmp_path):
    RunFolder(tmp_path).write_manifest({"status": "finished"})
    assert Run.open(tmp_path).manifest["status"] == "finished"
    with pytest.raises(RunRefused, match=r"manifest\.json: has no score, which every run"):
        Run(tmp_path).summary()
    with pytest.raises(RunRefused, match=r"manifest\.json: has no digest, which every run"):
        _ = Run(tmp_path).manifest["digest"]


def test_no_copy_is_made_of_what_is_no_run_nor_over_anything(tmp_path):
    with pytest.raises(RunError, match=r"no manifest\.json"):
        tampered_copy(tmp_path, tmp_path / "copy", 1, "weights")
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 2}))
    with pytest.raises(RunError, match="is there already"):
        tampered_copy(tmp_path, tmp_path, 1, "weights")
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]

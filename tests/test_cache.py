from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import call

from fedchain import cache
from fedchain.cache import AGREED, LEAST, RATES, SCANS, TAG, UNFINISHED, place_of
from fedchain.errors import DataError

ROOT = Path(__file__).parents[1]
SIZE = 10 * LEAST


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDCHAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FEDCHAIN_CACHE_BYTES", raising=False)
    return tmp_path / "cache"


def added(number: int, used_s: float | None = None, size: int = SIZE) -> Path:
    """Add a file of zeros that was last used ``used_s`` seconds after 1970."""
    path = place_of(SCANS, f"file {number}", "npz")
    assert cache.try_add(path, lambda file: file.write(bytes(size)))
    if used_s is not None:
        os.utime(path, (used_s, used_s))
    return path


def there(folder: Path) -> set[Path]:
    return {entry.path for entry in cache.entries(folder)}


def allow(monkeypatch, size: int) -> None:
    monkeypatch.setenv("FEDCHAIN_CACHE_BYTES", str(size))


def test_the_least_recently_used_go_first_and_only_as_many_as_must(folder, monkeypatch):
    paths = [added(number, used_s=1000.0 + number) for number in range(5)]
    cache.mark_used(paths[0])
    allow(monkeypatch, 4 * SIZE)
    assert there(folder) == set(paths)  # nothing goes before something comes
    last = added(5)
    assert there(folder) == {paths[0], paths[3], paths[4], last}


def test_without_a_choice_a_gigabyte_is_kept(folder, monkeypatch):
    assert cache.bound() == 10**9
    paths = {added(number) for number in range(3)}
    monkeypatch.setattr(cache, "BOUND", 2 * SIZE)
    paths.add(added(3))
    assert len(there(folder)) == 2
    assert there(folder) < paths


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("2e9", 2 * 10**9), ("12345", 12345)])
def test_the_bound_is_a_number_of_bytes(monkeypatch, text, number):
    monkeypatch.setenv("FEDCHAIN_CACHE_BYTES", text)
    assert cache.bound() == number


@pytest.mark.parametrize("text", ["1GB", "-1", "nan", "inf", "1e999", " "])
def test_a_bound_that_is_no_number_of_bytes_is_refused_before_anything_is_made(monkeypatch, text):
    monkeypatch.setenv("FEDCHAIN_CACHE_BYTES", text)
    with pytest.raises(DataError, match=r"FEDCHAIN_CACHE_BYTES: is .* number of bytes"):
        place_of(SCANS, "key", "npz")


def test_with_a_bound_of_nothing_nothing_is_kept_and_the_log_says_so_once(
    folder, monkeypatch, caplog
):
    allow(monkeypatch, 0)
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            path = place_of(SCANS, str(number), "npz")
            assert not cache.try_add(path, lambda file: file.write(b"scan"))
    assert there(folder) == set()
    assert len(caplog.records) == 1
    assert "more than FEDCHAIN_CACHE_BYTES, 0" in caplog.text


def test_many_small_files_count_as_what_they_take_of_a_disk(folder, monkeypatch):
    allow(monkeypatch, 3 * LEAST)
    for number in range(9):
        added(number, size=1)
    assert len(there(folder)) == 3


def test_what_is_only_measured_again_on_demand_does_not_go(folder, monkeypatch):
    rates = folder / f"{RATES}-1.json"
    cache.add(rates, lambda file: file.write(b"{}"))
    os.utime(rates, (0, 0))
    allow(monkeypatch, SIZE)
    added(1)
    assert rates in there(folder)


def foreign(folder: Path) -> dict[str, bytes]:
    """Put old files, folders and links into a folder, which no command may touch."""
    outside, digits = folder.parent / "outside.txt", "a" * 32
    outside.write_bytes(b"mine")
    names = [
        "thesis.txt", ".bashrc", f"{SCANS}-{digits}.npz.bak", f"my-{SCANS}-{digits}.npz",
        f"{SCANS}-{digits[1:]}.npz", f"{SCANS}-{digits.upper()}.npz", f"{AGREED}-{digits}.npz",
        f"{RATES}-1.json~", f"{SCANS}.npz", f".{SCANS}.draft",
    ]  # fmt: skip
    for name in names:
        (folder / name).write_bytes(b"mine")
    (folder / f"{SCANS}-{'b' * 32}.npz").symlink_to(outside)
    (folder / f"{SCANS}-{'c' * 32}.npz").mkdir()
    (folder / f"{SCANS}-{'c' * 32}.npz" / "inside.txt").write_bytes(b"mine")
    for path in folder.rglob("*"):
        os.utime(path, (0, 0), follow_symlinks=False)
    return snapshot(folder.parent)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_that_is_not_ours_is_deleted_to_make_room_or_by_clear(folder, monkeypatch):
    first = added(0)
    before = foreign(folder)
    allow(monkeypatch, SIZE)
    second = added(1)
    assert [entry.path for entry in cache.clear_cache()[0]] == [second]
    del before[str(first)]
    assert snapshot(folder.parent) == before
    assert (folder / f"{SCANS}-{'b' * 32}.npz").is_symlink()


def test_the_use_of_a_link_does_not_touch_what_it_leads_to(folder):
    outside = folder.parent / "outside.txt"
    outside.write_bytes(b"mine")
    os.utime(outside, (5, 5))
    folder.mkdir()
    link = place_of(SCANS, "link", "npz")
    link.symlink_to(outside)
    cache.mark_used(link)
    assert outside.stat().st_mtime == 5
    cache.try_add(link, lambda file: file.write(b"ours"))
    assert (outside.read_bytes(), link.read_bytes()) == (b"mine", b"ours")


def test_a_folder_of_other_things_is_refused_by_clear(folder):
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    path = added(0)
    told = call("cache", "clear")
    assert told.code == 3
    assert "is no cache of fedchain, since it has 'thesis.txt'; nothing was deleted" in told.err
    assert path.exists()
    assert not (folder / TAG).exists()


def test_a_folder_of_before_the_tag_is_taken_for_what_it_is(folder):
    path = added(0)
    (folder / TAG).unlink()
    assert len(cache.clear_cache()[0]) == 1
    assert not path.exists()


def test_a_folder_that_is_not_there_has_nothing_to_show_or_clear(folder):
    assert "0 B of at most 1 GB" in call("cache").out
    assert "there was nothing" in call("cache", "clear").out
    assert not folder.exists()


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_folder_that_takes_nothing_costs_one_note(folder, monkeypatch, caplog, number):
    path = added(0)

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fedchain.system.sync_open", refuse)
    monkeypatch.setattr("os.utime", refuse)
    with caplog.at_level(logging.WARNING):
        for each in range(1, 4):
            assert not cache.try_add(
                place_of(SCANS, str(each), "npz"), lambda file: file.write(b"")
            )
        cache.mark_used(path)
    assert [os.strerror(number) in record.getMessage() for record in caplog.records] == [True]
    assert {each.name for each in folder.iterdir()} == {path.name, TAG}


def test_a_file_that_cannot_be_deleted_stays_and_the_next_one_goes(folder, monkeypatch):
    paths = [added(number, used_s=1000.0 + number) for number in range(3)]
    unlink = Path.unlink

    def held(path, missing_ok=False):
        if path == paths[0]:  # as on Windows, while another process reads it
            raise PermissionError(errno.EACCES, "is in use")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", held)
    allow(monkeypatch, 2 * SIZE)
    last = added(3)
    assert there(folder) == {paths[0], last}
    told = call("cache", "clear", "--format", "json")
    found = json.loads(told.out)
    assert told.code == 1
    assert found["failed"] == [{"path": str(paths[0]), "reason": "is in use"}]
    assert f"{paths[0]}: cannot be deleted: is in use" in told.err
    assert there(folder) == {paths[0]}


@pytest.mark.parametrize(
    "name",
    [
        f".{SCANS}-{'d' * 32}.npz.77-140.draft",
        f".{SCANS}-{'d' * 32}-x_8k2abc",
        f".{AGREED}-{'d' * 32}.txt.x_8k2abc",
        f".{RATES}-1.json.77.draft",
        f".{TAG}.77-140.draft",
    ],
)
def test_what_a_killed_process_left_goes_and_what_is_being_written_stays(folder, name):
    assert cache.kind_of(name) == UNFINISHED
    folder.mkdir()
    draft = folder / name
    draft.write_bytes(b"half")
    cache.clear_cache()
    added(0)
    assert draft.exists()
    os.utime(draft, (time.time() - 2 * cache.ABANDONED_S,) * 2)
    added(1)
    assert not draft.exists()


def test_a_write_that_fails_in_the_middle_leaves_the_old_file(folder):
    path = added(0)

    def fail(file):
        file.write(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.try_add(path, fail)
    assert path.read_bytes() == bytes(SIZE)
    assert {each.name for each in folder.iterdir()} == {path.name, TAG}


BUSY = """
import sys
import numpy as np
from fedchain.scans.cache import cached
for turn in range(60):
    seed = (turn * int(sys.argv[1])) % 7
    made = cached({"kind": "simulated-scans", "seed": seed}, lambda: {"a": np.full(4000, seed)})
    assert made["a"].tolist() == [seed] * 4000, seed
print("whole")
"""


def test_two_processes_that_add_read_and_evict_at_once_get_their_numbers(folder):
    """There is room for two of seven files, so one process often deletes what the other needs."""
    most = 3 * 36_000
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FEDCHAIN_CACHE_BYTES": str(most)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", BUSY, step],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for step in ("1", "3")
    ]
    assert [process.communicate(timeout=120) for process in started] == [("whole\n", "")] * 2
    found = cache.entries(folder)
    assert found
    assert sum(entry.room for entry in found) <= most


def test_the_command_shows_each_kind_and_clears_one(folder):
    scans = added(0, used_s=1_700_000_000.0, size=50_000)
    agreed = place_of(AGREED, "mechanism", "txt")
    cache.try_add(agreed, lambda file: file.write(b"mechanism"))
    told = json.loads(call("cache", "--format", "json").out)
    assert (told["folder"], told["bound"], told["bytes"]) == (str(folder), 10**9, 50_009)
    kinds = {row["kind"]: row for row in told["kinds"]}
    assert list(kinds) == list(cache.FILE_KINDS)
    assert (kinds[SCANS]["files"], kinds[SCANS]["bytes"]) == (1, 50_000)
    assert kinds[SCANS]["last_used"] == "2023-11-14T22:13:20+00:00"
    assert kinds[RATES]["last_used"] is None
    shown = call("cache", "--format", "plain").out
    assert f"{folder}: 50.01 kB of at most 1 GB" in shown
    cleared = call("cache", "clear", SCANS)
    assert cleared.out == f"removed 50 kB from {folder}: 1 {SCANS}\n"
    assert (scans.exists(), agreed.exists()) == (False, True)
    removed = json.loads(call("cache", "--format", "json", "clear").out)
    assert [row["files"] for row in removed["removed"]] == [0, 1, 0, 0, 0]
    assert there(folder) == set()


def test_an_unknown_kind_is_refused(folder):
    path = added(0)
    told = call("cache", "clear", "simulated-scan")
    assert told.code == 2
    assert "no kind called 'simulated-scan'" in told.err
    assert "simulated-scans" in told.err
    assert path.exists()

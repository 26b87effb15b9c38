"""Files of a run folder: no link is followed, no pipe waited for, no size believed."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import pytest

from fedchain import files, system
from fedchain.errors import RunError, RunRefused
from fedchain.files import (
    check_folder,
    copy_files,
    open_to_append,
    open_to_read,
    read_bytes,
    read_json,
    read_utf8,
    write_output,
    write_whole,
)

LINKS = pytest.mark.skipif(os.name == "nt", reason="a link needs a right there")


@LINKS
def test_neither_readers_nor_writers_follow_a_link(tmp_path):
    (tmp_path / "victim").write_text("mine")
    link, nowhere = tmp_path / "link", tmp_path / "nowhere"
    link.symlink_to(tmp_path / "victim")
    nowhere.symlink_to(tmp_path / "made")
    for path in (link, nowhere):
        for act in (open_to_read, open_to_append, read_bytes):
            with pytest.raises(OSError, match="is a link, a pipe or a device"):
                act(path)
        for read in (read_utf8, read_json):
            with pytest.raises(RunRefused, match="cannot be read: is a link, a pipe or a device"):
                read(path)
        write_whole(path, "new")
        assert (path.is_symlink(), path.read_text()) == (False, "new")
    assert (tmp_path / "victim").read_text() == "mine"
    assert not (tmp_path / "made").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_nobody_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for act in (open_to_read, open_to_append, read_bytes):
        with pytest.raises(OSError, match="is a link, a pipe or a device"):
            act(tmp_path / "pipe")


@LINKS
def test_what_waits_under_the_name_of_a_draft_is_not_written_to(tmp_path, monkeypatch):
    (tmp_path / "victim").write_text("mine")
    monkeypatch.setattr(secrets, "token_hex", lambda count: "0" * 2 * count)
    (tmp_path / f".file.{'0' * 16}.draft").symlink_to(tmp_path / "victim")
    with pytest.raises(RunRefused, match="file: cannot be written"):
        write_whole(tmp_path / "file", "new")
    assert (tmp_path / "victim").read_text() == "mine"


def test_drafts_have_names_that_nobody_knows_before(tmp_path, monkeypatch):
    seen: list[str] = []
    monkeypatch.setattr(system, "replace", lambda draft, _: seen.append(draft.name))
    for _ in range(3):
        write_whole(tmp_path / "file", "text")
    assert len(set(seen)) == 3
    assert str(os.getpid()) not in "".join(name.split(".")[1] for name in seen)


@pytest.mark.skipif(sys.platform == "win32", reason="files have holes only if they are told to")
def test_a_size_is_known_before_a_byte_is_read(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    os.truncate(tmp_path / "file", 10 * 2**30)
    before = system.peak_memory()
    with pytest.raises(OSError, match="has 10737418240 bytes; at most 8388608 are allowed"):
        read_bytes(tmp_path / "file")
    with pytest.raises(RunRefused, match="has 10737418240 bytes; at most 8388608 are allowed"):
        read_json(tmp_path / "file")
    with pytest.raises(OSError, match="at most 4294967296 are copied"):
        copy_files({tmp_path / "file": tmp_path / "copy"})
    assert not (tmp_path / "copy").exists()
    assert system.peak_memory() - before < 2**26
    assert system.occupied((tmp_path / "file").stat()) < 2**20


@pytest.mark.parametrize("text", ["[" * 100_000, "{", '"\\ud800"', "9" * 5000, b"\xff"])
def test_json_that_cannot_be_read_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "file.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RunRefused) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: cannot be read: ")
    assert len(str(caught.value).splitlines()) == 1


@LINKS
@pytest.mark.parametrize("depth", [0, 1, 40])
def test_a_folder_is_checked_at_every_depth(tmp_path, depth):
    folder = tmp_path / "folder"
    place = folder.joinpath(*["d"] * depth)
    place.mkdir(parents=True)
    (place / "file").write_text("text")
    (place / ".hidden").write_text("text")
    check_folder(folder)
    (tmp_path / "link").symlink_to(folder)
    check_folder(tmp_path / "link")  # the path that the user gives may be a link
    for target in (place, place / "file", tmp_path / "nowhere"):
        (place / "x").symlink_to(target)
        with pytest.raises(RunRefused, match=r"x: is a link, a pipe or a device"):
            check_folder(folder)
        (place / "x").unlink()


def test_no_folder_is_whole_and_a_file_is_none(tmp_path):
    check_folder(tmp_path / "missing")
    check_folder(tmp_path / "missing", own=True)
    (tmp_path / "file").touch()
    with pytest.raises(RunRefused, match="is a file, not a run's folder"):
        check_folder(tmp_path / "file")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell who owns a folder")
def test_the_owner_of_a_folder_is_named(tmp_path, monkeypatch):
    assert system.foreign_owner(tmp_path) is None
    check_folder(tmp_path, own=True)
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 1)
    owner = system.foreign_owner(tmp_path)
    assert owner
    with pytest.raises(RunRefused, match=f"belongs to {owner}, who may change it meanwhile"):
        check_folder(tmp_path, own=True)
    check_folder(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert system.foreign_owner(tmp_path) == f"user {tmp_path.stat().st_uid}"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_an_output_that_the_user_names_may_be_a_device_and_is_not_replaced(tmp_path):
    write_output(Path(os.devnull), "text")
    assert not Path(os.devnull).is_file()
    write_output(tmp_path / "new", ["a", b"b"])
    assert (tmp_path / "new").read_text() == "ab"
    with pytest.raises(RunError, match="cannot be written"):
        write_output(tmp_path, "text")


def test_copies_are_whole_and_never_over_another_file(tmp_path):
    (tmp_path / "file").write_bytes(b"bytes" * 1000)
    copy = tmp_path / "deep" / "copy"
    copy_files({tmp_path / "file": copy})
    assert copy.read_bytes() == b"bytes" * 1000
    with pytest.raises(FileExistsError):
        copy_files({tmp_path / "file": copy})
    assert files.LARGEST < files.MOST_COPIED

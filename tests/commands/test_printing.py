"""What a command prints never breaks it, and never looks printed when it was not."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import call
from rich.console import Console

from fedchain import commands
from fedchain.commands import formats
from fedchain.commands.printing import UNPRINTED

NOT_UTF8 = "br\udcfcst"
"""A name with the byte of a Latin-1 u with dots, as Python gives it."""


def printed_to(stream: object, monkeypatch, *arguments: object) -> tuple[int, str]:
    """Return exit code and stderr of a command whose stdout is a stream."""
    errors = io.StringIO()
    monkeypatch.setattr(sys, "argv", ["fedchain", *map(str, arguments)])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # as main sets it; removed after the test
    with pytest.raises(SystemExit) as stop:
        commands.main()
    return stop.value.code, errors.getvalue()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk here is always full")
def test_a_full_disk_under_stdout_is_neither_success_nor_a_failed_command(monkeypatch):
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123
        code, errors = printed_to(full, monkeypatch, "list", "engine", "--format=json")
    assert code == UNPRINTED
    assert errors == "stdout: cannot be written: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk here is always full")
def test_what_a_command_found_matters_more_than_what_was_printed(monkeypatch, tmp_path):
    (tmp_path / "bad.yaml").write_text("version: 1\n")
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123
        code, errors = printed_to(
            full, monkeypatch, "validate", tmp_path / "bad.yaml", "--format=json"
        )
    assert (code, len(errors.splitlines())) == (2, 1)


def test_a_reader_that_has_seen_enough_is_no_failure(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as pipe:  # noqa: PTH123
        assert printed_to(pipe, monkeypatch, "list") == (0, "")


def test_letters_that_a_terminal_does_not_have_are_replaced(monkeypatch, tmp_path):
    raw = io.BytesIO()
    ascii_only = io.TextIOWrapper(raw, encoding="ascii")
    code, errors = printed_to(
        ascii_only, monkeypatch, "validate", tmp_path / "ä b.yaml", "--format=json"
    )
    assert (code, errors) == (2, "")
    assert b"\\u00e4 b.yaml" in raw.getvalue()
    ascii_only.detach()


def test_a_name_that_is_not_utf_8_is_shown_by_its_byte(tmp_path, monkeypatch):
    raw = io.BytesIO()
    utf8 = io.TextIOWrapper(raw, encoding="utf-8")
    code, _ = printed_to(utf8, monkeypatch, "validate", tmp_path / NOT_UTF8, "--format=json")
    assert code == 2
    assert b"br\\\\xfcst" in raw.getvalue()
    utf8.detach()


def closed_at_start(what: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a descriptor closed, as a shell's ``>&-`` does."""
    line = f'exec "$0" -m fedchain list engine --format=plain {what}'
    return subprocess.run(
        ["sh", "-c", line, sys.executable], capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(os.name != "posix", reason="asks a POSIX shell")
@pytest.mark.parametrize("what", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_descriptor_is_as_good_as_dev_null(what):
    done = closed_at_start(what)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("threads" in done.stdout) == (" >&-" not in f" {what}")


def test_after_the_first_signal_the_next_ones_do_not_interrupt_the_saving():
    from fedchain.interruption import ENDING, stoppable

    before = {each: signal.getsignal(each) for each in ENDING}
    saved = []

    def interrupted_twice() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            saved.append(True)

    try:
        with pytest.raises(KeyboardInterrupt), stoppable():
            interrupted_twice()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert saved


@pytest.mark.skipif(sys.platform == "win32", reason="Windows deletes no current folder")
def test_a_current_folder_that_was_deleted_needs_no_traceback(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert call("list", "update", "--format=json").code == 0
    told = call("run", "breast_cancer", "--out", tmp_path)
    assert (told.code, told.out) == (2, "")
    assert told.err == "the current folder was deleted; go to another one: cd\n"


def test_brackets_and_colons_of_a_user_are_shown_as_they_are(capsys, monkeypatch):
    odd = "[old] [/data/notes] :smile: [bold]"
    formats.stderr().print(odd)
    formats.print_result(formats.Format.rich, {}, [odd, formats.table([odd], [[odd]])])
    shown = io.StringIO()
    monkeypatch.setattr(
        formats,
        "stderr",
        lambda: Console(file=shown, force_terminal=True, width=200, color_system=None),
    )
    with formats.progress_bar(odd) as done:
        done(1, 2, f"{odd} now")
    told = capsys.readouterr()
    assert [told.err.count(odd), told.out.count(odd)] == [1, 3]
    assert f"{odd} now" in shown.getvalue()


def test_one_line_says_that_a_command_was_interrupted(monkeypatch, tmp_path):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fedchain.results.exported_to", stop)
    told = call("export", tmp_path, "--out", tmp_path / "x")
    assert (told.code, told.out, len(told.err.splitlines())) == (130, "", 1)

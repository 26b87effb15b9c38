"""Runs with a secret file: who lacks the file can neither go on with one nor draw its noise."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from small_runs import small

from fedchain.audits import Choices, audit
from fedchain.errors import DataError, RunError, RunRefused
from fedchain.results import Run
from fedchain.runs import secret as secrets
from fedchain.runs.callbacks import Callback
from fedchain.runs.running import resume, run
from fedchain.runs.secret import open_secret
from fedchain.scenario import run_name

BITS = bytes(range(32))
STATED = "privacy.json"
NO_SECRETS = (
    "", "00" * 32 + "\n\n", "0" * 63, "0" * 66, "g" * 64, "A" * 64, "0" * 64 + " ", "\0" * 64
)  # fmt: skip
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")


class Stop(Callback):
    """A callback that interrupts a run after its first round."""

    def on_round_end(self, ended):
        raise KeyboardInterrupt


def kept(file: Path, bits: bytes = BITS) -> Path:
    file.write_text(bits.hex() + "\n")
    file.chmod(0o600)
    return file


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a secret file and an interrupted run that was begun with it."""
    found = tmp_path_factory.mktemp("secret")
    with pytest.raises(KeyboardInterrupt):
        run(small(3), found, secret=kept(found / "file"), callbacks=[Stop()])
    return found


def test_a_missing_file_is_made_with_256_new_bits_that_only_the_owner_may_read(tmp_path):
    done = run(small(1, attacks=[]), tmp_path / "runs", secret=tmp_path / "file")
    text = (tmp_path / "file").read_text()
    assert len(text) == 65
    assert text.endswith("\n")
    assert len(set(bytes.fromhex(text))) > 10
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert done.manifest["secret"] is True
    for name, data in contents(done.folder).items():
        assert text.strip() not in data.decode("latin-1"), name
        assert bytes.fromhex(text) not in data, name
        assert str(tmp_path / "file") not in data.decode("latin-1"), name


def test_the_same_file_gives_the_same_run_and_another_one_another(tmp_path):
    heads = []
    for name, bits in (("one", BITS), ("again", BITS), ("other", BITS[::-1]), ("none", None)):
        file = None if bits is None else kept(tmp_path / name, bits)
        done = run(small(2), tmp_path / f"runs-{name}", secret=file)
        heads.append(done.manifest["head"])
        assert done.verify().ok
        assert done.manifest["secret"] is (bits is not None)
    assert heads[0] == heads[1]
    assert len(set(heads)) == 3


def test_a_secret_is_resumed_with_its_file_to_the_head_it_would_have_had(place, tmp_path):
    whole = run(small(3), tmp_path, secret=place / "file")
    resumed = resume(place / run_name(small(3)), secret=place / "file")
    assert resumed.manifest["head"] == whole.manifest["head"]
    assert resumed.manifest["secret"] is True


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (None, "was begun with --secret; give the same file"),
        (BITS[::-1], "is not the secret of"),
        ("missing", "no such file; .* was begun with a secret: give its file"),
    ],
)
def test_a_wrong_or_missing_secret_is_refused_before_anything_is_written(tmp_path, bits, words):
    with pytest.raises(KeyboardInterrupt):
        run(small(3), tmp_path, secret=kept(tmp_path / "file"), callbacks=[Stop()])
    folder = tmp_path / run_name(small(3))
    before = contents(folder)
    file = None if bits is None else tmp_path / "wrong"
    if isinstance(bits, bytes):
        kept(file, bits)
    with pytest.raises(RunRefused, match=words):
        resume(folder, secret=file)
    with pytest.raises(RunRefused, match=words):
        run(small(3), tmp_path, secret=file)
    assert contents(folder) == before
    assert bits != "missing" or not file.exists()


def test_a_finished_run_is_not_handed_out_as_one_with_another_secret(tmp_path):
    run(small(1, attacks=[]), tmp_path, secret=kept(tmp_path / "file"))
    again = run(small(1, attacks=[]), tmp_path, secret=tmp_path / "file")
    assert again.manifest["status"] == "finished"
    for file in (None, kept(tmp_path / "wrong", BITS[::-1])):
        with pytest.raises(RunRefused, match="secret"):
            run(small(1, attacks=[]), tmp_path, secret=file)
        with pytest.raises(RunRefused, match="secret"):
            resume(again.folder, secret=file)
        with pytest.raises(RunRefused, match="secret"):
            audit(again, choices=Choices(secret=file))


def test_a_run_without_a_secret_takes_none_later(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(small(3), tmp_path, callbacks=[Stop()])
    with pytest.raises(RunRefused, match="was begun without --secret; leave it out"):
        resume(tmp_path / run_name(small(3)), secret=kept(tmp_path / "file"))


def test_an_audit_makes_its_runs_with_the_secret(tmp_path):
    file = kept(tmp_path / "file")
    choices = Choices(canaries=20, runs=1, secret=file)
    scenario = small(2, attacks=[], **{"nodes.holders": 3, "aggregation": {"kind": "mean"}})
    found = audit(scenario, out=tmp_path / "audits", choices=choices)
    made = [Run.open(folder) for folder in (found.folder / "audit").iterdir()]
    assert made
    assert all(each.manifest["secret"] for each in made)
    with pytest.raises(RunRefused, match="was begun with --secret"):
        audit(scenario, out=tmp_path / "audits", choices=Choices(canaries=20, runs=1))


def test_where_nothing_is_begun_no_secret_is_left(tmp_path):
    task = {"kind": "scan_folder", "path": str(tmp_path / "none")}
    with pytest.raises(DataError):
        run(small(1, attacks=[], task=task), tmp_path / "runs", secret=tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_the_statement_says_where_the_seed_is(tmp_path):
    file = kept(tmp_path / "file")
    hidden, open_ = (
        json.loads(
            (run(small(1), tmp_path / name, secret=each).folder / "privacy.json").read_text()
        )
        for name, each in (("hidden", file), ("open", None))
    )
    assert "it is in a file of the user's own" in hidden["guarantee"]
    assert "a simulation publishes its seed" in open_["guarantee"]


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_file_that_others_can_read_or_change_is_refused(tmp_path, mode):
    file = kept(tmp_path / "file")
    file.chmod(mode)
    with pytest.raises(RunRefused, match=f"others may read or change it \\(mode {mode:o}\\)"):
        open_secret(file, tmp_path / "run", must_exist=True)


@pytest.mark.parametrize(
    "text",
    ["", "00" * 32 + "\n\n", "0" * 63, "0" * 66, "g" * 64, "A" * 64, "0" * 64 + " ", "\0" * 64],
)
def test_a_file_without_64_digits_is_refused_and_its_content_not_shown(tmp_path, text):
    file = tmp_path / "file"
    file.write_text(text, newline="")
    file.chmod(0o600)
    with pytest.raises(RunRefused, match="holds no secret; 64 hexadecimal digits") as found:
        open_secret(file, tmp_path / "run", must_exist=True)
    assert len(str(found.value).splitlines()) == 1
    assert not text.strip() or text.strip() not in str(found.value)


def test_a_file_with_or_without_the_newline_is_read(tmp_path):
    for text in (BITS.hex(), BITS.hex() + "\n", BITS.hex() + "\r\n"):
        file = kept(tmp_path / "file")
        file.write_bytes(text.encode())
        assert open_secret(file, tmp_path / "run", must_exist=True).bits == BITS


@POSIX
def test_a_pipe_a_folder_and_a_device_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(RunRefused, match="is no file"):
            open_secret(path, tmp_path / "run", must_exist=False)


def test_a_file_inside_the_run_folder_is_refused(tmp_path):
    with pytest.raises(RunRefused, match="lies in the run's folder"):
        open_secret(tmp_path / "run" / "file", tmp_path / "run", must_exist=False)


def test_a_file_that_another_process_has_just_made_is_not_replaced(tmp_path):
    drawn = open_secret(tmp_path / "file", tmp_path / "run", must_exist=False)
    kept(tmp_path / "file")
    with pytest.raises(RunRefused, match="another process has just made it"):
        drawn.keep()
    assert (tmp_path / "file").read_text() == BITS.hex() + "\n"


def test_a_disk_that_fails_leaves_no_half_of_a_file(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(secrets, "sync_open", full)
    drawn = open_secret(tmp_path / "file", tmp_path / "run", must_exist=False)
    with pytest.raises(RunError, match="No space left"):
        drawn.keep()
    assert not (tmp_path / "file").exists()


def test_nothing_shows_the_bits(tmp_path):
    found = open_secret(kept(tmp_path / "file"), tmp_path / "run", must_exist=True)
    assert BITS.hex() not in repr(found)
    assert repr(BITS) not in repr(found)

import logging
from pathlib import Path

import numpy as np
import pytest

from fedchain.cache import SCANS, cache_folder, clear_cache
from fedchain.scans.cache import cached
from fedchain.scans.tasks.simulated import federation

KEY = {"kind": SCANS, "version": 1, "seed": 3}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDCHAIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kept(folder):
    return list(folder.glob("*.npz"))


class Maker:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"values": np.arange(1000.0), "flags": np.array([True, False])}


def same(arrays):
    return (arrays["values"] == np.arange(1000.0)).all() and arrays["flags"].tolist() == [
        True,
        False,
    ]


def test_what_was_made_once_is_read_again(folder):
    make = Maker()
    assert same(cached(KEY, make))
    assert same(cached(KEY, make))
    assert make.calls == 1
    assert len(kept(folder)) == 1


def test_another_key_is_made_anew():
    make = Maker()
    cached(KEY, make)
    cached({**KEY, "seed": 4}, make)
    assert make.calls == 2


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "garbage", "other"])
def test_a_damaged_file_is_made_anew_with_a_line_in_the_log(folder, damage, caplog):
    make = Maker()
    cached(KEY, make)
    (path,) = kept(folder)
    data = path.read_bytes()
    cached({**KEY, "seed": 4}, make)
    (other,) = set(kept(folder)) - {path}
    damaged = {
        "truncate": data[: len(data) // 2],
        "flip": data[:500] + bytes([data[500] ^ 1]) + data[501:],
        "empty": b"",
        "garbage": b"not a zip" * 99,
        "other": other.read_bytes(),
    }[damage]
    path.write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        assert same(cached(KEY, make))
    assert make.calls == 3
    assert str(path) in caplog.text
    assert same(cached(KEY, make))
    assert make.calls == 3


def test_no_flipped_byte_gives_other_numbers(folder):
    make = Maker()
    cached({**KEY, "seed": 5}, make)
    (path,) = kept(folder)
    data = path.read_bytes()
    for place in range(0, len(data), 37):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        assert same(cached({**KEY, "seed": 5}, make))


def test_a_folder_that_cannot_be_made_costs_no_result(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FEDCHAIN_CACHE", str(tmp_path / "file" / "cache"))
    make = Maker()
    assert same(cached(KEY, make))
    assert same(cached(KEY, make))
    assert make.calls == 2
    assert "not kept" in caplog.text


def test_a_write_that_fails_leaves_nothing_behind(folder, monkeypatch):
    def full(self, target):
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert same(cached(KEY, Maker()))
    assert list(folder.iterdir()) == []


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("FEDCHAIN_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "fedchain"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == Path.home() / ".cache" / "fedchain"


def test_a_federation_is_the_same_with_and_without_the_cache_and_holds_out_scans_of_all_sites(
    folder,
):
    first = federation(0, 3, 4, 7, 16)
    assert len(kept(folder)) == 1
    second = federation(0, 3, 4, 7, 16)
    assert len(clear_cache()[0]) == 1
    third = federation(0, 3, 4, 7, 16)
    for one, *others in zip(first, second, third, strict=True):
        assert [other.distance.tobytes() for other in others] == [one.distance.tobytes()] * 2
    assert first[0].site.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert first[1].site.tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_a_file_that_another_process_adds_after_the_look_is_not_called_damaged(folder, caplog):
    make = Maker()
    cached(KEY, make)
    (path,) = kept(folder)
    data, look, looks = path.read_bytes(), Path.stat, []
    path.unlink()

    def look_and_add(self, **options):
        try:
            return look(self, **options)
        finally:
            if self == path and not looks:
                looks.append(path.write_bytes(data))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "stat", look_and_add)
        assert same(cached(KEY, make))
    assert looks == [len(data)]
    assert not caplog.records

import json

import pytest

from fedchain.errors import DataError, RunRefused
from fedchain.registry import Section
from fedchain.scans.training.folders import ScanFile
from fedchain.scans.training.journal import (
    Result,
    digest_of_scan,
    open_results,
    work_through,
)


class Size(Section):
    points: int
    words: tuple[str, ...] = ()


def result(name="a", source="1", files=("a.ply",), **figures):
    return Result(name=name, source=source, files=files, figures=figures)


def opened(out, settings="as it is", force=False):
    return open_results(out / "made.json", settings, force=force)


def written(journal, *results):
    for each in results:
        journal.begin(each.name, each.files)
        for file in each.files:
            (journal.out / file).write_text("points")
        journal.end(each)


def test_a_result_is_finished_for_the_next_call_while_its_files_and_its_source_are_there(tmp_path):
    written(opened(tmp_path), result(points=3))
    again = opened(tmp_path)
    assert again.finished("a", "1") == result(points=3)
    assert again.finished("b", "1") is None
    with pytest.raises(RunRefused, match=r"a: was made from another scan of this name"):
        again.finished("a", "2")
    assert opened(tmp_path, force=True).finished("a", "2") is None
    (tmp_path / "a.ply").unlink()
    assert again.finished("a", "1") is None


def test_the_bytes_of_a_journal_do_not_depend_on_the_order_of_work(tmp_path):
    one, other = result("b", files=("b.ply",)), result("a")
    for place, order in (("x", (one, other)), ("y", (other, one))):
        written(opened(tmp_path / place), *order)
        opened(tmp_path / place).forget(each.name for each in order[:1])
        opened(tmp_path / place).forget(each.name for each in order[1:])
        written(opened(tmp_path / place), result("c", files=("c.ply",)), one)
        opened(tmp_path / place).forget("cb" if place == "x" else "bc")
    x, y = ((tmp_path / each / "made.json").read_bytes() for each in "xy")
    assert x == y


def test_a_file_is_replaced_only_if_the_journal_has_written_it_or_by_force(tmp_path):
    journal = opened(tmp_path)
    (tmp_path / "a.ply").write_text("mine")
    with pytest.raises(RunRefused, match=r"a\.ply: is there already; give --force"):
        journal.begin("a", ("a.ply",))
    journal.begin("b", ("b.ply",))
    (tmp_path / "b.ply").write_text("half")
    opened(tmp_path).begin("b", ("b.ply",))
    opened(tmp_path, force=True).begin("a", ("a.ply",))


def test_other_settings_are_refused_and_by_force_all_is_made_again(tmp_path):
    written(opened(tmp_path), result())
    before = (tmp_path / "made.json").read_bytes()
    with pytest.raises(RunRefused, match=r"\(as it is\), not of otherwise; give --force"):
        opened(tmp_path, "otherwise")
    assert (tmp_path / "made.json").read_bytes() == before
    opened(tmp_path, "otherwise", force=True)
    journal = opened(tmp_path, "otherwise")  # the force of an interrupted call is remembered
    assert journal.finished("a", "1") is None
    journal.begin("a", ("a.ply",))


def test_what_is_forgotten_is_made_again_and_its_files_may_be_replaced(tmp_path):
    journal = opened(tmp_path)
    written(journal, result(), result("b", files=("b.ply",)))
    journal.forget(["a", "unknown"])
    assert journal.finished("a", "1") is None
    assert journal.finished("b", "1") is not None
    journal.begin("a", ("a.ply",))


def test_drafts_of_a_killed_call_are_deleted_and_no_other_file(tmp_path):
    opened(tmp_path).begin("a", ("a[1].ply",))
    draft = "0123456789abcdef.draft"
    ours = [tmp_path / f".a[1].ply.{draft}", tmp_path / f".made.json.{draft}"]
    others = [tmp_path / f".a1.ply.{draft}", tmp_path / ".a[1].ply.draft"]
    for file in (*ours, *others):
        file.touch()
    opened(tmp_path).begin("a", ("a[1].ply",))
    assert not any(file.exists() for file in ours)
    assert all(file.exists() for file in others)


def test_figures_are_read_as_what_was_written_and_damaged_ones_are_named(tmp_path):
    written(opened(tmp_path), result(points=3, words=["light", "dark"]))
    assert opened(tmp_path).entries.done["a"].measured(Size) == Size(
        points=3, words=("light", "dark")
    )
    text = json.loads((tmp_path / "made.json").read_text())
    text["done"]["a"]["figures"]["points"] = "many"
    (tmp_path / "made.json").write_text(json.dumps(text))
    with pytest.raises(DataError, match="a: the journal's figures are damaged"):
        opened(tmp_path).entries.done["a"].measured(Size)


def test_a_scan_that_fails_does_not_stop_the_others_and_what_is_finished_is_not_made_again(
    tmp_path,
):
    files = [ScanFile(tmp_path / f"{name}.xyz", name) for name in "abc"]
    for file in files:
        file.path.write_text(file.name)
    journal, made, told = opened(tmp_path / "out"), [], []

    def make(file, digest):
        made.append(file.name)
        if file.name == "b":
            raise DataError("b.xyz: is damaged")
        journal.begin(file.name, (f"{file.name}.ply",))
        (journal.out / f"{file.name}.ply").touch()
        return result(file.name, digest, (f"{file.name}.ply",))

    for before, again in ((set(), "abc"), ({"a", "c"}, "b")):
        made.clear()
        done = work_through(files, journal, digest_of_scan, make, lambda *now: told.append(now))
        assert [each.name for each in done.results] == ["a", "c"]
        assert (done.before, done.failed) == (before, {"b": "b.xyz: is damaged"})
        assert made == list(again)
    assert told[:3] == [(0, 3, "a"), (1, 3, "b"), (2, 3, "c")]

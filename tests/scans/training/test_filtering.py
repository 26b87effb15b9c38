import json

import numpy as np
import pytest
from training_scans import bumpy, by_light, folder_of_pairs, write_npz

from fedchain.errors import DataError, RunError, RunRefused
from fedchain.scans.formats import read_scan
from fedchain.scans.training.filtering import filter_folder
from fedchain.scans.training.images import RowCells


def bytes_in(folder):
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_cloud_and_the_mask_have_the_points_that_the_model_keeps(tmp_path):
    folder, out = folder_of_pairs(tmp_path / "scans"), tmp_path / "out"
    done = filter_folder(folder, by_light(), "m", out)
    assert [each.name for each in done.scans] == ["scan_000", "scan_001", "scan_002"]
    for number, each in enumerate(done.scans):
        before, mask = bumpy(number), np.load(out / f"{each.name}.keep.npy")
        assert mask.dtype == bool
        assert (mask == before.keep).all()
        after = read_scan(out / each.cloud)
        assert (after.valid == mask).all()
        assert (after.positions[mask] == before.positions[mask]).all()
        assert (each.points, each.kept) == (before.valid.sum(), mask.sum())


def test_an_interrupted_filtering_goes_on_with_the_same_result(tmp_path):
    folder = folder_of_pairs(tmp_path / "scans")
    filter_folder(folder, by_light(), "m", tmp_path / "whole")

    def stop(done, _, name):
        if name == "scan_001":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filter_folder(folder, by_light(), "m", tmp_path / "out", progress=stop)
    (tmp_path / "out" / "scan_001.npz").write_bytes(b"half")
    journal = json.loads((tmp_path / "out" / "filtered.json").read_text())
    journal["begun"] = {"scan_001": ["scan_001.npz", "scan_001.keep.npy"]}
    (tmp_path / "out" / "filtered.json").write_text(json.dumps(journal))
    done = filter_folder(folder, by_light(), "m", tmp_path / "out")
    assert done.before == {"scan_000"}
    whole = bytes_in(tmp_path / "whole")
    assert bytes_in(tmp_path / "out").keys() == whole.keys()
    masks = [name for name in whole if name.endswith(".npy")]
    assert all(bytes_in(tmp_path / "out")[name] == whole[name] for name in masks)


def test_results_of_another_model_are_refused_and_replaced_only_by_force(tmp_path):
    folder, out = folder_of_pairs(tmp_path / "scans"), tmp_path / "out"
    filter_folder(folder, by_light(), "m", out)
    before = bytes_in(out)
    with pytest.raises(RunRefused, match="another model or setting"):
        filter_folder(folder, by_light(threshold=0.0), "other", out)
    with pytest.raises(RunRefused, match="another model or setting"):
        filter_folder(folder, by_light(), "m", out, even_unlike=True)
    assert bytes_in(out) == before
    done = filter_folder(folder, by_light(threshold=0.0), "other", out, force=True)
    assert not done.before
    assert all(each.kept == each.points for each in done.scans)


def test_a_file_that_no_filtering_has_written_is_never_replaced(tmp_path):
    folder, out = folder_of_pairs(tmp_path / "scans"), tmp_path / "out"
    out.mkdir()
    (out / "scan_001.npz").write_text("mine")
    done = filter_folder(folder, by_light(), "m", out)
    assert list(done.failed) == ["scan_001"]
    assert "is there already" in done.failed["scan_001"]
    assert (out / "scan_001.npz").read_text() == "mine"


def test_a_scan_that_changed_since_is_named_and_not_filtered_again(tmp_path):
    folder, out = folder_of_pairs(tmp_path / "scans"), tmp_path / "out"
    filter_folder(folder, by_light(), "m", out)
    write_npz(folder / "scan_001.npz", bumpy(7))
    done = filter_folder(folder, by_light(), "m", out)
    assert "from another scan of this name" in done.failed["scan_001"]
    done = filter_folder(folder, by_light(), "m", out, force=True)
    assert not done.failed
    assert (np.load(out / "scan_001.keep.npy") == bumpy(7).keep).all()


def test_a_scan_whose_results_were_deleted_is_filtered_again(tmp_path):
    folder, out = folder_of_pairs(tmp_path / "scans"), tmp_path / "out"
    filter_folder(folder, by_light(), "m", out)
    (out / "scan_001.keep.npy").unlink()
    assert filter_folder(folder, by_light(), "m", out).before == {"scan_000", "scan_002"}


def test_a_damaged_scan_does_not_stop_the_others(tmp_path):
    folder = folder_of_pairs(tmp_path / "scans")
    (folder / "scan_001.npz").write_bytes(b"PK no scan")
    done = filter_folder(folder, by_light(), "m", tmp_path / "out")
    assert [each.name for each in done.scans] == ["scan_000", "scan_002"]
    assert "scan_001.npz" in done.failed["scan_001"]


def test_a_scan_unlike_the_training_scans_is_kept_whole_unless_asked(tmp_path):
    folder, stranger = folder_of_pairs(tmp_path / "scans", pairs=1, more=0), by_light(low=2, high=3)
    (kept,) = filter_folder(folder, stranger, "m", tmp_path / "kept").scans
    assert kept.whole
    assert kept.kept == kept.points
    assert "100% of the points have intensity not in 2 to 3" in kept.unlike
    erased = filter_folder(folder, stranger, "m", tmp_path / "erased", even_unlike=True).scans[0]
    assert not erased.whole
    assert erased.kept < erased.points


def test_results_inside_the_folder_of_scans_are_no_scans_of_the_next_call(tmp_path):
    folder = folder_of_pairs(tmp_path / "scans")
    for _ in range(2):
        done = filter_folder(folder, by_light(), "m", folder / "out")
        assert len(done.folder.scans) == 3
    other = filter_folder(folder, by_light(), "m", tmp_path / "other")
    assert len(other.scans) == 3


@pytest.mark.parametrize("text", ["{", '{"version": 2}', '{"version": 2, "settings": 3}', "[]"])
def test_a_damaged_journal_is_refused_with_one_line(tmp_path, text):
    folder, out = folder_of_pairs(tmp_path / "scans"), tmp_path / "out"
    out.mkdir()
    (out / "filtered.json").write_text(text)
    with pytest.raises(DataError, match=r"filtered\.json: is damaged"):
        filter_folder(folder, by_light(), "m", out)


def test_a_mask_of_a_file_without_a_grid_is_in_the_order_of_its_rows():
    rows = RowCells(np.array([True, False, True, True]), np.array([3, -1, 0]))
    keep = np.array([[False, True], [True, True]])
    assert rows.in_file_order(keep).tolist() == [True, False, True, False]


def test_a_cloud_without_grid_or_camera_is_named_as_failed(tmp_path):
    folder = folder_of_pairs(tmp_path / "scans", pairs=1, more=0)
    np.save(folder / "cloud.npy", np.random.default_rng(0).random((9, 3), np.float32))
    done = filter_folder(folder, by_light(), "m", tmp_path / "out")
    assert list(done.failed) == ["cloud"]
    assert "no grid" in done.failed["cloud"]


def test_a_folder_of_results_that_cannot_be_written_is_refused_before_a_scan_is_read(tmp_path):
    folder = folder_of_pairs(tmp_path / "scans", pairs=1, more=0)
    (tmp_path / "file").write_text("a file")
    with pytest.raises(
        RunRefused,
        match="file: is no folder, or lies below a file; allowed: a folder, or a new name",
    ):
        filter_folder(folder, by_light(), "a", tmp_path / "file")
    (tmp_path / "out").symlink_to(tmp_path / "gone" / "out")
    nothing = []
    with pytest.raises(RunError, match="cannot be written"):
        filter_folder(
            folder, by_light(), "a", tmp_path / "out",
            progress=lambda *told: nothing.append(told),
        )  # fmt: skip
    assert not nothing

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from scan_files import as_scan, erase
from shared_data import PHOXI, beside_shared
from turntable_scans import camera_at, scan_of

from fedchain.errors import DataError, ScenarioError
from fedchain.learning.task import tasks
from fedchain.scans.formats import read_scan, write_scan
from fedchain.scans.pictures import ERASED, GAP, KEPT, LOST, MISSED, draw_panels, draw_shown
from fedchain.scans.segmentation import morphology
from fedchain.scans.simulator.scanner import simulate
from fedchain.scans.simulator.scenes import site_of
from fedchain.scans.tasks.pairs import pairs

BASELINES = {"keep_everything", "erase_everything", "morphology"}


@pytest.fixture(autouse=True, scope="module")
def cache_elsewhere(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDCHAIN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def simulated(holders=3, seed=0, **given):
    block = {"kind": "scan_segmentation", "records_per_holder": 5, "held_out": 7, **given}
    return tasks.build(tasks.check(block), holders, seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("scans")
    for number in range(4):
        scanned = simulate(site_of(0, number), 0, [("scan", number, 0)], 40, number)
        scan = as_scan(scanned, 0, "object")
        for name, one in (("raw", scan), ("done", erase(scan, scan.keep))):
            write_scan(path / f"{name}-{number}.ply", replace(one, keep=None))
    return path


def folder_task(path, holders=2, **given):
    block = {"kind": "scan_folder", "path": str(path), "dirty": "raw-*.ply", "clean": "done-*.ply",
             "tile": 16, **given}  # fmt: skip
    return tasks.build(tasks.check(block), holders, 0)


def logits(task):
    with torch.no_grad():
        return task.model()(torch.tensor(task.held_out.inputs)).numpy()


def perfect(task):
    return np.nan_to_num(task.held_out.targets * 2 - 1, nan=1.0)


def test_simulated_scans_are_images_and_masks_with_nan_where_no_point_is():
    task = simulated()
    for records in (*task.holders, task.held_out):
        assert records.inputs.dtype == records.targets.dtype == np.float32
        assert records.inputs.shape == (records.examples, 5, 32, 32)
        assert set(np.unique(records.targets[~np.isnan(records.targets)])) <= {0.0, 1.0}
        assert (records.inputs.transpose(0, 2, 3, 1)[np.isnan(records.targets)] == 0).all()
    assert [h.count for h in task.holders] == [5, 5, 5]
    assert task.held_out.count == 7


def test_by_site_another_holder_leaves_the_scans_of_the_others_alone():
    few, more = simulated(2), simulated(3)
    for one, same in zip(few.holders, more.holders, strict=False):
        assert one.inputs.tobytes() == same.inputs.tobytes()


def test_the_same_seed_gives_the_same_task_and_another_seed_another():
    first, again, other = simulated(), simulated(), simulated(seed=1)
    assert first.held_out.inputs.tobytes() == again.held_out.inputs.tobytes()
    assert first.held_out.inputs.tobytes() != other.held_out.inputs.tobytes()
    assert np.array_equal(logits(first), logits(again))
    assert not np.array_equal(logits(first), logits(other))


def test_the_first_weights_come_from_the_seed_and_from_nothing_else():
    def weights(seed, elsewhere):
        torch.manual_seed(elsewhere)
        return torch.cat([p.flatten() for p in simulated(seed=seed).model().parameters()])

    assert torch.equal(weights(0, 1), weights(0, 2))
    assert not torch.equal(weights(0, 1), weights(1, 1))


def test_making_a_model_does_not_touch_the_global_generator():
    task = simulated()
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    task.model()
    assert torch.rand(1) == wanted


def test_the_outlier_task_sees_fewer_points_than_the_object_task():
    seen = {
        m: np.isfinite(simulated(mask=m).held_out.targets).mean() for m in ("object", "outliers")
    }
    assert 0 < seen["outliers"] < 0.6 * seen["object"]


@pytest.mark.parametrize("split", [{"kind": "iid"}, {"kind": "dirichlet"}])
def test_other_splits_deal_every_scan_once(split):
    task = simulated(split=split, records_per_holder=20)
    dealt = np.concatenate([h.inputs for h in task.holders])
    whole = np.concatenate([h.inputs for h in simulated(records_per_holder=20).holders])
    assert sorted(x.tobytes() for x in dealt) == sorted(x.tobytes() for x in whole)


def test_baselines_and_measures_have_the_same_names(folder):
    for task in (simulated(), folder_task(folder)):
        found = task.measure(logits(task), task.held_out)
        assert task.baselines.keys() >= BASELINES
        assert all(b.keys() == found.keys() for b in task.baselines.values())
        assert task.score in found
        best = task.measure(perfect(task), task.held_out)
        assert best["iou"] == best["outlier_f1"] == 1


def test_logits_with_and_without_a_channel_measure_the_same():
    task = simulated()
    outputs = logits(task)
    assert outputs.shape == (7, 1, 32, 32)
    assert task.measure(outputs, task.held_out) == task.measure(outputs[:, 0], task.held_out)


def test_an_image_that_the_model_cannot_halve_is_a_scenario_error():
    with pytest.raises(ScenarioError, match=r"task\.model: gajdosech_unet: 30 x 30 pixels"):
        simulated(size=30)


def test_pictures_show_five_panels_enlarged():
    task = simulated()
    pictures = draw_shown(task.shown(2), logits(task))
    assert list(pictures) == ["scan-000", "scan-001"]
    for picture in pictures.values():
        assert picture.shape == (192, 5 * 192 + 4 * GAP, 3)
        assert picture.dtype == np.uint8
    assert len(draw_shown(task.shown(99), logits(task))) == 7


def test_the_error_panel_gives_each_case_its_colour():
    image = np.full((5, 2, 3), 0.5, np.float32)
    valid = np.array([[1, 1, 1], [1, 0, 0]], bool)
    keep = np.array([[1, 0, 0], [1, 0, 1]], bool)
    kept = np.array([[1, 0, 1], [0, 1, 0]], bool)
    picture = draw_panels(image, valid, keep, kept)
    times = picture.shape[0] // 2
    errors = picture[times // 2 :: times, -3 * times :][:, times // 2 :: times]
    assert [tuple(c) for c in errors[0].tolist()] == [KEPT, ERASED, MISSED]
    assert [tuple(c) for c in errors[1].tolist()] == [LOST, (0, 0, 0), (0, 0, 0)]


def test_tiles_of_a_folder_hold_every_point_once(folder):
    task = folder_task(folder)
    assert task.record == "tile"
    assert task.note == "tiles of 16 x 16 pixels of real scans; held out: 3"
    tiles = np.concatenate([h.targets for h in task.holders])
    originals = [len(list(folder.glob("raw-[012].ply")))]
    assert originals == [3]
    scans = [simulate(site_of(0, k), 0, [("scan", k, 0)], 40, k) for k in range(3)]
    wanted = [as_scan(s, 0, "object") for s in scans]
    assert np.isfinite(tiles).sum() == sum(s.valid.sum() for s in wanted)
    assert (tiles == 1).sum() == sum(s.keep.sum() for s in wanted)
    assert np.isfinite(tiles).any(axis=(1, 2)).all()


def test_a_scan_as_record_stays_at_one_holder(folder):
    task = folder_task(folder, holders=2, record="scan")
    assert sorted(h.count for h in task.holders) == [1, 2]
    assert task.record == "scan"
    assert "held out: 3" in task.note
    tiles = folder_task(folder, holders=2)
    points = [sum(np.isfinite(h.targets).sum() for h in each.holders) for each in (task, tiles)]
    assert points[0] == points[1]


def test_more_holders_than_training_scans_are_refused_when_a_scan_is_a_record(folder):
    with pytest.raises(DataError, match="at least 4 others to train on"):
        folder_task(folder, holders=4, record="scan")


def test_more_holders_than_tiles_are_refused(folder):
    with pytest.raises(DataError, match="tiles with points; allowed: at least 1000"):
        folder_task(folder, holders=1000)


def test_holding_out_every_scan_is_refused(folder):
    with pytest.raises(DataError, match="has 4 cleaned scans"):
        folder_task(folder, held_out=4)


def test_the_morphology_baseline_sees_whole_scans(folder):
    task = folder_task(folder)
    scan = as_scan(simulate(site_of(0, 3), 0, [("scan", 3, 0)], 40, 3), 0, "object")
    kept = morphology(scan.valid[None])[0]
    wanted = (kept & scan.keep).sum() / (kept | scan.keep).sum()
    assert task.baselines["morphology"]["iou"] == pytest.approx(wanted)


def test_pictures_of_a_folder_are_whole_scans_with_the_right_tiles(folder):
    task = folder_task(folder, tile=8)
    assert task.held_out.examples < 25  # some of the 5 x 5 tiles are empty
    (picture,) = draw_shown(task.shown(3), perfect(task)).values()
    colours = {tuple(c) for c in picture[:, -picture.shape[0] :].reshape(-1, 3).tolist()}
    assert colours <= {KEPT, ERASED, (0, 0, 0), (255, 255, 255)}


def test_files_in_which_macos_keeps_attributes_are_no_scans(folder, tmp_path):
    for source in folder.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
        (tmp_path / f"._{source.name}").write_bytes(b"\0\5\x16\7")
    found = pairs(tmp_path, "*-2.ply", "*-1.ply")
    assert found.keys() == {"raw", "done"}


def test_folders_that_cannot_be_used_name_the_file_and_what_is_allowed(folder, tmp_path):
    with pytest.raises(DataError, match=r"no such folder; .*: fedchain run turntable"):
        folder_task(tmp_path / "none")
    with pytest.raises(DataError, match=r"holds no pair of a-.+ and b-.+"):
        pairs(folder, "a-*.ply", "b-*.ply")
    with pytest.raises(DataError, match="exactly one"):
        pairs(folder, "*-*.ply", "done-*.ply")
    for source in folder.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / "raw-2.ply").unlink()
    with pytest.raises(DataError, match=r"done-2.ply: has no original; allowed: raw-2.ply"):
        folder_task(tmp_path)
    (tmp_path / "raw-2.ply").write_bytes((folder / "raw-2.ply").read_bytes()[:3000])
    with pytest.raises(DataError, match=r"raw-2.ply: is truncated"):
        folder_task(tmp_path)


def test_a_cleaned_scan_of_another_size_is_refused(folder, tmp_path):
    for source in folder.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    scan = as_scan(simulate(site_of(0, 0), 0, [("scan", 0, 0)], 32, 0), 0, "object")
    write_scan(tmp_path / "done-1.ply", scan)
    with pytest.raises(DataError, match=r"done-1.ply: has \(32, 32\) pixels; allowed: \(40, 40\)"):
        folder_task(tmp_path)


def test_a_cleaned_scan_with_points_that_the_original_lacks_is_refused(folder):
    with pytest.raises(DataError, match=r"has \d+ points that done-0.ply lacks.*swapped"):
        folder_task(folder, dirty="done-*.ply", clean="raw-*.ply")


def test_scans_of_which_nothing_was_erased_are_refused(folder):
    with pytest.raises(DataError, match=r"raw-\*.ply has every point of raw-\*.ply.*nothing to er"):
        folder_task(folder, clean="raw-*.ply")


@pytest.mark.parametrize("missing", [0.0, np.nan])
def test_missing_points_of_npz_files_are_no_points_to_keep(missing, tmp_path):
    columns = np.mgrid[:8, :16][1]
    for number in range(2):
        positions = np.dstack([*np.mgrid[:8, :16], np.full((8, 16), 40.0)])
        positions[columns >= 12] = missing
        np.savez(tmp_path / f"raw-{number}.npz", positions=positions)
        positions[columns >= 9] = missing
        np.savez(tmp_path / f"done-{number}.npz", positions=positions)
    task = folder_task(tmp_path, dirty="raw-*.npz", clean="done-*.npz", tile=8)
    assert np.isfinite(task.held_out.targets).sum() == 8 * 12
    assert task.baselines["keep_everything"]["iou"] == 0.75


def test_a_mask_of_the_points_to_keep_says_what_was_erased(folder, tmp_path):
    for number in range(4):
        scan = read_scan(folder / f"raw-{number}.ply")
        keep = read_scan(folder / f"done-{number}.ply").valid
        write_scan(tmp_path / f"raw-{number}.npz", scan)
        write_scan(tmp_path / f"done-{number}.npz", replace(scan, keep=keep))
    masked = folder_task(tmp_path, dirty="raw-*.npz", clean="done-*.npz")
    erased = folder_task(folder)
    assert masked.held_out.targets.tobytes() == erased.held_out.targets.tobytes()


def test_a_scan_without_brightness_is_named_in_a_warning(folder, tmp_path, caplog):
    folder_task(folder)
    assert not caplog.messages
    for number in range(4):
        for name in (f"raw-{number}", f"done-{number}"):
            scan = read_scan(folder / f"{name}.ply")
            np.savez(tmp_path / f"{name}.npz", positions=scan.positions)
    folder_task(tmp_path, dirty="raw-*.npz", clean="done-*.npz")
    assert len(caplog.messages) == 4
    assert "raw-0.npz: has no brightness" in caplog.messages[0]


@pytest.fixture(scope="module")
def turntable(tmp_path_factory):
    folder = tmp_path_factory.mktemp("turntable")
    for angle in (0, 45, 90, 135):
        scan = scan_of(camera_at(angle))
        write_scan(folder / f"raw-{angle}.npz", scan)
        if angle < 90:
            kept = scan.valid & (np.arange(scan.valid.shape[1]) > 12)
            write_scan(folder / f"done-{angle}.npz", erase(scan, kept))
    return folder


def turntable_task(path, **given):
    block = {"dirty": "raw-*.npz", "clean": "done-*.npz", "channels": "views",
             "views": ["*.npz"], "held_out": "45", "model": {"kind": "pixels"}}  # fmt: skip
    return folder_task(path, **{**block, **given})


def test_views_are_the_scans_that_no_holder_has_and_no_cleaned_ones(turntable):
    task = turntable_task(turntable)
    assert task.public_scans == ("raw-135.npz", "raw-45.npz", "raw-90.npz")
    assert task.held_out.inputs.shape[1:] == (7, 16, 16)
    assert "held out: 45" in task.note
    assert {"view_distance", "statistical", "component_size"} <= task.baselines.keys()
    assert all(len(metrics) == 7 for metrics in task.baselines.values())


def test_a_declared_file_that_is_no_view_is_named_in_a_warning(turntable, tmp_path, caplog):
    folder = shutil.copytree(turntable, tmp_path / "copy")
    (folder / "notes.npz").write_bytes(b"PK")
    task = turntable_task(folder, views=["*.npz"])
    assert "notes.npz" not in task.public_scans
    assert "notes.npz: is no public view: " in caplog.text


def test_channels_of_the_views_come_with_views_and_others_without(turntable):
    with pytest.raises(
        DataError, match=r"task\.views: none with task\.channels: views; allowed: at"
    ):
        turntable_task(turntable, views=[])
    with pytest.raises(DataError, match=r"with task\.channels: local; allowed: none"):
        turntable_task(turntable, channels="local")
    with pytest.raises(DataError, match=r"raw-0\.npz: no file of task.views is another view"):
        turntable_task(turntable, views=["raw-0.npz"])


def test_a_pattern_that_holds_out_nothing_is_refused(turntable):
    with pytest.raises(DataError, match=r"task\.held_out: 46 holds out 0"):
        turntable_task(turntable, held_out="46")


@beside_shared
def test_the_two_real_scans_make_a_task_beside_both_baselines():
    task = tasks.build(tasks.check({"kind": "scan_folder", "path": str(PHOXI)}), 4, 0)
    assert "held out: 006" in task.note
    assert task.baselines["keep_everything"]["iou"] == pytest.approx(0.811, abs=5e-4)
    assert task.baselines["morphology"]["iou"] == pytest.approx(0.799, abs=5e-4)
    tiles = np.concatenate([h.targets for h in task.holders])
    assert np.isfinite(tiles).sum() == 98_944
    assert (tiles == 1).sum() == 84_878
    assert len(draw_shown(task.shown(1), logits(task))) == 1

from dataclasses import replace

import numpy as np
import pytest
import torch
from scan_files import as_scan, erase
from shared_data import MOSD, beside_shared

from fedchain.errors import DataError, ScenarioError
from fedchain.learning.task import tasks
from fedchain.scans.camera import Camera
from fedchain.scans.formats import read_scan, write_scan
from fedchain.scans.pictures import draw_shown
from fedchain.scans.scan import Scan
from fedchain.scans.simulator.scanner import simulate
from fedchain.scans.simulator.scenes import site_of
from fedchain.scans.tasks.images import brought_to, padded_to

SIDE = 40


def numbered(height, width, empty=0):
    """A scan whose points say in which row and column they lie; ``empty`` pixels at each border."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    positions = np.stack([columns, rows, np.full_like(rows, 9.0)], axis=-1)
    inside = np.zeros((height, width), bool)
    inside[empty : height - empty, empty : width - empty] = True
    positions[~inside] = np.nan
    intensity = np.where(inside, np.float32(0.5), np.float32(np.nan))
    scan = Scan(positions=positions, normals=positions, intensity=intensity,
                camera=np.zeros(3, np.float32))  # fmt: skip
    return scan, inside & (columns % 3 == 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("scans")
    for number, name in enumerate(["learn0", "learn1", "learn2", "test0", "test1"]):
        scan = as_scan(simulate(site_of(0, number), 0, [("s", number)], SIDE, number), 0, "object")
        write_scan(path / f"{name}.npz", scan)
    return path


def images_task(path, holders=2, **given):
    block = {"kind": "scan_images", "path": str(path), "size": [24, 32], **given}
    return tasks.build(tasks.check(block), holders, 0)


def perfect(task):
    return np.nan_to_num(task.held_out.targets * 2 - 1, nan=1.0)


@pytest.mark.parametrize(
    ("grid", "size", "every"),
    [((8, 10), (8, 16), 1), ((12, 10), (8, 16), 2), ((8, 33), (8, 16), 3), ((30, 30), (11, 8), 4)],
)
def test_a_scan_is_brought_to_a_size_by_every_nth_row_and_column_of_its_box(grid, size, every):
    scan, keep = numbered(*(side + 4 for side in grid), empty=2)
    small, kept = brought_to(scan, keep, size)
    assert np.array_equal(small.positions, scan.positions[2:-2:every, 2:-2:every])
    assert np.array_equal(kept, keep[2:-2:every, 2:-2:every])
    assert small.positions.shape[0] <= size[0]
    assert small.positions.shape[1] <= size[1]


def test_a_scan_that_is_brought_to_a_size_does_not_hold_the_whole_scan_in_memory():
    scan, keep = numbered(12, 12)
    small, kept = brought_to(replace(scan, keep=keep), keep, (6, 6))
    wholes = (scan.positions, scan.normals, scan.intensity, keep)
    parts = (small.positions, small.normals, small.intensity, kept)
    assert not any(np.shares_memory(*both) for both in zip(wholes, parts, strict=True))
    assert small.keep is None


def test_a_scan_with_other_rows_than_its_camera_has_no_view():
    scan, keep = numbered(12, 12)
    camera = Camera(basis=np.eye(3), position=np.zeros(3), focal=np.ones(2), centre=np.ones(2),
                    distortion=np.zeros(5))  # fmt: skip
    small, _ = brought_to(replace(scan, view=camera), keep, (6, 6))
    assert small.view is None


def test_padding_is_below_and_on_the_right():
    padded = padded_to(np.ones((2, 3, 4)), (5, 5), 7.0)
    assert padded.shape == (2, 5, 5)
    assert (padded[:, :3, :4] == 1).all()
    assert padded.sum() == 2 * (12 + 7 * 13)


def test_a_record_is_a_whole_scan_and_its_points_and_labels_are_those_of_the_file(folder):
    task = images_task(folder, held_out="test*")
    assert task.record == "scan"
    assert sorted(h.count for h in task.holders) == [1, 2]
    for records in (*task.holders, task.held_out):
        assert records.record is None
        assert records.inputs.shape == (records.count, 5, 24, 32)
        assert (records.inputs.transpose(0, 2, 3, 1)[np.isnan(records.targets)] == 0).all()
    scan = as_scan(simulate(site_of(0, 4), 0, [("s", 4)], SIDE, 4), 0, "object")
    small, kept = brought_to(scan, scan.keep, (24, 32))
    height, width = kept.shape
    target = task.held_out.targets[1, :height, :width]
    assert np.array_equal(np.isfinite(target), small.valid)
    assert np.array_equal(target == 1, kept)
    assert np.isnan(task.held_out.targets[1, height:]).all()


def test_the_channels_are_those_that_are_asked_for(folder):
    assert images_task(folder, channels="local").held_out.inputs.shape[1] == 9
    with pytest.raises(ScenarioError, match="channels"):
        images_task(folder, channels="views")


def test_held_out_is_a_pattern_of_names_or_the_number_of_the_last_ones(folder):
    named = images_task(folder, held_out="test*").held_out
    counted = images_task(folder, held_out=2).held_out
    assert named.inputs.tobytes() == counted.inputs.tobytes()
    other = images_task(folder, held_out="learn[01]").held_out
    assert other.count == 2
    assert other.inputs.tobytes() != named.inputs.tobytes()


@pytest.mark.parametrize("held_out", ["absent*", "*", 4])
def test_no_scan_held_out_or_too_few_left_for_the_holders_is_refused(folder, held_out):
    with pytest.raises(DataError, match=r"has 5 cleaned scans.* at least 2 others"):
        images_task(folder, held_out=held_out)


def test_pairs_of_files_give_the_same_task_as_masks_within_the_files(folder, tmp_path):
    for source in folder.iterdir():
        scan = read_scan(source)
        write_scan(tmp_path / f"raw-{source.stem}.ply", replace(scan, keep=None))
        write_scan(tmp_path / f"done-{source.stem}.ply", erase(scan, scan.keep))
    paired = images_task(tmp_path, dirty="raw-*.ply", clean="done-*.ply", held_out=2)
    masked = images_task(folder, held_out=2)
    assert paired.held_out.targets.tobytes() == masked.held_out.targets.tobytes()


def test_a_scan_without_a_mask_is_refused(folder, tmp_path):
    for source in folder.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    scan = as_scan(simulate(site_of(0, 0), 0, [("s", 0)], SIDE, 0), 0, "object")
    write_scan(tmp_path / "learn1.npz", replace(scan, keep=None))
    with pytest.raises(DataError, match=r"learn1.npz: has no mask .*allowed: a file with keep"):
        images_task(tmp_path)


def test_scans_that_keep_all_of_their_points_are_refused(tmp_path):
    for number in range(3):
        scan, _ = numbered(10, 10)
        write_scan(tmp_path / f"{number}.npz", replace(scan, keep=scan.valid))
    with pytest.raises(DataError, match="nothing to erase"):
        images_task(tmp_path)


def test_a_size_at_which_no_point_to_keep_is_left_is_refused(tmp_path):
    for number in range(3):
        scan, _ = numbered(40, 40)
        keep = np.zeros((40, 40), bool)
        keep[1, 1] = True
        write_scan(tmp_path / f"{number}.npz", replace(scan, keep=keep))
    with pytest.raises(DataError, match=r"0.npz: keeps no point at 24 x 32 pixels; allowed: a lar"):
        images_task(tmp_path)


def test_a_folder_that_is_not_there_is_named_with_where_to_get_one(tmp_path):
    with pytest.raises(
        DataError, match=r"none: no such folder; give a folder .* as task.path, .*scan sim"
    ):
        images_task(tmp_path / "none")


def test_a_size_that_the_model_cannot_halve_is_refused(folder):
    with pytest.raises(ScenarioError, match=r"task.model: .*24 x 30 pixels cannot be halved"):
        images_task(folder, size=[24, 30])


def test_baselines_measures_and_pictures_are_of_the_held_out_scans(folder):
    task = images_task(folder, held_out=2)
    with torch.no_grad():
        outputs = task.model()(torch.tensor(task.held_out.inputs)).numpy()
    found = task.measure(outputs, task.held_out)
    assert {"keep_everything", "erase_everything", "morphology"} <= task.baselines.keys()
    assert all(each.keys() == found.keys() for each in task.baselines.values())
    valid, keep = np.isfinite(task.held_out.targets), task.held_out.targets == 1
    shares = keep.sum(axis=(1, 2)) / valid.sum(axis=(1, 2))
    assert task.baselines["keep_everything"]["iou"] == pytest.approx(shares.mean())
    assert task.measure(perfect(task), task.held_out)["iou"] == 1
    assert list(draw_shown(task.shown(1), outputs)) == ["scan-test0"]


@pytest.mark.long
@beside_shared
def test_the_second_real_set_has_85_scans_of_which_a_seventh_are_objects():
    block = {"kind": "scan_images", "path": str(MOSD), "held_out": "test*"}
    task = tasks.build(tasks.check(block), 10, 0)
    assert sum(h.count for h in task.holders) == 45
    assert task.held_out.inputs.shape == (40, 5, 64, 80)
    assert task.baselines["keep_everything"]["iou"] == pytest.approx(0.142, abs=5e-4)

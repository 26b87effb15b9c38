"""The whole way from scans to surfaces, by marching cubes and in stored poses."""

import json
import os
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from process_scans import (
    KEEPS_LIGHT,
    SETTINGS,
    ball_scan,
    ball_scans,
    bytes_in,
    processed,
)
from training_scans import bumpy, write_npz
from turntable_scans import RADIUS_M

from fedchain.errors import DataError, RunRefused
from fedchain.scans.formats import read_cloud, read_scan, write_scan
from fedchain.scans.formats.meshes import read_mesh

pytest.importorskip("skimage")
pytest.importorskip("trimesh")

DENSER = replace(SETTINGS, upsample=4)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder of scans, what became of it, and the folder of results."""
    place = tmp_path_factory.mktemp("whole")
    folder = ball_scans(place / "scans")
    return folder, processed(folder, place / "out", DENSER, KEEPS_LIGHT), place / "out"


def reasons(done):
    return {(each.name, each.stage): each.reason for each in done.failures}


def names(done, stage):
    return [change.name for change in done.changes if change.stage == stage]


def test_each_stage_takes_the_points_of_the_one_before(whole):
    _, done, _ = whole
    assert not done.failures
    assert names(done, "filter") == ["scan_000", "scan_090", "scan_180", "scan_270"]
    for stage in ("merge", "upsample", "reconstruct"):
        assert names(done, stage) == ["merged"]
    by_stage = {each.stage: each for each in done.changes}
    kept = [each for each in done.changes if each.stage == "filter"]
    assert by_stage["merge"].before == sum(each.after for each in kept)
    assert by_stage["upsample"].before == by_stage["merge"].after
    assert by_stage["upsample"].after == 4 * by_stage["upsample"].before
    assert by_stage["reconstruct"].before == by_stage["upsample"].after
    assert by_stage["upsample"].spacing_m < by_stage["upsample"].spacing_before_m
    assert 0 < by_stage["reconstruct"].distance_m < 3e-3


def test_the_files_hold_what_the_table_says(whole):
    folder, done, out = whole
    for change in done.changes:
        if change.stage == "reconstruct":
            mesh = read_mesh(out / change.file)
            assert (len(mesh.vertices), len(mesh.faces)) == (change.vertices, change.triangles)
        else:
            assert len(read_cloud(out / change.file).points) == change.after
    for change in done.changes[:4]:
        before, after = read_scan(folder / f"{change.name}.npz"), read_scan(out / change.file)
        assert change.before == before.valid.sum()
        assert 0 < change.after < change.before
        mask = np.load(out / "kept" / f"{change.name}.keep.npy")
        assert (after.valid == mask).all()
        assert (after.positions[mask] == before.positions[mask]).all()


def test_the_surface_of_four_scans_is_the_ball(tmp_path):
    folder = ball_scans(tmp_path / "scans")
    processed(folder, tmp_path / "out")
    mesh = read_mesh(tmp_path / "out" / "surfaces" / "merged.ply")
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - RADIUS_M).mean() < 2e-3
    assert (np.abs(mesh.vertices).max(axis=0) > 0.9 * RADIUS_M).all()


def test_the_bytes_depend_neither_on_the_place_nor_on_the_time(whole, tmp_path):
    _, _, out = whole
    processed(ball_scans(tmp_path / "elsewhere" / "x"), tmp_path / "y", DENSER, KEEPS_LIGHT)
    here, there = bytes_in(out), bytes_in(tmp_path / "y")
    assert here == there
    assert not [name for name, data in here.items() if str(out.parent).encode() in data]
    assert {name.split("/")[0] for name in here} == {
        "denser", "index.html", "kept", "merged", "pictures", "processed.json", "stages.csv",
        "stages.json", "surfaces",
    }  # fmt: skip


def test_a_second_call_makes_nothing_and_changes_nothing(whole):
    folder, done, out = whole
    before = bytes_in(out)
    again = processed(folder, out, DENSER, KEEPS_LIGHT)
    assert (again.made, again.before) == (0, done.made)
    assert again.changes == done.changes
    assert bytes_in(out) == before


def test_each_sub_folder_is_a_set_with_a_surface_of_its_own(tmp_path):
    for table in ("a", "b"):
        ball_scans(tmp_path / "scans" / table, (0, 90))
    done = processed(tmp_path / "scans", tmp_path / "out")
    assert names(done, "reconstruct") == ["a/merged", "b/merged"]
    assert (tmp_path / "out" / "surfaces" / "b" / "merged.ply").exists()


def test_scans_without_cameras_have_surfaces_of_their_own_and_the_reason_is_said(tmp_path):
    folder = ball_scans(tmp_path / "scans", (0, 90))
    write_npz(folder / "bumpy.npz", bumpy(0), keep=False)
    done = processed(folder, tmp_path / "out")
    assert not done.failures
    assert names(done, "reconstruct") == ["merged", "bumpy"]
    (only,) = done.sets
    assert only.joined.merged == ("scan_000", "scan_090")
    assert "holds no camera" in only.joined.alone["bumpy"]
    assert "bumpy is not merged: holds no camera" in (tmp_path / "out" / "index.html").read_text()


def test_a_lone_scan_has_a_surface(tmp_path):
    done = processed(ball_scans(tmp_path / "scans", (0,)), tmp_path / "out")
    assert names(done, "reconstruct") == ["scan_000"]
    assert not (tmp_path / "out" / "merged").exists()


def test_a_cloud_that_cannot_be_filtered_is_kept_whole(tmp_path):
    folder = ball_scans(tmp_path / "scans", (0, 90))
    points = ball_scan(200).positions
    points = points[np.isfinite(points).all(axis=-1)] + np.float32(0.3)
    np.save(folder / "cloud.npy", points)
    done = processed(folder, tmp_path / "out", model=KEEPS_LIGHT)
    (change,) = (each for each in done.changes if (each.name, each.stage) == ("cloud", "filter"))
    assert change.after == change.before == len(points)
    assert "kept whole, since it cannot be filtered: has no grid" in change.notes[0]
    assert "cloud" in names(done, "reconstruct")
    assert str(tmp_path) not in (tmp_path / "out" / "processed.json").read_text()


def test_a_damaged_scan_is_named_and_the_others_become_the_same_surface_as_without_it(tmp_path):
    folder = ball_scans(tmp_path / "scans")
    (folder / "scan_180.npz").write_bytes(b"PK no scan")
    done = processed(folder, tmp_path / "out")
    assert list(reasons(done)) == [("scan_180", "filter")]
    assert reasons(done)["scan_180", "filter"].startswith("scan_180.npz: ")
    assert done.sets[0].joined.merged == ("scan_000", "scan_090", "scan_270")
    processed(ball_scans(tmp_path / "three", (0, 90, 270)), tmp_path / "other")
    surface = "surfaces/merged.ply"
    assert (tmp_path / "out" / surface).read_bytes() == (tmp_path / "other" / surface).read_bytes()
    assert "scan_180: filter: scan_180.npz" in (tmp_path / "out" / "index.html").read_text()
    failed = [row for row in json.loads((tmp_path / "out" / "stages.json").read_text())["stages"]
              if row["file"] is None]  # fmt: skip
    assert [(row["name"], row["stage"]) for row in failed] == [("scan_180", "filter")]


def test_a_folder_of_damaged_scans_has_no_surface_and_a_page_that_says_why(tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "scan.npz").write_bytes(b"PK")
    done = processed(tmp_path / "scans", tmp_path / "out")
    assert list(reasons(done)) == [("scan", "filter")]
    assert "scan: filter: scan.npz" in (tmp_path / "out" / "index.html").read_text()


def test_a_scan_of_which_nothing_remains_fails_where_its_surface_should_be_made(tmp_path):
    folder = ball_scans(tmp_path / "scans", (0, 90))
    dark = bumpy(0)
    write_npz(folder / "dark.npz", replace(dark, intensity=dark.intensity * 0), keep=False)
    done = processed(folder, tmp_path / "out", model=KEEPS_LIGHT)
    assert [stage for name, stage in reasons(done)] == ["reconstruct"]
    assert names(done, "reconstruct") == ["merged"]


def test_changed_scans_are_named_and_replaced_only_by_force(tmp_path):
    for table in ("a", "b"):
        ball_scans(tmp_path / "scans" / table, (0, 90))
    out = tmp_path / "out"
    processed(tmp_path / "scans", out)
    before = bytes_in(out)
    write_scan(tmp_path / "scans" / "a" / "scan_090.npz", ball_scan(60))
    done = processed(tmp_path / "scans", out)
    assert reasons(done) == {
        ("a/merged", "read"): "a/scan_090.npz: changed, new or gone since the set was processed; "
        "give --force to process it again, or another folder"
    }
    assert names(done, "reconstruct") == ["b/merged"]
    after = bytes_in(out)
    kept = [name for name in before if "/" in name]
    assert all(after[name] == before[name] for name in kept)
    assert not processed(tmp_path / "scans", out, force=True).failures
    processed(tmp_path / "scans", tmp_path / "fresh")
    assert bytes_in(out) == bytes_in(tmp_path / "fresh")


def test_a_scan_that_is_gone_leaves_nothing_behind_after_force(tmp_path):
    folder = ball_scans(tmp_path / "scans", (0, 90, 180))
    processed(folder, tmp_path / "out")
    (folder / "scan_180.npz").unlink()
    assert list(reasons(processed(folder, tmp_path / "out"))) == [("merged", "read")]
    processed(folder, tmp_path / "out", force=True)
    processed(folder, tmp_path / "fresh")
    assert bytes_in(tmp_path / "out") == bytes_in(tmp_path / "fresh")


def test_other_settings_are_refused_and_force_leaves_nothing_of_them(tmp_path):
    folder, out = ball_scans(tmp_path / "scans", (0, 90)), tmp_path / "out"
    processed(folder, out, DENSER)
    before = bytes_in(out)
    others = {"upsample": None, "depth": 6, "even_unlike": True, "model": "other"}
    if find_spec("small_gicp"):
        others["refine"] = True
    if find_spec("open3d"):
        others["surface"] = "poisson"
    for name, value in others.items():
        with pytest.raises(RunRefused, match="has results of another model or setting"):
            processed(folder, out, replace(DENSER, **{name: value}))
    assert bytes_in(out) == before
    processed(folder, out, SETTINGS, force=True)
    processed(folder, tmp_path / "fresh", SETTINGS)
    assert bytes_in(out) == bytes_in(tmp_path / "fresh")


def test_a_file_of_somebody_else_is_never_replaced(tmp_path):
    folder, out = ball_scans(tmp_path / "scans", (0, 90)), tmp_path / "out"
    out.mkdir()
    (out / "index.html").write_text("mine")
    with pytest.raises(RunRefused, match=r"index\.html: is there already; give --force"):
        processed(folder, out)
    (out / "index.html").unlink()
    (out / "surfaces").mkdir()
    (out / "surfaces" / "merged.ply").write_text("mine")
    done = processed(folder, out)
    assert list(reasons(done)) == [("merged", "reconstruct")]
    assert (out / "surfaces" / "merged.ply").read_text() == "mine"


def test_a_deleted_file_is_made_again(tmp_path):
    folder, out = ball_scans(tmp_path / "scans", (0, 90)), tmp_path / "out"
    processed(folder, out)
    before = bytes_in(out)
    for name in ("kept/scan_000.npz", "merged/merged.ply", "pictures/scan_090.kept.png"):
        (out / name).unlink()
    done = processed(folder, out)
    assert done.made == 3
    assert bytes_in(out) == before


def test_kept_points_that_a_person_has_changed_are_used_by_the_later_stages(tmp_path):
    folder, out = ball_scans(tmp_path / "scans", (0, 90)), tmp_path / "out"
    processed(folder, out)
    kept, before = out / "kept" / "scan_090.npz", bytes_in(out)
    write_scan(kept, ball_scan(60))
    mine = kept.read_bytes()
    done = processed(folder, out)
    assert (done.made, done.before, kept.read_bytes()) == (4, 2, mine)
    changed = {name for name, data in bytes_in(out).items() if data != before[name]}
    assert {"merged/merged.ply", "surfaces/merged.ply", "index.html"} <= changed
    assert "kept/scan_000.npz" not in changed


def test_a_stage_that_failed_can_be_done_by_the_next_call(tmp_path):
    folder, out = ball_scans(tmp_path / "scans", (0, 90)), tmp_path / "out"
    (out / "surfaces").mkdir(parents=True)
    (out / "surfaces" / "merged.ply").write_text("mine")
    assert processed(folder, out).failures
    assert not (out / "pictures" / "scan_000.surface.png").exists()
    (out / "surfaces" / "merged.ply").unlink()
    assert not processed(folder, out).failures
    processed(folder, tmp_path / "fresh")
    assert bytes_in(out) == bytes_in(tmp_path / "fresh")


def test_results_inside_the_folder_of_scans_are_no_scans(tmp_path):
    folder = ball_scans(tmp_path / "scans", (0, 90))
    for _ in range(2):
        assert len(processed(folder, folder / "out").folder.scans) == 2
    assert len(processed(folder, tmp_path / "other").folder.scans) == 2


@pytest.mark.parametrize("text", ["{", '{"version": 9}', "[]"])
def test_a_damaged_journal_is_refused_with_one_line(tmp_path, text):
    folder, out = ball_scans(tmp_path / "scans", (0, 90)), tmp_path / "out"
    out.mkdir()
    (out / "processed.json").write_text(text)
    with pytest.raises(DataError, match=r"processed\.json: is damaged"):
        processed(folder, out)


def test_figures_of_a_damaged_journal_are_refused_with_one_line(tmp_path):
    folder, out = ball_scans(tmp_path / "scans", (0, 90)), tmp_path / "out"
    processed(folder, out)
    journal = json.loads((out / "processed.json").read_text())
    journal["done"]["filter/scan_000"]["figures"]["before"] = "many"
    (out / "processed.json").write_text(json.dumps(journal))
    with pytest.raises(DataError, match="figures are damaged"):
        processed(folder, out)


def test_a_folder_without_scans_and_one_that_cannot_be_written_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no scan"):
        processed(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    folder = ball_scans(tmp_path / "scans", (0,))
    with pytest.raises(RunRefused, match="is the folder with the scans"):
        processed(folder, folder)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunRefused, match="is no folder, or lies below a file"):
        processed(folder, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_names_of_all_kinds_are_kept_and_one_that_is_no_text_is_refused_in_one_line(tmp_path):
    folder = ball_scans(tmp_path / "scans", (0, 90))
    (folder / "scan_000.npz").rename(folder / "Größe ✓ <1> #%.npz")
    done = processed(folder, tmp_path / "out")
    assert (done.failures, names(done, "reconstruct")) == ((), ["merged"])
    assert (tmp_path / "out" / "pictures" / "Größe ✓ <1> #%.surface.png").exists()
    assert "Größe ✓ &lt;1&gt; #%" in (tmp_path / "out" / "index.html").read_text("utf-8")
    try:
        (folder / "scan_090.npz").rename(folder / os.fsdecode(b"sc\xff.npz"))
    except OSError:
        pytest.skip("this file system has text names only")
    with pytest.raises(DataError, match=r"sc\\xff\.npz: has a name that is not UTF-8"):
        processed(folder, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_progress_rises_to_its_end(tmp_path):
    for table in ("a", "b"):
        ball_scans(tmp_path / "scans" / table, (0, 90))
    told = []
    processed(tmp_path / "scans", tmp_path / "out", progress=lambda *each: told.append(each))
    done = [each[0] for each in told]
    assert done == sorted(done)
    assert 0 <= done[0] < done[-1] <= told[0][1]
    assert [each[2] for each in told][:3] == ["filter a/scan_000", "filter a/scan_090",
                                              "merge a/merged"]  # fmt: skip

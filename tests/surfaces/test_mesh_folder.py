"""Folders of scans to folders of meshes, by marching cubes and without small_gicp's refinement."""

import json
from dataclasses import replace

import numpy as np
import pytest
from surface_shapes import sphere
from training_scans import bumpy, write_npz
from turntable_scans import camera_at, scan_of

from fedchain.errors import DataError, RunRefused
from fedchain.scans.formats import write_scan
from fedchain.scans.formats.meshes import read_mesh
from fedchain.surfaces.mesh_folder import MeshSettings, reconstruct_folder

pytest.importorskip("skimage")
pytest.importorskip("trimesh")

MARCHING = MeshSettings(method="marching", refine=False)
APART = replace(MARCHING, merge=False)
ANGLES = (0, 90, 180, 270)


@pytest.fixture
def folder(tmp_path):
    """A folder with four scans of one turntable."""
    for angle in ANGLES:
        write(tmp_path / "scans" / f"scan_{angle}.npz", angle)
    return tmp_path / "scans"


def write(path, angle):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_scan(path, scan_of(camera_at(angle)))


def bytes_in(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def names(done):
    return [each.name for each in done.meshes]


def test_scans_whose_cameras_are_known_become_one_mesh_around_their_object(folder, tmp_path):
    done = reconstruct_folder(folder, tmp_path / "out", MARCHING)
    assert (names(done), done.failed, done.apart) == (["merged"], {}, {})
    mesh = read_mesh(tmp_path / "out" / "merged.ply")
    (made,) = done.meshes
    assert made.scans == 4
    assert (made.vertices, made.triangles) == (len(mesh.vertices), len(mesh.faces))
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.05).mean() < 5e-4
    assert (np.abs(mesh.vertices).max(axis=0) > 0.045).all()
    assert 0 < made.mean_distance_m < 2e-3


def test_each_scan_can_have_a_mesh_of_its_own(folder, tmp_path):
    done = reconstruct_folder(folder, tmp_path / "out", APART)
    assert names(done) == ["scan_0", "scan_180", "scan_270", "scan_90"]
    assert done.meshes[0].points == scan_of(camera_at(0)).valid.sum()
    assert len(read_mesh(tmp_path / "out" / "scan_0.ply").faces)


def test_each_sub_folder_is_a_turntable_with_its_own_mesh(tmp_path):
    for table in ("a", "b"):
        for angle in (0, 90):
            write(tmp_path / "scans" / table / f"scan_{angle}.npz", angle)
    done = reconstruct_folder(tmp_path / "scans", tmp_path / "out", MARCHING)
    assert names(done) == ["a/merged", "b/merged"]
    assert (tmp_path / "out" / "a" / "merged.ply").exists()


def test_a_damaged_scan_is_named_and_the_others_are_merged(folder, tmp_path):
    (folder / "scan_90.npz").write_bytes(b"PK no scan")
    done = reconstruct_folder(folder, tmp_path / "out", MARCHING)
    assert list(done.failed) == ["scan_90"]
    assert "scan_90.npz" in done.failed["scan_90"]
    assert done.meshes[0].scans == 3
    merged = replace(MARCHING, merge=True)
    forced = reconstruct_folder(folder, tmp_path / "forced", merged)
    assert list(forced.failed) == ["scan_90"]
    alone = reconstruct_folder(folder, tmp_path / "alone", APART)
    assert len(alone.meshes) == 3
    assert list(alone.failed) == ["scan_90"]


def test_scans_without_a_camera_are_merged_only_if_asked(folder, tmp_path):
    write_npz(folder / "other.npz", bumpy(), keep=False)
    done = reconstruct_folder(folder, tmp_path / "out", MARCHING)
    assert names(done) == ["merged", "other"]
    assert "holds no camera" in done.apart["other"]
    asked = reconstruct_folder(folder, tmp_path / "asked", replace(MARCHING, merge=True))
    assert names(asked) == ["merged"]
    assert asked.meshes[0].scans == 5


def test_a_cloud_alone_becomes_a_mesh_without_camera_and_normals(tmp_path):
    (tmp_path / "scans").mkdir()
    np.save(tmp_path / "scans" / "ball.npy", sphere(800).astype(np.float32))
    done = reconstruct_folder(tmp_path / "scans", tmp_path / "out", MARCHING)
    assert names(done) == ["ball"]
    vertices = read_mesh(tmp_path / "out" / "ball.ply").vertices
    assert np.abs(np.linalg.norm(vertices, axis=1) - 1).mean() < 0.01


def test_points_that_span_no_surface_fail_and_do_not_stop_the_others(folder, tmp_path):
    np.save(folder / "line.npy", np.arange(60, dtype=np.float32)[:, None] * np.ones(3, np.float32))
    done = reconstruct_folder(folder, tmp_path / "out", MARCHING)
    assert names(done) == ["merged"]
    assert done.failed["line"].startswith("surface: 0 of 60 points")
    assert not (tmp_path / "out" / "line.ply").exists()


def test_a_cleaned_scan_is_a_scan_unless_its_original_is_there(folder, tmp_path):
    write(folder / "clean_45.npz", 45)
    write(folder / "clean_90.npz", 90)
    done = reconstruct_folder(folder, tmp_path / "out", APART)
    assert names(done) == ["scan_0", "scan_180", "scan_270", "scan_90", "clean_45"]
    only = tmp_path / "only"
    write(only / "clean_1.npz", 0)
    write(only / "clean_2.npz", 90)
    done = reconstruct_folder(only, tmp_path / "out_only", MARCHING)
    assert done.meshes[0].scans == 2


def test_a_folder_of_results_is_read_when_it_is_named_and_not_below_another(folder, tmp_path):
    (folder / "filtered.json").write_text("{}")
    assert names(reconstruct_folder(folder, folder / "meshes", MARCHING)) == ["merged"]
    other = reconstruct_folder(folder, tmp_path / "other", MARCHING)
    assert other.meshes[0].scans == 4
    above = reconstruct_folder
    with pytest.raises(DataError, match="holds no scan"):
        above(tmp_path, tmp_path / "more", MARCHING)


def test_finished_meshes_are_skipped_and_an_interrupted_folder_goes_on(folder, tmp_path):
    reconstruct_folder(folder, tmp_path / "whole", APART)

    def stop(_done, _all, name):
        if name == "scan_270":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstruct_folder(folder, tmp_path / "out", APART, progress=stop)
    journal = json.loads((tmp_path / "out" / "reconstructed.json").read_text())
    journal["begun"] = {"scan_270": ["scan_270.ply"]}
    (tmp_path / "out" / "reconstructed.json").write_text(json.dumps(journal))
    (tmp_path / "out" / "scan_270.ply").write_bytes(b"half")
    done = reconstruct_folder(folder, tmp_path / "out", APART)
    assert done.before == {"scan_0", "scan_180"}
    assert bytes_in(tmp_path / "out") == bytes_in(tmp_path / "whole")
    again = reconstruct_folder(folder, tmp_path / "out", APART)
    assert len(again.before) == 4


def test_a_changed_scan_or_setting_replaces_nothing_without_force(folder, tmp_path):
    out = tmp_path / "out"
    reconstruct_folder(folder, out, MARCHING)
    before = (out / "merged.ply").read_bytes()
    with pytest.raises(RunRefused, match="another model or setting"):
        reconstruct_folder(folder, out, replace(MARCHING, depth=5))
    write(folder / "scan_90.npz", 45)
    done = reconstruct_folder(folder, out, MARCHING)
    assert "give --force to replace it" in done.failed["merged"]
    assert (out / "merged.ply").read_bytes() == before
    assert not reconstruct_folder(folder, out, MARCHING, force=True).failed
    assert (out / "merged.ply").read_bytes() != before


def test_a_file_that_no_command_has_written_is_never_replaced(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "merged.ply").write_text("mine")
    done = reconstruct_folder(folder, tmp_path / "out", MARCHING)
    assert "is there already" in done.failed["merged"]
    assert (tmp_path / "out" / "merged.ply").read_text() == "mine"


def test_a_scan_with_the_name_of_the_merged_mesh_keeps_its_own(folder, tmp_path):
    write(folder / "merged.npz", 45)
    np.save(folder / "ball.npy", sphere(300).astype(np.float32))
    done = reconstruct_folder(folder, tmp_path / "out", MARCHING)
    assert names(done) == ["merged_", "ball"]


@pytest.mark.parametrize("ending", [".stl", ".obj", ".off"])
def test_meshes_are_written_in_the_format_that_is_asked(folder, tmp_path, ending):
    done = reconstruct_folder(folder, tmp_path / "out", replace(MARCHING, ending=ending))
    assert done.meshes[0].mesh == f"merged{ending}"
    found = read_mesh(tmp_path / "out" / f"merged{ending}")
    assert len(found.faces) == done.meshes[0].triangles


def test_refused_refinement_is_noted_with_its_reason(folder, tmp_path):
    pytest.importorskip("small_gicp")
    done = reconstruct_folder(folder, tmp_path / "out", replace(MARCHING, refine=True))
    refused = done.meshes[0].refused
    assert set(refused) == {"scan_0", "scan_90", "scan_180", "scan_270"}
    assert "allowed: at least 1500" in refused["scan_0"]

import numpy as np
import pytest
from scan_bytes import cogs_bytes, example_scan
from small_clouds import dome, folder_of_clouds, untrained
from training_scans import bumpy, write_npz

from fedchain.errors import DataError, RunRefused
from fedchain.scans.formats import WRITERS, read_cloud, write_cloud
from fedchain.scans.scan import Cloud
from fedchain.surfaces.folders import upsample_folder
from fedchain.surfaces.metrics import spacing
from fedchain.surfaces.model_file import write_surface_model
from fedchain.surfaces.upsampling import upsample_cloud

CLOUD_ENDINGS = (".npy", ".npz", ".pcd", ".ply", ".xyz")


def plain(folder, out, **given):
    return upsample_folder(folder, out, **{"method": "midpoints", "factor": 4, **given})


def bytes_in(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.mark.parametrize("ending", CLOUD_ENDINGS)
def test_a_cloud_of_every_format_becomes_denser_in_the_same_format(tmp_path, ending):
    (tmp_path / "in").mkdir()
    write_cloud(tmp_path / "in" / f"dome{ending}", dome())
    (made,) = plain(tmp_path / "in", tmp_path / "out").clouds
    dense = read_cloud(tmp_path / "out" / made.cloud)
    wanted = upsample_cloud(read_cloud(tmp_path / "in" / f"dome{ending}"), "midpoints", factor=4)
    assert made.cloud == f"dome{ending}"
    assert dense.points == pytest.approx(wanted.points, abs=1e-7)
    assert (dense.normals is None) == ("normals" not in WRITERS[ending].holds)
    assert made.lost == ()


def test_a_scan_on_a_grid_becomes_a_cloud_and_a_format_that_is_not_written_becomes_ply(tmp_path):
    folder = tmp_path / "in"
    write_npz(folder / "sub" / "grid.npz", bumpy())
    (folder / "scan.cogs").write_bytes(cogs_bytes(example_scan()))
    scan, made = plain(folder, tmp_path / "out").clouds
    assert (scan.cloud, scan.before.points) == ("scan.ply", example_scan().valid.sum())
    assert made.name == "sub/grid"
    dense = read_cloud(tmp_path / "out" / "sub" / "grid.npz")
    assert len(dense.points) == 4 * bumpy().valid.sum() == made.after.points
    assert dense.normals is not None
    assert dense.intensity is not None


def test_cleaned_and_filtered_clouds_are_made_denser_too(tmp_path):
    folder = folder_of_clouds(tmp_path / "in", 1)
    write_cloud(folder / "clean_0.ply", dome(40))
    write_cloud(folder / "clean_7.ply", dome(41))
    (folder / "cloud_0.keep.npy").write_bytes(b"a mask")
    (folder / "filtered.json").write_text("{}")
    names = [each.name for each in plain(folder, tmp_path / "out").clouds]
    assert names == ["clean_0", "clean_7", "cloud_0"]


def test_what_is_measured_is_the_spacing_before_and_after_and_that_of_midpoints(tmp_path):
    folder = folder_of_clouds(tmp_path / "in", 1)
    write_surface_model(tmp_path / "m.npz", untrained("refine"))
    (made,) = upsample_folder(
        folder, tmp_path / "out", method="refine", factor=4, model=tmp_path / "m.npz"
    ).clouds
    cloud, dense = dome(60), read_cloud(tmp_path / "out" / "cloud_0.ply")
    between = upsample_cloud(cloud, "midpoints", factor=4)
    for measured, each in ((made.before, cloud), (made.after, dense), (made.midpoints, between)):
        wanted = spacing(each.points)
        assert measured.points == len(each.points)
        assert measured.spacing == pytest.approx(wanted.mean, rel=1e-9)
        assert measured.unevenness == pytest.approx(wanted.unevenness, rel=1e-9)
    assert made.after != made.midpoints


def test_an_interrupted_call_goes_on_and_ends_with_the_same_bytes(tmp_path):
    folder = folder_of_clouds(tmp_path / "in")
    plain(folder, tmp_path / "whole")

    def stop(done, _, name):
        if name == "cloud_1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plain(folder, tmp_path / "out", progress=stop)
    assert not (tmp_path / "out" / "cloud_1.ply").exists()
    done = plain(folder, tmp_path / "out")
    assert done.before == {"cloud_0"}
    assert bytes_in(tmp_path / "out") == bytes_in(tmp_path / "whole")
    again = plain(folder, tmp_path / "out")
    assert again.before == {"cloud_0", "cloud_1", "cloud_2"}
    assert again.clouds == done.clouds


def test_results_of_another_method_factor_or_model_are_replaced_only_by_force(tmp_path):
    folder, out = folder_of_clouds(tmp_path / "in", 1), tmp_path / "out"
    for number, still in enumerate((True, False)):
        write_surface_model(tmp_path / f"m{number}.npz", untrained("refine", still))
    plain(folder, out)
    for given in (
        {"factor": 16},
        {"method": "refine", "model": tmp_path / "m0.npz"},
        {"method": "refine", "model": tmp_path / "m1.npz"},
    ):
        before = bytes_in(out)
        with pytest.raises(RunRefused, match=r"another model or setting .*give --force"):
            plain(folder, out, **given)
        assert bytes_in(out) == before
        assert not plain(folder, out, **given, force=True).before
        assert bytes_in(out) != before


def test_a_file_that_no_upsampling_has_written_is_never_replaced(tmp_path):
    folder, out = folder_of_clouds(tmp_path / "in", 2), tmp_path / "out"
    out.mkdir()
    (out / "cloud_0.ply").write_text("mine")
    done = plain(folder, out)
    assert [each.name for each in done.clouds] == ["cloud_1"]
    assert "is there already" in done.failed["cloud_0"]
    assert (out / "cloud_0.ply").read_text() == "mine"


def test_clouds_that_fail_are_named_with_their_file_and_do_not_stop_the_others(tmp_path):
    folder = folder_of_clouds(tmp_path / "in", 1)
    (folder / "a_empty.xyz").touch()
    (folder / "b_nothing.ply").write_bytes(b"ply\nhalf")
    write_cloud(folder / "c_one.ply", Cloud(points=np.ones((1, 3), np.float32)))
    write_cloud(folder / "d_equal.ply", Cloud(points=np.ones((5, 3), np.float32)))
    (folder / "e_nan.xyz").write_text("nan nan nan\n0 0 nan\n")
    done = plain(folder, tmp_path / "out")
    assert [each.name for each in done.clouds] == ["cloud_0"]
    assert list(done.failed) == ["a_empty", "b_nothing", "c_one", "d_equal", "e_nan"]
    for name, why in done.failed.items():
        assert why.startswith(str(folder / name))
        assert "\n" not in why
    assert "no two of 5 differ" in done.failed["d_equal"]


def test_points_that_are_not_finite_are_left_out(tmp_path):
    (tmp_path / "in").mkdir()
    lines = [*(f"{x} {y} 0" for x in range(4) for y in range(3)), "nan 0 0", "0 inf 0"]
    (tmp_path / "in" / "some.xyz").write_text("\n".join(lines) + "\n")
    (made,) = plain(tmp_path / "in", tmp_path / "out").clouds
    assert (made.before.points, made.after.points) == (12, 48)


def test_a_folder_without_clouds_and_the_folder_itself_as_target_are_refused(tmp_path):
    folder = folder_of_clouds(tmp_path / "in", 1)
    with pytest.raises(RunRefused, match="is the folder with the scans"):
        plain(folder, folder)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no scan"):
        plain(tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_results_inside_the_folder_are_not_made_denser_by_the_next_call(tmp_path):
    folder = folder_of_clouds(tmp_path / "in", 2)
    for _ in range(2):
        assert len(plain(folder, folder / "out").clouds) == 2

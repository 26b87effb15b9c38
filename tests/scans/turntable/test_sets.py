import numpy as np
import pytest
from turntable_scans import camera_at, scan_of

from fedchain.errors import DataError
from fedchain.scans.formats import write_scan
from fedchain.scans.turntable import sets
from fedchain.scans.turntable.sets import read_set


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    for angle in (0, 45, 90):
        write_scan(folder / f"scan_{angle}.npz", scan_of(camera_at(angle)))
    twin = scan_of(camera_at(0), radius=0.049)
    write_scan(folder / "clean_0.npz", twin)
    cloud = scan_of(camera_at(135))
    np.save(folder / "scan_135.npy", cloud.positions[cloud.valid])
    np.save(folder / "foreign.npy", np.random.default_rng(0).normal(size=(50, 3)) + 3)
    np.savez(folder / "lost.npz", positions=cloud.positions)
    (folder / "broken.npz").write_bytes(b"PK")
    return {path.name: path for path in sorted(folder.iterdir())}


def test_a_set_names_what_it_organised_and_what_it_left_out(files):
    read = read_set(list(files.values()))
    assert set(read.cameras) == {files[n] for n in ("clean_0.npz", "scan_0.npz", "scan_45.npz",
                                                    "scan_90.npz", "scan_135.npy")}  # fmt: skip
    assert read.notes.keys() == {files["scan_135.npy"]}
    assert read.notes[files["scan_135.npy"]].startswith("organised: camera of ")
    assert read.left_out.keys() == {files[n] for n in ("foreign.npy", "lost.npz", "broken.npz")}
    assert "fit none of the 4 cameras" in read.left_out[files["foreign.npy"]]
    assert "holds no camera" in read.left_out[files["lost.npz"]]
    with pytest.raises(DataError, match=r"foreign\.npy: has no grid"):
        read.member(files["foreign.npy"])


def test_a_scan_s_views_are_the_scans_from_other_places(files):
    read = read_set(list(files.values()))
    positions = [view.camera.position for view in read.views(files["scan_0.npz"]).views]
    wanted = [camera_at(angle).position for angle in (45, 90, 135)]
    assert len(positions) == 3
    assert np.array(positions) == pytest.approx(np.array(wanted), abs=1e-6)
    assert not read.views(files["lost.npz"]).views
    assert len(read.views_of(scan_of(camera_at(180))).views) == 5


def test_of_many_scans_the_nearest_cameras_are_the_views(files, monkeypatch):
    monkeypatch.setattr(sets, "MOST_VIEWS", 1)
    (view,) = read_set(list(files.values())).views(files["scan_90.npz"]).views
    assert view.camera.position == pytest.approx(camera_at(45).position, abs=1e-6) or (
        view.camera.position == pytest.approx(camera_at(135).position, abs=1e-6)
    )

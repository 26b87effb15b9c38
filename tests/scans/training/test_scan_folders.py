import numpy as np
import pytest
from training_scans import bumpy, write_npz

from fedchain.errors import DataError
from fedchain.scans.training.folders import list_folder


def touched(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"bytes")
    return folder


def test_a_cleaned_scan_belongs_to_the_scan_whose_name_ends_like_its_own(tmp_path):
    folder = touched(tmp_path, "gpu_004.cogs", "clean_004.cogs", "gpu_14.cogs", "clean_4.ply")
    touched(folder, "scan_4.npz")
    pairs = {scan.name: scan.truth and scan.truth.name for scan in list_folder(folder).scans}
    assert pairs == {"gpu_004": "clean_004.cogs", "gpu_14": None, "scan_4": "clean_4.ply"}


def test_a_file_that_holds_a_mask_is_its_own_truth(tmp_path):
    write_npz(tmp_path / "with.npz", bumpy())
    write_npz(tmp_path / "without.npz", bumpy(), keep=False)
    listed = list_folder(tmp_path)
    assert [scan.truth for scan in listed.scans] == [tmp_path / "with.npz", None]
    assert [scan.name for scan in listed.pairs] == ["with"]


def test_a_folder_with_scans_is_one_set_with_its_sub_folders(tmp_path):
    touched(tmp_path, "gpu_1.cogs", "clean_1.cogs", "turntable/gpu_0.xyz.npy")
    touched(tmp_path, "turntable/clean_2.cogs")
    (only,) = list_folder(tmp_path).sets
    assert [scan.name for scan in only.scans] == ["gpu_1", "turntable/gpu_0"]
    assert [path.name for path in only.cleaned] == ["clean_2.cogs"]


def test_the_sub_folders_of_a_folder_without_scans_are_sets_of_their_own(tmp_path):
    touched(tmp_path, "a/scan_0.npz", "a/b/scan_1.npz", "c/scan_0.npz", "notes.txt")
    listed = list_folder(tmp_path)
    assert [[s.name for s in each.scans] for each in listed.sets] == [
        ["a/b/scan_1", "a/scan_0"],
        ["c/scan_0"],
    ]
    assert list(listed.left_out) == ["notes.txt"]


def test_hidden_files_masks_and_filtered_folders_are_not_scans(tmp_path):
    touched(tmp_path, "s_1.ply", "._s_1.ply", "s_1.keep.npy", "out/filtered.json", "out/s_1.ply")
    touched(tmp_path, "to/s_9.ply")
    assert [s.name for s in list_folder(tmp_path, without=tmp_path / "to").scans] == ["s_1"]


def test_files_that_differ_in_their_endings_keep_them_in_their_names(tmp_path):
    touched(tmp_path, "a.ply", "a.npz", "b.ply")
    assert [s.name for s in list_folder(tmp_path).scans] == ["a.npz", "a.ply", "b"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a_1.ply", "b_1.ply", "clean_1.ply"], "may be cleaned from a_1.ply, b_1.ply"),
        (["a_1.ply", "clean_1.ply", "clean_1.npz"], "is a second cleaned a_1.ply"),
        (["notes.txt"], "holds no scan; allowed: files that end in"),
        (["clean_1.ply"], "holds no scan"),
    ],
)
def test_a_folder_that_cannot_be_understood_is_refused_with_its_reason(tmp_path, names, words):
    touched(tmp_path, *names)
    with pytest.raises(DataError, match=words):
        list_folder(tmp_path)


def test_a_damaged_npz_is_listed_and_refused_only_when_it_is_read(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK no archive")
    np.savez(tmp_path / "b.npz", positions=np.zeros((1, 1, 3)))
    assert [scan.truth for scan in list_folder(tmp_path).scans] == [None, None]


def test_pairs_that_do_not_match_a_pattern_remain_as_scans_without_a_truth(tmp_path):
    touched(tmp_path, "gpu_4.cogs", "clean_4.cogs", "gpu_6.cogs", "clean_6.cogs", "clean_2.cogs")
    listed = list_folder(tmp_path).only("*_6")
    assert [scan.name for scan in listed.pairs] == ["gpu_6"]
    assert [path.name for path in listed.sets[0].views] == [
        "gpu_4.cogs",
        "gpu_6.cogs",
        "clean_2.cogs",
    ]
    with pytest.raises(DataError, match="no pair matches '5'; its pairs are gpu_4, gpu_6"):
        list_folder(tmp_path).only("5")


def test_the_clouds_of_a_folder_are_all_of_its_files_cleaned_ones_too(tmp_path):
    touched(tmp_path, "gpu_4.cogs", "clean_4.cogs", "clean_2.ply", "sub/a.ply", "sub/a.npz")
    clouds = list_folder(tmp_path).clouds
    assert [(each.name, each.path.relative_to(tmp_path).as_posix()) for each in clouds] == [
        ("clean_2", "clean_2.ply"),
        ("clean_4", "clean_4.cogs"),
        ("gpu_4", "gpu_4.cogs"),
        ("sub/a.npz", "sub/a.npz"),
        ("sub/a.ply", "sub/a.ply"),
    ]


def test_a_folder_of_results_is_read_if_it_is_asked_for_but_not_its_sub_folders(tmp_path):
    touched(tmp_path, "filtered.json", "s_1.ply", "s_1.keep.npy", "dense/upsampled.json")
    touched(tmp_path, "dense/s_1.ply", "clean_2.ply")
    listed = list_folder(tmp_path, results=True)
    assert [each.name for each in listed.clouds] == ["clean_2", "s_1"]
    assert listed.left_out == {}
    with pytest.raises(DataError, match="holds no scan"):
        list_folder(tmp_path)

"""Pictures of the user: what is read of folders and NPZ files, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fedchain.errors import DataError
from fedchain.learning.models import cnn
from fedchain.learning.task import tasks
from fedchain.learning.tasks import picture_files
from fedchain.learning.tasks.picture_files import pictures_in


def made(path, holders=2, **given):
    return tasks.build(tasks.check({"kind": "images", "path": str(path), **given}), holders, 0)


@pytest.fixture
def folder(tmp_path):
    """Ten grey pictures of cats, as PNG, and ten coloured ones of dogs, as JPEG."""
    for place, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(10):
            shade = 100 * place + 5 * number
            picture = Image.new("RGB" if place else "L", (12, 10), (shade,) * 3 if place else shade)
            picture.save(tmp_path / "pets" / name / f"{number}.{'jpg' if place else 'png'}")
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("no picture")
    return tmp_path / "pets"


def test_each_folder_is_a_class_and_pictures_are_scaled(folder):
    task = made(folder, size=8)
    assert task.held_out.inputs.shape == (5, 1, 8, 8)
    assert sum(own.count for own in task.holders) == 15
    rows = np.concatenate([each.inputs for each in (*task.holders, task.held_out)])
    labels = np.concatenate([each.targets for each in (*task.holders, task.held_out)])
    assert np.bincount(labels).tolist() == [10, 10]
    bright = rows.mean(axis=(1, 2, 3))
    assert bright[labels == 1].min() > bright[labels == 0].max()
    np.testing.assert_allclose(task.held_out.inputs.mean(axis=0), 0, atol=1e-6)
    assert made(folder, size=8, colour=True).held_out.inputs.shape == (5, 3, 8, 8)


def test_arrays_give_the_same_pictures_as_files(folder, tmp_path):
    files = pictures_in(folder)
    assert [file.suffix for file in files] == [".png"] * 10 + [".jpg"] * 10
    pixels = [np.asarray(Image.open(file).convert("L")) for file in files]
    names = [file.parent.name for file in files]
    np.savez(tmp_path / "pets.npz", pictures=np.stack(pixels), names=np.array(names))
    one, other = made(folder, size=8), made(tmp_path / "pets.npz", size=8)
    assert one.held_out.inputs.tobytes() == other.held_out.inputs.tobytes()
    assert one.read(files[0]).shape == (1, 1, 8, 8)
    assert one.holders[1].targets.tolist() == other.holders[1].targets.tolist()


def test_what_is_no_set_of_pictures_is_refused(folder, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"has no picture; allowed: an \.npz file, or a folder"):
        made(tmp_path / "nowhere")
    np.savez(tmp_path / "x.npz", pictures=np.zeros((4, 8, 8)), labels=np.arange(4))
    with pytest.raises(DataError, match="has pictures of float64; allowed: uint8"):
        made(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", pictures=np.zeros((4, 8, 8), np.uint8))
    with pytest.raises(DataError, match=r"has arrays of the shapes \(4, 8, 8\); allowed: one of"):
        made(tmp_path / "y.npz")
    (folder / "dog" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    with pytest.raises(DataError, match=r"a\.png: is no picture that can be read"):
        made(folder)
    (folder / "dog" / "a.png").unlink()
    monkeypatch.setattr(picture_files, "MOST_PIXELS", 100)
    with pytest.raises(DataError, match="has 12 x 10 pixels; allowed: at most 100 pixels"):
        made(folder)


def test_the_convolutional_model_says_which_pictures_it_takes():
    assert next(tuple(each.shape) for each in cnn((3, 9, 8), 5).parameters()) == (16, 3, 3, 3)
    for shape in ((30,), (3, 3), (1, 28, 3)):
        with pytest.raises(ValueError, match=r"cnn: takes pictures of at least 4 x 4 pixels, got"):
            cnn(shape, 2)

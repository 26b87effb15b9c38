import json
import zipfile

import numpy as np
import pytest
import torch

from fedchain.errors import DataError
from fedchain.learning.models import seeded
from fedchain.scans.training.model_file import (
    Card,
    Channel,
    TrainedModel,
    bytes_of_arrays,
    module_of,
    read_model,
    text_array,
    write_model,
)

BLOCK = {"kind": "gajdosech_unet", "levels": 1, "width": 1, "norm": "group"}


def small() -> TrainedModel:
    channel = Channel(name="intensity", mean=0.5, deviation=0.25, low=0.0, high=1.0)
    card = Card(
        model=BLOCK, kind="picture", channels=(channel,), window=16, margin=2, threshold=0.3,
        trained_on="two scans", training={"steps": 3}, scores={"model": {"iou": 0.5}},
    )  # fmt: skip
    return TrainedModel(card, seeded(lambda: module_of(BLOCK, 1, (16, 16), "test"), 1)().eval())


def arrays_in(path):
    with np.load(path) as file:
        return dict(file)


def test_a_model_file_brings_back_the_card_and_every_weight(tmp_path):
    trained = small()
    write_model(tmp_path / "model", trained)
    read = read_model(tmp_path / "model")
    assert read.card == trained.card
    image = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16)
    assert torch.equal(read.module(image), trained.module(image))


def changed(path, **changes):
    """Write a model file again with other arrays; None leaves an array out."""
    arrays = {**arrays_in(path), **changes}
    path.write_bytes(bytes_of_arrays({n: a for n, a in arrays.items() if a is not None}))


def card_with(path, **changes):
    card = json.loads(arrays_in(path)["card"].tobytes())
    return text_array(json.dumps({**card, **changes}))


NAME = "weights/last.bias"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: changed(p, card=None), "is no model file: it has no card"),
        (lambda p: changed(p, card=text_array("{")), "has a damaged card"),
        (lambda p: changed(p, card=card_with(p, threshold=2.0)), "card: threshold"),
        (lambda p: changed(p, card=card_with(p, secret=1)), "card: secret"),
        (lambda p: changed(p, card=card_with(p, window=10**9)), "card: window"),
        (lambda p: changed(p, card=card_with(p, model={"kind": "os:system"})), "names the code"),
        (lambda p: changed(p, card=card_with(p, model={"kind": "nothing"})), "no model called"),
        (
            lambda p: changed(p, card=card_with(p, model={**BLOCK, "width": 2})),
            r"allowed: float32, \(2, 1",
        ),
        (lambda p: changed(p, **{NAME: None}), "has other weights than its model: last.bias"),
        (lambda p: changed(p, **{NAME: np.zeros(2, np.float32)}), r"last.bias as float32 of shape"),
        (lambda p: changed(p, **{NAME: np.zeros(1)}), "last.bias as float64"),
        (lambda p: changed(p, **{NAME: np.full(1, np.nan, np.float32)}), "not finite"),
        (lambda p: p.write_bytes(p.read_bytes()[:-40]), "damaged"),
        (lambda p: p.write_bytes(b"not a zip"), "damaged"),
    ],
)
def test_a_file_that_is_no_whole_model_is_refused_with_one_line(tmp_path, change, words):
    path = tmp_path / "model.npz"
    write_model(path, small())
    change(path)
    with pytest.raises(DataError, match=words) as refused:
        read_model(path)
    assert str(path) in str(refused.value)


def test_pickled_objects_in_a_model_file_are_never_loaded(tmp_path):
    path = tmp_path / "model.npz"
    write_model(path, small())
    np.savez(tmp_path / "evil.npz", **{NAME: np.array([{}], object)})
    with zipfile.ZipFile(tmp_path / "evil.npz") as evil, zipfile.ZipFile(path, "a") as archive:
        archive.writestr("weights/more.npy", evil.read(f"{NAME}.npy"))
    with pytest.raises(DataError):
        read_model(path)


@pytest.mark.parametrize(
    ("block", "numbers"), [({"kind": "mlp"}, 1), ({"kind": "unet", "width": 1, "valid": True}, 16)]
)
def test_a_model_that_gives_no_number_for_each_pixel_is_refused(block, numbers):
    side = 188 if block["kind"] == "unet" else 16
    words = (
        f"{block['kind']} gives {numbers} numbers for {side} x {side} pixels; allowed: a model of"
    )
    with pytest.raises(DataError, match=words):
        module_of(block, 1, (side, side), "model")

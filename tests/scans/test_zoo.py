"""The models of masks from papers: their sizes, what defines each, and their gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

import fedchain
from fedchain.learning.evaluation import places
from fedchain.learning.gradients.methods import by_layers, by_vmap
from fedchain.learning.gradients.probe import by_single
from fedchain.learning.task import models
from fedchain.scans.losses import bce
from fedchain.scans.models import two_phases
from fedchain.scans.models.two_phases import train_two_phases
from fedchain.scenario import from_mapping

FULL = {"width": 64, "norm": "none"}
PUBLISHED = [
    ("gajdosech_fcn", {**FULL, "width": 32}, 4, 1, 333_409),
    ("havaei", FULL, 4, 5, 809_637),
    ("fcn8s", FULL, 3, 21, 134_489_759),
    ("deconvnet", {**FULL, "norm": "group"}, 3, 21, 251_805_653),
    ("unet", FULL, 1, 2, 31_030_658),
    ("unet", {**FULL, "valid": True}, 1, 2, 31_030_658),
    ("ternausnet", FULL, 3, 1, 22_927_393),
    ("ternausnet", {**FULL, "transposed": 4}, 3, 1, 25_364_513),
]
SMALL = [
    ("gajdosech_fcn", {"width": 2}, (8, 9)),
    ("havaei", {"width": 1}, (4, 3)),
    ("havaei", {"width": 2, "cascade": "input"}, (3, 4)),
    ("havaei", {"width": 2, "cascade": "local"}, (3, 4)),
    ("havaei", {"width": 2, "cascade": "mean_field"}, (3, 4)),
    ("fcn8s", {"width": 1}, (32, 64)),
    ("deconvnet", {"width": 1}, (64, 32)),
    ("deconvnet", {"width": 1, "window": 1}, (32, 32)),
    ("unet", {"width": 2}, (32, 16)),
    ("ternausnet", {"width": 2}, (32, 64)),
    ("ternausnet", {"width": 3, "transposed": 4}, (32, 32)),
]
NAMES = [f"{kind} {list(given.values())[1:]}" for kind, given, _ in SMALL]


def make(kind, inputs, outputs=1, **given):
    torch.manual_seed(0)
    return models.build(models.check({"kind": kind, **given}), inputs, outputs)


def lively(model):
    """Return the model in float64 with positive biases, so that no ReLU is 0 everywhere."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                value.abs_()
    return model.double()


def images(*shape):
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("kind", "given", "channels", "outputs", "known"), PUBLISHED)
def test_the_full_size_has_the_parameters_of_the_paper(kind, given, channels, outputs, known):
    side = 572 if given.get("valid") else 224
    with torch.device("meta"):
        model = make(kind, (channels, side, side), outputs, **given)
    assert sum(value.numel() for value in model.parameters()) == known


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # vmap of max_unpool2d
@pytest.mark.parametrize(("kind", "given", "sides"), SMALL, ids=NAMES)
@pytest.mark.parametrize("norm", ["none", "group"])
def test_gradients_of_single_examples_are_those_of_a_loop(kind, given, sides, norm):
    model = lively(make(kind, (5, *sides), norm=norm, **given))
    masks = (images(2, *sides) > 0.4).double()
    masks[:, 0, 0] = np.nan
    batch = model, bce(), images(2, 5, *sides), masks
    alone = by_single(*batch)
    assert alone.isfinite().all()
    assert all(alone[:, place].abs().max() > 0 for place in places(model).values())
    for way in (by_layers, by_vmap):
        torch.testing.assert_close(way(*batch), alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("kind", "given", "sides"), SMALL, ids=NAMES)
def test_an_image_becomes_as_many_logits_and_an_example_is_seen_alone(kind, given, sides):
    model = make(kind, (5, *sides), 2, **given).double()
    several = images(3, 5, *sides)
    logits = model(several)
    assert logits.shape == (3, 2, *sides)
    torch.testing.assert_close(model(several[1:2]), logits[1:2], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "given", "sides", "words"),
    [
        ("unet", {}, (32, 40), "unet: 32 x 40 pixels cannot be halved 4 times; .* by 16$"),
        ("unet", {"valid": True}, (572, 576), r"unet: 572 x 576 .* from 188 that leave 12 .* 16$"),
        ("unet", {"valid": True}, (172, 172), "unet: 172 x 172 pixels do not fit"),
        ("fcn8s", {}, (32, 48), "fcn8s: 32 x 48 pixels cannot be halved 5 times; .* by 32$"),
        ("deconvnet", {}, (80, 64), "deconvnet: 80 x 64 pixels cannot be halved 5 times"),
        ("ternausnet", {}, (16, 16), "ternausnet: 16 x 16 pixels cannot be halved 5 times"),
        ("gajdosech_fcn", {}, (6, 9), "gajdosech_fcn: 6 x 9 pixels are too few; .* from 7$"),
    ],
)
def test_images_that_do_not_fit_are_refused_with_what_is_allowed(kind, given, sides, words):
    with pytest.raises(ValueError, match=words):
        make(kind, (5, *sides), **given)


@pytest.mark.parametrize(
    "kind", ["deconvnet", "fcn8s", "gajdosech_fcn", "havaei", "ternausnet", "unet"]
)
def test_two_private_rounds_are_run(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("FEDCHAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("fedchain.learning.gradients.cohort.PIECE", 2)  # havaei's probe is slow
    size = 8 if kind in ("havaei", "gajdosech_fcn") else 32
    narrow = {"kind": kind, "width": 2 if kind in ("havaei", "ternausnet") else 1}
    scenario = from_mapping(
        {
            "version": 1,
            "name": "zoo",
            "rounds": 2,
            "task": {
                "kind": "scan_segmentation", "size": size, "records_per_holder": 2, "held_out": 2,
                "model": narrow,
            },
            "nodes": {"holders": 2, "compute": 1},
            "privacy": {"kind": "gaussian", "epsilon": 8.0, "delta": 1e-3, "clip": 0.1},
            "aggregation": {"kind": "mean"},
            "ledger": {"work": {"kind": "sampled", "interval_s": 10.0}},
        }
    )  # fmt: skip
    assert fedchain.run(scenario, tmp_path).summary()["rounds"] == 2


def test_the_scores_of_fcn8s_begin_as_bilinear_interpolation_and_are_added():
    model = make("fcn8s", (3, 64, 96), 2, width=1).double()
    for layer, times in ((model.two, 2), (model.eight, 8)):
        coarse = images(1, 2, 5, 6)
        known = functional.interpolate(coarse, scale_factor=times, mode="bilinear")
        inner = (..., slice(times, -times), slice(times, -times))  # the border reads zeros
        torch.testing.assert_close(layer(coarse)[inner], known[inner])
    given = images(1, 3, 64, 96)
    both = model(given)
    single = []
    for kept in ("score", "score4", "score3"):
        for name in {"score", "score4", "score3"} - {kept}:
            layer = getattr(model, name)
            layer.register_forward_hook(lambda *passed: torch.zeros_like(passed[2]))
        single.append(model(given))
        for name in ("score", "score4", "score3"):
            getattr(model, name)._forward_hooks.clear()
    assert all(each.abs().max() > 0 for each in single)
    torch.testing.assert_close(sum(single), both)


def test_deconvnet_puts_values_back_where_max_pooling_took_them():
    model = make("deconvnet", (3, 64, 32), width=1).double()
    pooled, unpooled = [], []
    for layers in model.down:
        layers.register_forward_hook(lambda *passed: pooled.append(passed[2]))
    for layers in model.up:
        layers.register_forward_pre_hook(lambda _, entered: unpooled.append(entered[0]))
    model(images(1, 3, 64, 32))
    for before, after in zip(pooled, reversed(unpooled), strict=True):
        assert before.shape == after.shape
        tiles = [
            each.unfold(2, 2, 2).unfold(3, 2, 2).flatten(-2).flatten(0, -2)
            for each in (before, after)
        ]
        chosen = tiles[0].argmax(dim=1, keepdim=True)
        elsewhere = tiles[1].scatter(1, chosen, 0.0)
        assert after.abs().max() > 0
        assert elsewhere.abs().max() == 0


def test_deconvnet_has_one_code_for_an_image_of_224_pixels_and_needs_none_for_one_of_32():
    code = make("deconvnet", (3, 224, 224), width=1).code
    assert code[0](torch.zeros(1, 8, 7, 7)).shape == (1, 64, 1, 1)
    assert code(torch.zeros(1, 8, 7, 7)).shape == (1, 8, 7, 7)
    wide, narrow = (make("deconvnet", (3, 32, 32), width=1, window=side) for side in (7, 1))
    values = dict(wide.named_parameters())
    with torch.no_grad():
        for name, value in narrow.named_parameters():
            known = values[name]
            value.copy_(known if known.shape == value.shape else known[..., 3:4, 3:4])
    given = images(1, 3, 32, 32).float()
    torch.testing.assert_close(wide(given), narrow(given))


def test_havaei_over_an_image_computes_what_it_computes_patch_by_patch():
    model = make("havaei", (2, 5, 4), 3, width=2, norm="none").double()
    given = images(1, 2, 5, 4)
    logits, large = model(given), functional.pad(given, [16] * 4)
    for y in range(5):
        for x in range(4):
            alone = model.of_patches(large[..., y : y + 33, x : x + 33])
            torch.testing.assert_close(alone[..., 0, 0], logits[..., y, x])


@pytest.mark.parametrize(
    ("cascade", "layer", "known"),
    [("input", "first", 6), ("local", "second", 4), ("mean_field", "last", 9)],
)
def test_a_cascade_reads_the_probabilities_of_the_first_network(cascade, layer, known):
    model = make("havaei", (4, 5, 4), 2, width=2, norm="none", cascade=cascade).double()
    entering = getattr(model.after, layer)
    entered = []
    entering.register_forward_pre_hook(lambda _, given: entered.append(given[0]))
    given = images(1, 4, 5, 4)
    model(given)
    chances = model.before(given).softmax(dim=1)
    (seen,) = entered
    assert seen.shape[1] == known
    up, left = (-(-(a - b) // 2) for a, b in zip(seen.shape[2:], (5, 4), strict=True))
    torch.testing.assert_close(seen[:, -2:, up : up + 5, left : left + 4], chances)


def test_unet_without_padding_computes_the_inner_pixels_of_unet_with_padding():
    padded = lively(make("unet", (1, 384, 384), 2, width=1, norm="none"))
    valid = make("unet", (1, 188, 204), 2, width=1, norm="none", valid=True).double()
    valid.load_state_dict(padded.state_dict())
    given = images(1, 1, 384, 384)
    # The pools of both meet the same pixels if the offset leaves 2 when divided by 16.
    inner = valid(given[..., 98 : 98 + 188, 82 : 82 + 204])
    assert inner.shape == (1, 2, 4, 20)
    assert inner.std() > 0
    torch.testing.assert_close(inner, padded(given)[..., 190:194, 174:194])


def test_the_second_phase_changes_only_the_last_layer_and_learns_how_frequent_classes_are():
    given, masks = torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4)
    masks[:, 0, :2], masks[:, 3] = 1.0, np.nan
    trained = []
    for second in (1, 40):
        model = make("havaei", (1, 4, 4), width=2, norm="none")
        train_two_phases(model, given, masks, epochs=(8, second), rate=0.02)
        trained.append(model)
    weights = [dict(model.named_parameters()) for model in trained]
    changed = {name for name, value in weights[0].items() if not value.equal(weights[1][name])}
    assert changed == {"last.weight", "last.bias"}
    share = trained[1](given)[0, 0, 1, 1].detach().sigmoid()
    assert float(share) == pytest.approx(1 / 6, abs=0.1)


def test_the_first_phase_draws_as_many_patches_of_a_rare_class():
    targets = torch.tensor([0.0] * 997 + [1.0] * 3)
    drawn = targets[two_phases._balanced(targets, torch.Generator().manual_seed(0))]
    assert drawn.mean() == 0.5
    assert len(two_phases._balanced(targets[:5], torch.Generator())) == two_phases.DRAWN


def test_a_cascade_goes_through_both_phases_network_by_network():
    model = make("havaei", (1, 4, 4), width=2, norm="none", cascade="mean_field")
    before = {name: value.clone() for name, value in model.named_parameters()}
    train_two_phases(model, torch.rand(2, 1, 4, 4), torch.ones(2, 4, 4), epochs=(1, 1))
    moved = {name for name, value in model.named_parameters() if not value.equal(before[name])}
    assert moved == before.keys()


@pytest.mark.parametrize(("kind", "readers"), [("unet", "across"), ("ternausnet", "up")])
def test_a_decoder_reads_the_channels_of_the_encoder_at_its_own_resolution(kind, readers):
    model = make(kind, (3, 32, 64), width=2).double()
    encoded, read = [], []
    for layers in model.down:
        layers.register_forward_hook(lambda *passed: encoded.append(passed[2]))
    for layers in getattr(model, readers):
        layers.register_forward_pre_hook(lambda _, entered: read.append(entered[0]))
    if kind == "ternausnet":
        model.fine.register_forward_pre_hook(lambda _, entered: read.append(entered[0]))
    model(images(1, 3, 32, 64))
    pairs = zip(encoded[-2::-1], read, strict=True)
    if kind == "ternausnet":  # the deepest block reads the pooled image alone
        torch.testing.assert_close(read[0], functional.max_pool2d(encoded[-1], 2))
        pairs = zip(encoded[::-1], read[1:], strict=True)
    for fine, entered in pairs:
        many = fine.shape[1]
        mine = entered[:, :many] if kind == "unet" else entered[:, -many:]
        torch.testing.assert_close(mine, fine)

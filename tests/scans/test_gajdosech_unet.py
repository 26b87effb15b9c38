import pytest
import torch
from torch.func import functional_call, grad, vmap

from fedchain.learning.task import models


def make(size=32, outputs=1, **parameters):
    part = models.check({"kind": "gajdosech_unet", **parameters})
    torch.manual_seed(0)
    return models.build(part, (5, size, size), outputs)


def parameters_of(model):
    return sum(p.numel() for p in model.parameters())


def test_the_full_size_has_the_published_number_of_parameters():
    assert parameters_of(make()) == 237_433


def test_two_levels_of_width_two_with_group_norm_have_2035_parameters():
    assert parameters_of(make(levels=2, width=2, norm="group")) == 2_035


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("norm", ["none", "group", "group_and_weights"])
def test_an_image_becomes_as_many_logits(levels, norm):
    model = make(levels=levels, width=1, norm=norm, outputs=2)
    assert model(torch.zeros(3, 5, 32, 48)).shape == (3, 2, 32, 48)


def test_a_side_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match="36 x 36 pixels cannot be halved 3 times; allowed: sides"):
        make(36, levels=3)


def test_an_example_is_seen_alone():
    model = make(levels=2, width=2, norm="group")
    images = torch.rand(4, 5, 32, 32)
    assert torch.allclose(model(images)[2:3], model(images[2:3]), atol=1e-6)


@pytest.mark.parametrize("norm", ["none", "group", "group_and_weights"])
def test_per_example_gradients_under_vmap_equal_one_by_one(norm):
    model = make(16, levels=2, width=2, norm=norm).double()
    weights = {name: p.detach() for name, p in model.named_parameters()}
    images = torch.rand(3, 5, 16, 16, dtype=torch.float64)

    def loss(w, image):
        return functional_call(model, w, (image[None],)).square().mean()

    together = vmap(grad(loss), in_dims=(None, 0))(weights, images)
    for i, image in enumerate(images):
        for name, value in grad(loss)(weights, image).items():
            assert torch.allclose(together[name][i], value, rtol=1e-9, atol=1e-12), name


def test_hooks_see_every_layer_and_nothing_is_changed_in_place():
    model = make(levels=2, width=2, norm="group")
    seen = []
    for layer in model.modules():
        if not list(layer.children()):
            layer.register_forward_hook(
                lambda _, i, o: seen.append((i[0], i[0]._version, o, o._version))
            )
    model(torch.rand(1, 5, 32, 32))
    assert len(seen) == 10 * 3 + 2 + 1
    assert all(i._version == before and o._version == after for i, before, o, after in seen)


def test_gradients_agree_with_finite_differences():
    model = make(8, levels=1, width=1, norm="group").double()
    image = torch.rand(1, 5, 8, 8, dtype=torch.float64)
    weights = [p.detach().requires_grad_() for p in model.parameters()]
    names = [name for name, _ in model.named_parameters()]

    def output(*values):
        return (
            functional_call(model, dict(zip(names, values, strict=True)), (image,)).square().sum()
        )

    assert torch.autograd.gradcheck(output, weights)


def test_standardised_kernels_add_no_parameter_and_forget_scale_and_mean_of_the_weights():
    model = make(levels=2, width=2, norm="group_and_weights").double()
    assert parameters_of(model) == 2_035
    image = torch.rand(2, 5, 32, 32, dtype=torch.float64)
    before = model(image)
    first = model.down[0][0]
    variance, mean = torch.var_mean(first.weight, (1, 2, 3), correction=0, keepdim=True)
    expected = (first.weight - mean) / torch.sqrt(variance + 1e-5)
    left = torch.nn.functional.conv2d(image, expected, first.bias, padding=1)
    torch.testing.assert_close(first(image), left, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        first.weight.mul_(3.0).add_(0.7)
    torch.testing.assert_close(model(image), before, rtol=1e-2, atol=1e-3)
    assert not torch.equal(model(image), before), "the weights act at all"


def test_only_the_convolutions_before_a_group_norm_are_standardised():
    model = make(levels=1, width=2, norm="group_and_weights")
    kinds = [type(layer).__name__ for layer in model.modules() if hasattr(layer, "weight")]
    pair = ["StandardisedConv2d", "GroupNorm"] * 2
    assert kinds == [*pair, *pair, "ConvTranspose2d", *pair, "Conv2d"]

import numpy as np
import pytest
import torch
from small_runs import small
from torch import nn

from fedchain.forecasts.counting import configuration, learning, passed, state_arrays
from fedchain.learning.losses import cross_entropy
from fedchain.learning.task import Records, Task
from fedchain.registry import Part


def task_of(model, inputs):
    records = Records(inputs, np.zeros(len(inputs), dtype=np.int64))
    return Task(
        name="made",
        holders=(records,),
        held_out=records,
        model=model,
        loss=cross_entropy(),
        measure=lambda *_: {},
        score="",
        baselines={},
    )


def dense():
    return nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 10))


def test_a_convolution_has_its_multiply_adds():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    assert passed(layers, torch.ones(1, 3, 8, 8)) == (3, 64 * 4 * 3 * 9, 256 + 256 + 64)


def test_a_layer_that_is_called_twice_counts_twice():
    layer = nn.Linear(5, 5)
    assert passed(nn.Sequential(layer, layer), torch.ones(1, 5)) == (2, 50, 10)


def test_counting_leaves_no_hook_behind():
    model = dense()
    passed(model, torch.ones(1, 20))
    assert all(not layer._forward_hooks for layer in model.modules())


def test_a_dense_network_goes_by_segments_in_one_piece():
    found = learning(task_of(dense, np.ones((60, 20), np.float32)), 1.0, "record", 60, 5)
    assert (found.method, found.pieces, found.dimension) == ("segments", 1, 20 * 30 + 30 + 310)
    assert found.gradient.products == 3 * 60 * (600 + 300)
    assert found.gradient.numbers == found.dimension
    assert found.forward.products == 5 * 900


def test_a_convolution_goes_example_by_example_in_pieces():
    def model():
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 2))

    found = learning(task_of(model, np.ones((4, 1, 8, 8), np.float32)), 1.0, "record", 250, 5)
    assert (found.method, found.pieces) == ("layers", 3)
    assert found.gradient.numbers == 250 * found.dimension
    assert found.gradient.calls == 3 * found.layers


@pytest.mark.parametrize(
    ("update", "arrays"),
    [
        ("gradient_descent", 1),
        ("momentum", 2),
        ("adam", 3),
        ("averaged", 4),
        ("filtered", 4),
    ],
)
def test_the_state_has_the_arrays_of_the_update(update, arrays):
    counted = learning(task_of(dense, np.ones((6, 20), np.float32)), 1.0, "record", 6, 5)
    inner = {"kind": "adam", "learning_rate": 0.1}
    block = {"kind": update, "of": inner} if arrays == 4 else {**inner, "kind": update}
    scenario = small(**{"update": block, "ledger.weights": "float32"})
    asked = configuration(scenario, counted, private=True)
    assert (asked.state, asked.weights, asked.holders, asked.compute) == (arrays, 4, 10, 3)
    assert state_arrays(Part("distance_over_gradients", {})) == 2
    assert configuration(small(**{"nodes.identity": "open"}), counted, private=True).path == 0


def test_sampled_work_has_no_bits_to_search():
    counted = learning(task_of(dense, np.ones((60, 20), np.float32)), 1.0, "record", 60, 5)
    drawn = small(**{"ledger.work": {"kind": "sampled", "interval_s": 600}})
    assert configuration(drawn, counted, private=True).difficulty_bits == 0
    assert configuration(small(), counted, private=True).difficulty_bits == 6

import math
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch

from fedchain.registry import Part
from fedchain.scans.benchmark import COLUMNS, benchmark_notes, measure_backends, table_cells
from fedchain.scans.benchmark.backends import BACKENDS, EAGER, Training
from fedchain.scans.benchmark.measuring import Row, Times, Timing, timing_of
from fedchain.scans.benchmark.workload import FULL, workload_of

SMALL = Part("gajdosech_unet", {"levels": 1, "width": 2})
COMPILED = next(each for each in BACKENDS if each.slow_to_prepare)
QUICK = [each for each in BACKENDS if each is not COMPILED and each.api == "PyTorch"]
EXPORTED = [each for each in BACKENDS if each.api != "PyTorch"]


def measured(*backends, **given):
    settings = {"model": SMALL, "size": (16, 24), "repeats": 2, "threads": (1,), **given}
    return measure_backends(backends=backends, **settings)


def changed(backend, change):
    """The back end with other logits."""

    def inference(workload, device, threads):
        infer = backend.inference(workload, device, threads)
        return lambda: change(infer())

    return replace(backend, name="changed", inference=inference)


def fails(*_):
    raise RuntimeError("no such unit\nand much more")


@pytest.fixture
def on_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


pytestmark = pytest.mark.usefixtures("on_the_cpu")


def test_every_way_of_pytorch_gives_the_logits_and_gradients_of_eager():
    rows = measured(*QUICK)
    assert [row.backend for row in rows] == [each.name for each in QUICK]
    for row in rows:
        assert not row.differs, row
        low, high = (1e-4, 0.1) if "bfloat16" in row.backend else (-1, 1e-4)
        assert low < row.difference < high
        assert (row.train is None) == (row.backend == "jit freeze")
        assert row.inference.wall_ms > 0
    assert rows[0].difference == 0


def test_channels_last_back_ends_keep_kernels_with_the_channels_last():
    workload = workload_of(SMALL, (16, 24), 1)
    for backend in QUICK:
        if backend.training is not None:
            weights = backend.training(workload, "cpu").model.down[0][0].weight
            last = weights.is_contiguous(memory_format=torch.channels_last)
            assert last == ("channels last" in backend.name)


@pytest.mark.parametrize("backend", EXPORTED, ids=lambda each: f"{each.api} {each.name}")
def test_exported_models_give_the_logits_of_eager(backend):
    pytest.importorskip("onnx")
    pytest.importorskip(backend.api.lower().replace(" ", ""))
    _, row = measured(backend, training=False)
    assert not row.skipped
    assert not row.differs
    assert 0 < row.difference < (0.1 if row.backend == "bfloat16" else 1e-4)


@pytest.mark.long
def test_the_compiled_model_gives_the_logits_of_eager_with_the_first_number_of_threads():
    rows = measured(COMPILED, threads=(1, 2))
    assert [(row.backend, row.threads) for row in rows if not row.skipped] == [
        ("eager", 1), ("compiled", 1), ("eager", 2)
    ]  # fmt: skip
    assert not any(row.differs for row in rows)


@pytest.mark.parametrize(
    "change",
    [
        lambda logits: logits * 1.01,
        lambda logits: logits.flip(-1),
        lambda logits: logits[..., :-1],
        lambda logits: logits * math.nan,
    ],
)
def test_a_back_end_that_answers_something_else_is_named(change):
    rows = measured(changed(EAGER, change), training=False)
    assert [row.differs for row in rows] == [False, True]
    assert any("answer differs" in note and "changed" in note for note in benchmark_notes(rows))


def test_a_back_end_with_other_gradients_is_named():
    def training(workload, device):
        right = EAGER.training(workload, device)

        def step():
            right.step()
            for weights in right.model.parameters():
                weights.grad *= 1.01

        return Training(right.model, step)

    rows = measured(replace(EAGER, name="changed", training=training))
    assert [row.differs for row in rows] == [False, True]
    assert rows[1].difference == 0


def test_a_back_end_that_fails_is_skipped_with_the_reason_and_the_others_are_measured():
    rows = measured(replace(EAGER, name="broken", inference=fails), *QUICK[1:2], training=False)
    assert [(row.backend, row.skipped) for row in rows] == [
        ("eager", ""), ("channels last", ""), ("broken", "no such unit")
    ]  # fmt: skip
    assert "skipped: PyTorch, broken: no such unit" in benchmark_notes(rows)
    assert len(table_cells(rows)) == 2


@pytest.mark.parametrize("absent", ["onnx", "onnxruntime", "openvino"])
def test_a_package_that_is_missing_is_named_with_how_to_install_it(absent, monkeypatch):
    monkeypatch.setitem(sys.modules, absent, None)
    for present in {"onnxruntime", "openvino"} - {absent}:
        pytest.importorskip(present)
    rows = measured(*EXPORTED, training=False)
    missing = [row for row in rows if row.skipped]
    assert len(missing) == {"onnx": 3, "onnxruntime": 1, "openvino": 2}[absent]
    assert {row.skipped for row in missing} == {
        f"benchmark: {absent} is not installed; install it with: pip install 'fedchain[backends]'"
    }


def test_each_number_of_threads_has_its_rows_and_the_setting_is_put_back(monkeypatch):
    now, seen = [7], []
    monkeypatch.setattr(torch, "set_num_threads", lambda count: now.__setitem__(0, count))
    monkeypatch.setattr(torch, "get_num_threads", lambda: now[0])

    def inference(workload, device, threads):
        infer = EAGER.inference(workload, device, threads)
        return lambda: (seen.append(now[0]), infer())[1]

    watched = replace(EAGER, name="watched", inference=inference)
    rows = measured(watched, threads=(3, 2), training=False)
    assert [(row.backend, row.threads) for row in rows] == [
        ("eager", 3), ("watched", 3), ("eager", 2), ("watched", 2)
    ]  # fmt: skip
    assert seen[-4:] == [3, 2, 3, 2]  # two turns, in which the back ends alternate
    assert now == [7]


def test_the_ratio_to_eager_is_the_median_over_turns_and_not_the_ratio_of_medians():
    own, eager = [(1, 8), (20, 4), (3, 2)], [(10, 2), (10, 2), (1, 1)]
    found = timing_of([Times(*each) for each in own], [Times(*each) for each in eager])
    assert found == Timing(wall_ms=3, processor_ms=4, wall_to_eager=2.0, processor_to_eager=2.0)
    assert timing_of([Times(5, 5)], [Times(10, 10)]).wall_to_eager == 0.5


def test_the_logits_of_the_workload_depend_on_its_images():
    workload = workload_of(SMALL, (16, 24), 3)
    logits = workload.model(workload.images)
    assert workload.images.shape == (3, 5, 16, 24)
    assert logits.std() > 0.1 * logits.abs().max()
    assert 0.1 < workload.targets.isnan().float().mean() < 0.3


def test_the_model_by_default_is_that_of_the_paper():
    made = workload_of(FULL, (16, 16), 1).model
    assert sum(weights.numel() for weights in made.parameters()) == 237_433


def test_the_table_has_a_cell_for_each_column_and_times_of_either_clock():
    slow = Timing(wall_ms=40.0, processor_ms=10.0, wall_to_eager=1.0, processor_to_eager=0.5)
    row = partial(Row, device="a processor", api="PyTorch", backend="eager", threads=1)
    rows = [row(inference=slow, ready_s=0.25, difference=2e-6), row(skipped="absent")]
    wall, processor = table_cells(rows)[0], table_cells(rows, "processor")[0]
    assert len(COLUMNS) == len(wall)
    assert wall == (
        "a processor",
        "PyTorch",
        "eager",
        "1",
        "-",
        "-",
        "40.0",
        "1.00",
        "0.2",
        "2e-06",
    )
    assert processor[6:8] == ("10.0", "0.50")
    assert any("busy" in note for note in benchmark_notes(rows))
    quick = replace(slow, wall_ms=10.1)
    assert benchmark_notes([row(inference=quick)]) == []

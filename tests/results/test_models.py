"""The model of a run: weights, module, predictions, files and tables."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest
import torch
from small_runs import small

import fedchain
from fedchain.errors import DataError, MissingExtra, RunRefused, ScenarioError
from fedchain.learning.evaluation import Evaluation
from fedchain.learning.task import tasks
from fedchain.learning.tasks import classic
from fedchain.ledger.storage.store import Store
from fedchain.results import LEDGER, Run
from fedchain.results.inputs import read_inputs
from fedchain.results.models import model_bytes, raw_shape

DIGITS = {"task": {"kind": "digits"}, "attacks": [], "privacy": {"kind": "none"}}


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Run:
    return fedchain.run(small(3, **DIGITS), tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray]:
    """The raw pixels and the classes of all digits."""
    return _digits()


def _digits():
    table = classic._table_of_sklearn("digits.csv.gz")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(int)


def held_out(run: Run, raw):
    """Return the raw inputs of the held-out records, in their order."""
    prepared = run.module().prepare(torch.tensor(raw)).numpy()
    places = {each.tobytes(): place for place, each in enumerate(prepared)}
    return [places[each.tobytes()] for each in run.task.held_out.inputs]


def test_the_module_prepares_raw_inputs_bit_for_bit_and_scores_what_the_run_recorded(done, table):
    raw, labels = table
    own = held_out(done, raw)
    assert len(own) == len(done.task.held_out.inputs)
    said = done.predict(raw[own])
    assert said.dtype == np.int64
    assert (said == labels[own]).mean() == done.metrics[-1]["accuracy"]
    first = done.predict(raw[own], 1)
    assert (first == labels[own]).mean() == done.metrics[0]["accuracy"]


def test_inputs_of_another_type_give_the_same_classes(done, table):
    whole = table[0][:40]
    said = done.predict(whole)
    for kind in (np.float32, np.int16, np.uint8):
        np.testing.assert_array_equal(done.predict(whole.astype(kind)), said)


@pytest.mark.parametrize("wrong", [np.zeros((3, 64)), np.zeros((8, 8)), np.full((1, 8, 8), "1")])
def test_inputs_of_another_shape_or_type_are_refused_with_what_is_allowed(done, wrong):
    with pytest.raises(ValueError, match=r"^inputs: .*; allowed: numbers of shape \(examples, 8,"):
        done.predict(wrong)


FEATURES = {"kind": "public_pca", "of": {"kind": "digits"}, "records": 40, "directions": 5}


@pytest.mark.parametrize(
    "task",
    [
        {"kind": "breast_cancer"},
        FEATURES,
        {"kind": "random_projection", "of": {"kind": "breast_cancer"}, "directions": 4},
        {"kind": "augmented", "of": {"kind": "digits"}, "views": 2},
    ],
    ids=lambda task: task["kind"],
)
def test_every_task_says_how_its_raw_inputs_become_those_of_its_model(task):
    part = tasks.check(task)
    made = tasks.build(part, 4, 0)
    inner = part.parameters.get("of", part)
    read = {"breast_cancer": _cancer, "digits": lambda: _digits()[0]}[inner.kind]
    prepared = made.prepare()(torch.tensor(read())).numpy()
    assert prepared.shape[1:] == made.held_out.inputs.shape[1:]
    assert prepared.dtype == np.float32
    for each in made.held_out.inputs[:20]:
        assert np.isclose(prepared, each, atol=1e-5).all(axis=tuple(range(1, each.ndim + 1))).any()


def _cancer():
    return classic._table_of_sklearn("breast_cancer.csv", skiprows=1)[:, :-1]


def test_weights_are_those_on_the_chain_and_the_average_where_the_update_averages(tmp_path):
    averaged = {"kind": "averaged", "of": {"kind": "gradient_descent", "learning_rate": 0.5}}
    done = fedchain.run(small(3, update=averaged, **DIGITS), tmp_path)
    assert done.weights().shape == (650,)
    assert done.weights().any()
    assert not done.weights(0).any()
    np.testing.assert_array_equal(done.weights(), done.weights(3))
    metrics = Evaluation(done.task)(done.weights())[0]
    assert metrics["loss"] == pytest.approx(done.metrics[-1]["loss"], rel=1e-6)
    with Store.open(done.folder / LEDGER, writable=False) as store:
        assert not np.array_equal(store.state(store.head).weights, done.weights())
    module = done.module()
    metrics = done.task.measure(
        module.model(torch.tensor(done.task.held_out.inputs)).detach().numpy(), done.task.held_out
    )
    assert metrics["accuracy"] == done.metrics[-1]["accuracy"]


def test_a_round_that_is_not_there_or_was_not_kept_is_refused(done, tmp_path):
    with pytest.raises(RunRefused, match=r"no round 4; allowed: 0 \(before the first round\) to 3"):
        done.weights(4)
    few = fedchain.run(small(3, **DIGITS, **{"disk.keep_weights": "last"}), tmp_path)
    assert few.module(3)(torch.zeros(1, 8, 8)).shape == (1, 10)
    with pytest.raises(RunRefused, match="the state after it was not kept; give another round"):
        few.weights(1)


def test_a_run_that_learns_nothing_has_no_model(tmp_path):
    chain = {"version": 1, "name": "chain", "rounds": 2, "task": {"kind": "none"}}
    done = fedchain.run({**chain, "nodes": {"compute": 1}}, tmp_path)
    with pytest.raises(RunRefused, match=r"learns nothing \(task none\), so it has no model"):
        done.module()


def test_a_state_dict_is_read_without_running_code_and_fills_another_module(done, tmp_path):
    done.export_model(tmp_path / "model.pt")
    read = torch.load(tmp_path / "model.pt", weights_only=True)
    assert list(read) == ["prepare.mean", "prepare.scale", "model.1.weight", "model.1.bias"]
    other = done.module(0)
    other.load_state_dict(read)
    np.testing.assert_array_equal(read["model.1.weight"], done.module().model[1].weight.detach())
    plain = torch.nn.Linear(64, 10)
    plain.load_state_dict({"weight": read["model.1.weight"], "bias": read["model.1.bias"]})


def test_safetensors_have_the_weights_and_say_which_run_they_come_from(done, tmp_path):
    safetensors = pytest.importorskip("safetensors")
    done.export_model(tmp_path / "model.safetensors", "safetensors", 2)
    with safetensors.safe_open(tmp_path / "model.safetensors", "pt") as file:
        notes = file.metadata()
        weight = file.get_tensor("model.1.weight").numpy()
    np.testing.assert_array_equal(weight, done.module(2).model[1].weight.detach().numpy())
    assert (notes["round"], notes["block"]) == ("2", done.metrics[1]["block"])
    assert json.loads(notes["metrics"])["accuracy"] == done.metrics[1]["accuracy"]


def test_onnx_computes_the_same_logits_from_raw_inputs_for_any_number_of_examples(done, table):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(model_bytes(done, "onnx"))
    for count in (1, 7):
        raw = table[0][:count].astype(np.float32)
        (logits,) = session.run(None, {"inputs": raw})
        expected = done.module()(torch.tensor(raw)).detach().numpy()
        np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_a_package_that_is_missing_is_named_with_its_extra(done, monkeypatch):
    for name, act in (
        ("safetensors.torch", lambda: model_bytes(done, "safetensors")),
        ("onnx", lambda: model_bytes(done, "onnx")),
        ("pandas", done.frame),
    ):
        monkeypatch.setitem(sys.modules, name, None)
        extra = "frames" if name == "pandas" else "models"
        with pytest.raises(MissingExtra, match=rf"is not installed; .*'fedchain\[{extra}\]'"):
            act()
    with pytest.raises(ValueError, match="no format 'pickle'; allowed: state_dict, safetensors"):
        model_bytes(done, "pickle")


def test_tables_are_data_frames(done):
    pytest.importorskip("pandas")
    frame = done.frame()
    assert list(frame["accuracy"]) == [row["accuracy"] for row in done.metrics]
    assert len(done.frame("messages")) == len(done.messages)
    assert done.frame("evidence").empty
    with pytest.raises(ValueError, match="no table 'rounds'; allowed: metrics, messages"):
        done.frame("rounds")


OWN = '''
from torch import nn


def wide(inputs, outputs, *, width: int = 4):
    """Make a network of my own."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, outputs))
'''


def test_a_model_of_ones_own_needs_trust_in_a_folder_and_its_code_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_wide_model", raising=False)
    (tmp_path / "my_wide_model.py").write_text(OWN)
    task = {"kind": "digits", "model": {"kind": "my_wide_model:wide"}}
    done = fedchain.run(small(1, **{**DIGITS, "task": task}), tmp_path)
    assert done.predict(np.zeros((2, 8, 8))).shape == (2,)
    with pytest.raises(ScenarioError, match="--trust-user-parts"):
        Run.open(done.folder).module()
    trusted = Run.open(done.folder, trust_user_parts=True)
    assert trusted.module()(torch.zeros(1, 8, 8)).shape == (1, 10)
    monkeypatch.delitem(sys.modules, "my_wide_model")
    (tmp_path / "my_wide_model.py").write_text(OWN + "# changed\n")
    with pytest.raises(RunRefused, match=r"its model needs .* \(code my_wide_model: was"):
        Run.open(done.folder, trust_user_parts=True).module()


def test_the_model_of_a_run_of_an_older_fedchain_is_still_there(done, monkeypatch):
    monkeypatch.setattr("fedchain.scenario.provenance.__version__", "9.9.9")
    assert Run.open(done.folder).module()(torch.zeros(1, 8, 8)).shape == (1, 10)


def test_inputs_are_read_from_tables_and_arrays(tmp_path):
    rows = np.arange(12.0).reshape(2, 6)
    np.savetxt(tmp_path / "plain.csv", rows, delimiter=",")
    np.savetxt(tmp_path / "named.csv", rows, delimiter=",", header="a,b,c,d,e,f", comments="")
    np.save(tmp_path / "rows.npy", rows)
    np.savez(tmp_path / "one.npz", anything=rows.reshape(2, 2, 3))
    np.savez(tmp_path / "two.npz", inputs=rows, labels=np.zeros(2))
    for name in ("plain.csv", "named.csv", "rows.npy", "one.npz", "two.npz"):
        np.testing.assert_array_equal(
            read_inputs(tmp_path / name, (2, 3)), rows.reshape(2, 2, 3), err_msg=name
        )


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"1,2\n3,x\n", "could not convert string to float: 'x'"),
        ("a.csv", b"1,2\n3\n", "row 2 has 1 columns, the first 2"),
        ("a.csv", b"a,b\n", "has no row of numbers"),
        ("a.csv", b"1,2,3\n", r"has float64 of shape \(1, 3\); allowed: 2 numbers for each"),
        ("a.csv", b"\xff\xfe,1\n", "cannot be read"),
        ("a.csv", b"", "is empty"),
        ("a.txt", b"1,2\n", "ends in '.txt'; allowed: .csv, .npy, .npz"),
        ("a.npy", b"not an array", "cannot be read"),
        ("a.npz", b"not a zip file", "is damaged"),
    ],
)
def test_a_file_that_holds_no_inputs_is_refused_in_one_line(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words) as told:
        read_inputs(tmp_path / name, (2,))
    assert str(told.value).startswith(str(tmp_path / name))
    assert "\n" not in str(told.value)


def test_pickles_in_arrays_are_never_loaded(tmp_path):
    whole = io.BytesIO()
    np.save(whole, np.array([[print]], dtype=object), allow_pickle=True)
    (tmp_path / "a.npy").write_bytes(whole.getvalue())
    with pytest.raises(DataError, match="Object arrays cannot be loaded"):
        read_inputs(tmp_path / "a.npy", (1,))


def test_the_raw_shape_is_that_of_the_data_and_not_of_the_features():
    assert raw_shape(tasks.build(tasks.check(FEATURES), 4, 0)) == (8, 8)
    assert raw_shape(tasks.build(tasks.check({"kind": "breast_cancer"}), 4, 0)) == (30,)

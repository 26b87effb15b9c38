"""Tables of the user: what is read of CSV, Parquet and NPZ files, and what is refused."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from command_line import call
from small_runs import small

from fedchain.errors import DataError, MissingExtra
from fedchain.learning.task import tasks
from fedchain.learning.tasks import table_files
from fedchain.learning.tasks.table_files import read_columns

LINES = """\
age,town,smoker,ward,outcome
30,Wien,0,b,well
40,"Praha, 7",1,a,ill
50,Wien,2,b,ill
60,Brno,0,a,well
"""


def made(path, holders=1, **given):
    return tasks.build(tasks.check({"kind": "table", "path": str(path), **given}), holders, 0)


@pytest.fixture
def patients(tmp_path):
    path = tmp_path / "patients.csv"
    path.write_text(LINES, "utf-8")
    return path


def all_of(task):
    sets = [*task.holders, task.held_out]
    inputs = np.concatenate([each.inputs for each in sets])
    return inputs[np.lexsort(inputs.T[::-1])], np.concatenate([each.targets for each in sets])


def test_text_becomes_a_number_for_each_value_and_the_last_column_is_the_target(patients):
    task = made(patients, standardise=False)
    inputs, labels = all_of(task)
    # age; town Brno, Praha, Wien; smoker; ward a, b
    assert inputs.tolist() == [
        [30, 0, 0, 1, 0, 0, 1],
        [40, 0, 1, 0, 1, 1, 0],
        [50, 0, 0, 1, 2, 0, 1],
        [60, 1, 0, 0, 0, 1, 0],
    ]
    assert sorted(labels.tolist()) == [0, 0, 1, 1]
    assert task.held_out.inputs.dtype == np.float32
    assert task.held_out.targets.dtype == np.int64


def test_codes_of_categories_and_columns_can_be_chosen(patients):
    task = made(patients, columns=["smoker"], one_hot=["smoker"], standardise=False)
    assert all_of(task)[0].tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 0, 0]]


def test_numbers_are_standardised_by_the_held_out_records_alone(tmp_path):
    rows = np.random.default_rng(0).normal(7, 3, (80, 2))
    np.savez(tmp_path / "t.npz", x=rows, y=np.arange(80) % 2)
    task = made(tmp_path / "t.npz", 4)
    np.testing.assert_allclose(task.held_out.inputs.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(task.held_out.inputs.std(axis=0), 1, atol=1e-6)
    held = np.concatenate([own.inputs for own in task.holders])
    assert np.abs(held.mean(axis=0)).min() > 1e-3


def test_a_column_that_is_constant_is_not_divided(tmp_path):
    np.savez(tmp_path / "t.npz", x=np.full((40, 1), 5.0), y=np.arange(40) % 2)
    assert np.unique(made(tmp_path / "t.npz").holders[0].inputs).tolist() == [0.0]


def test_holders_get_whole_sites(patients, tmp_path):
    lines = [f"{k},{'abc'[k % 3]},{k // 3 % 2}" for k in range(90)]
    (tmp_path / "s.csv").write_text("\n".join(["age,ward,ill", *lines]), "utf-8")
    task = made(tmp_path / "s.csv", 3, site="ward", split={"kind": "by_site"}, standardise=False)
    wards = [set((own.inputs[:, 0] % 3).tolist()) for own in task.holders]
    assert sorted(map(sorted, wards)) == [[0.0], [1.0], [2.0]]


def test_all_formats_give_the_same_columns(patients, tmp_path):
    columns = read_columns(patients)
    np.savez(tmp_path / "p.npz", **columns)
    (tmp_path / "p.tsv").write_text(LINES.replace('"Praha, 7"', "Praha# 7").replace(",", "\t"))
    (tmp_path / "p.tsv").write_text((tmp_path / "p.tsv").read_text().replace("#", ","))
    for file in ("p.npz", "p.tsv"):
        assert_same(read_columns(tmp_path / file), columns)


def test_parquet_gives_the_same_columns(patients, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = read_columns(patients)
    table = pytest.importorskip("pyarrow").table({k: v.tolist() for k, v in columns.items()})
    parquet.write_table(table, tmp_path / "p.parquet")
    assert_same(read_columns(tmp_path / "p.parquet"), columns)


def assert_same(found, columns):
    assert list(found) == list(columns)
    assert all(np.array_equal(found[name], columns[name]) for name in columns)


def test_a_table_without_names_has_numbered_columns(tmp_path):
    (tmp_path / "t.csv").write_text("1;2\n3;4\n")
    assert {k: v.tolist() for k, v in read_columns(tmp_path / "t.csv").items()} == {
        "1": [1, 3],
        "2": [2, 4],
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"t\.csv: is empty"),
        ("a,b\n1,2\n3\n", r"t\.csv:3: has 1 values; allowed: 2"),
        ("a,b\n1,2\n,3\n", r"t\.csv:3: column a: is empty; fill it"),
        ("a,a\n1,2\n", r"t\.csv:1: names the column 'a' twice"),
        ("a,b\n1,0\nnan,1\n", r"column a: record 1 is nan; allowed: finite numbers"),
        ("a,b\n1,0.5\n2,1\n", r"column b: has 0\.5; allowed in a target: whole numbers or text"),
        ("a,b\n1,x\n2,x\n", r"column b: has 1 different values; allowed in a target: 2 to 1000"),
        ("a,b\n", r"must have a column and a record"),
        ('a,b\n"1,2\n', r"is no table of text in UTF-8"),
    ],
)
def test_a_table_that_cannot_be_learned_is_refused_with_its_place(text, words, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        made(tmp_path / "t.csv")


def test_a_column_that_is_not_there_is_refused_with_a_hint(patients):
    with pytest.raises(DataError, match=r"task\.target: .* no column 'outcme'; did you mean outc"):
        made(patients, target="outcme")
    with pytest.raises(DataError, match=r"task\.columns: 'outcome' is the target"):
        made(patients, columns=["age", "outcome"])


def test_a_file_of_another_ending_and_pickled_arrays_are_refused(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"")
    with pytest.raises(DataError, match=r"ends with \.xlsx; allowed: \.csv, "):
        made(tmp_path / "t.xlsx")
    np.savez(tmp_path / "t.npz", x=np.array([{}, {}], dtype=object), y=np.arange(2))
    with pytest.raises(DataError, match=r"t\.npz: is no NPZ file of plain arrays"):
        made(tmp_path / "t.npz")


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "t.npz", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("x.npy", bytes(10_000))
    monkeypatch.setattr(table_files, "MOST_BYTES", 9_999)
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(DataError, match=r"unpacks to 10000 bytes"):
        made(tmp_path / "t.npz")


def test_parquet_without_pyarrow_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingExtra, match=r"pip install 'fedchain\[parquet\]'"):
        made(tmp_path / "t.parquet")


def test_a_damaged_parquet_file_is_one_line(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "t.parquet").write_bytes(b"PAR1" * 9)
    with pytest.raises(DataError, match=r"t\.parquet: is no Parquet file"):
        made(tmp_path / "t.parquet")


def test_another_table_is_read_as_the_first_was(patients, tmp_path):
    task = made(patients, columns=["town", "age"], standardise=False)
    other = tmp_path / "other.csv"
    other.write_text("age,town\n70,Wien\n20,Brno\n", "utf-8")
    assert task.read is not None
    assert task.read(other).tolist() == [[0, 0, 1, 70], [1, 0, 0, 20]]
    assert list(task.classes) == ["ill", "well"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("age,town\n70,Graz\n", "column town: record 0 is Graz, which the data of the run lack"),
        ("age,town\nold,Wien\n", "column age: record 0 is old; allowed: finite numbers"),
        ("age,city\n70,Wien\n", "has no column 'town'"),
    ],
)
def test_another_table_that_does_not_fit_is_refused_with_its_place(text, words, patients, tmp_path):
    task = made(patients, columns=["town", "age"])
    other = tmp_path / "other.csv"
    other.write_text(text, "utf-8")
    with pytest.raises(DataError, match=words):
        task.read(other)


def test_a_path_inside_a_block_of_an_option_is_that_of_the_current_folder(patients, monkeypatch):
    monkeypatch.chdir(patients.parent)
    block = {"kind": "table", "path": patients.name}
    assert small(2, task=block).task.parameters["path"] == str(patients)


def test_a_run_learns_from_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draws = np.random.default_rng(0)
    rows = draws.normal(0, 1, (400, 3))
    np.savez("t.npz", x=rows, y=np.where(rows[:, 0] + rows[:, 1] > 0, "yes", "no"))
    told = call(
        "run", "breast_cancer", "--set", "task={kind: table, path: t.npz, model: {kind: logistic}}",
        "--set", "rounds=12", "--format", "plain",
    )  # fmt: skip
    assert told.code == 0, told.err
    assert "t.npz: 400 records of 3 numbers, target y (2 classes)" in told.err
    (score,) = [line.split()[1] for line in told.out.splitlines() if line.startswith("accuracy")]
    assert float(score) > 0.85
    assert any(line.startswith("f1") for line in told.out.splitlines())

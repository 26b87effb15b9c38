"""Tables of scikit-learn: they are read as scikit-learn reads them, but without importing it."""

from __future__ import annotations

import builtins
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.datasets

from fedchain.errors import DataError
from fedchain.learning.task import tasks
from fedchain.learning.tasks import classic


def test_the_tables_are_those_that_scikit_learn_reads():
    tumours = classic._table_of_sklearn("breast_cancer.csv", skiprows=1)
    inputs, labels = sklearn.datasets.load_breast_cancer(return_X_y=True)
    assert np.array_equal(tumours, np.column_stack([inputs, labels]))
    digits = classic._table_of_sklearn("digits.csv.gz")
    inputs, labels = sklearn.datasets.load_digits(return_X_y=True)
    assert np.array_equal(digits, np.column_stack([inputs, labels]))


@pytest.mark.parametrize("kind", ["breast_cancer", "digits"])
def test_a_task_does_not_import_scikit_learn(monkeypatch, kind):
    true = builtins.__import__

    def without(name, *given):
        assert not name.startswith("sklearn")
        return true(name, *given)

    monkeypatch.setattr(builtins, "__import__", without)
    assert len(tasks.build(tasks.check({"kind": kind}), 3, 0).holders) == 3


def test_a_table_that_is_not_there_is_named(monkeypatch, tmp_path):
    found = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(classic, "find_spec", lambda _: found)
    with pytest.raises(DataError, match=r"digits\.csv\.gz: no table of numbers: .*not found"):
        tasks.build(tasks.check({"kind": "digits"}), 3, 0)

"""Task ``table``: learns the classes of the records in a table of the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Array, Flags, Wholes
from fedchain.errors import DataError
from fedchain.learning.preparation import Standardised
from fedchain.learning.task import Task, losses, models, splits, tasks
from fedchain.learning.tasks.labelled import (
    CROSS_ENTROPY,
    IID,
    SOFTMAX,
    Labelled,
    accuracy_and_f1,
    labelled_task,
)
from fedchain.learning.tasks.table_files import Columns, read_columns
from fedchain.registry import Part, cites, suggest

SHOWN_VALUES = 6
"""Limit on the values of a column that an error names."""
MOST_CLASSES, MOST_CATEGORIES = 1000, 256
"""Most classes of a target, and most values of a column that becomes one number for each value."""


@tasks
@cites()
def table(
    holders: int,
    seed: int,
    *,
    path: str,
    target: str | None = None,
    columns: list[str] = [],  # noqa: B006
    one_hot: list[str] = [],  # noqa: B006
    site: str | None = None,
    standardise: bool = True,
    model: Annotated[Part, models] = SOFTMAX,
    loss: Annotated[Part, losses] = CROSS_ENTROPY,
    split: Annotated[Part, splits] = IID,
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.25,
) -> Task:
    """Learn the classes of the records in a table of your own: a CSV, Parquet or NPZ file.

    A column of text becomes one number for each of its values: 1 where the record has the value,
    else 0. The names of columns, of their values and of classes count as public, and so do the
    held-out records.

    Args:
        holders: number of data holders.
        seed: the run's seed; it fixes held-out records, split and initial weights.
        path: the table: .csv or .tsv in UTF-8, .parquet (needs the extra parquet), or .npz.
        target: the column of classes, whole numbers or text; null: the last column.
        columns: the columns from which is learned; empty: all but target and site.
        one_hot: columns of numbers that are codes of categories, and are treated like text.
        site: the column that says where a record comes from, for the split by_site; null: none.
        standardise: whether to subtract the mean of the held-out records from columns of numbers,
            and to divide by their standard deviation.
        model: kind and parameters of the model: logistic (two classes), softmax, mlp.
        loss: kind and parameters of the loss.
        split: which holder has which records.
        held_out: share of the records that no holder has.
    """
    file = Path(path)
    read = read_columns(file)
    if len(read) < 2:
        raise DataError(f"{file}: must have a column of classes, and another one")
    aim = target if target is not None else list(read)[-1]
    wanted = columns or [name for name in read if name not in (aim, site)]
    named = {"target": [aim], "site": [site] if site else [], "columns": wanted, "one_hot": one_hot}
    _examine_names(named, read, file)
    classes, labels = _classes_of(read[aim], f"{file}: column {aim}")
    kinds = _kinds_of(read, wanted, one_hot, file)
    inputs = _encoded(read, kinds, file)
    numeric = np.repeat(
        [kind is None for kind in kinds.values()],
        [1 if kind is None else len(kind) for kind in kinds.values()],
    )
    data = Labelled(
        inputs=inputs,
        labels=labels,
        classes=len(classes),
        sites=np.unique(read[site], return_inverse=True)[1] if site else None,
    )
    return labelled_task(
        "table",
        data,
        holders,
        seed,
        model=model,
        loss=loss,
        split=split,
        held_out=held_out,
        prepare=lambda rows, public: _standards_of(rows, public, numeric & standardise),
        measure=accuracy_and_f1,
        read=lambda other: _encoded(read_columns(other), kinds, other),
        classes=[f"{each:g}" if isinstance(each, float) else str(each) for each in classes],
        note=f"{file.name}: {len(labels)} records of {inputs.shape[1]} numbers, target {aim} "
        f"({len(classes)} classes)",
    )


def _examine_names(named: Mapping[str, Sequence[str]], read: Columns, file: Path) -> None:
    """Raise DataError if a key of the task names a column that it must not name."""
    for key, names in named.items():
        for name in names:
            if name not in read:
                words = f"task.{key}: {file} has no column {name!r}"
                raise DataError(f"{words}; {suggest(name, read)}")
    (aim,) = named["target"]
    if aim in named["columns"]:
        raise DataError(f"task.columns: {aim!r} is the target; it must be left out")


def _classes_of(values: Array, where: str) -> tuple[Array, Wholes]:
    """Return the classes in rising order, and the index of each record's class."""
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        odd = values[~np.equal(values, np.rint(values))][0]
        raise DataError(f"{where}: has {odd}; allowed in a target: whole numbers or text")
    classes, labels = np.unique(values, return_inverse=True)
    if not 2 <= len(classes) <= MOST_CLASSES:
        words = f"{where}: has {len(classes)} different values"
        raise DataError(f"{words}; allowed in a target: 2 to {MOST_CLASSES}")
    return classes, labels


def _kinds_of(
    read: Columns, names: Sequence[str], one_hot: Sequence[str], file: Path
) -> dict[str, Array | None]:
    """Return the values of each column that becomes a number for each value; None for others."""
    kinds = dict[str, Array | None]()
    for name in names:
        values = read[name]
        if values.dtype.kind == "f" and name not in one_hot:
            kinds[name] = None
            continue
        kinds[name] = found = np.unique(values)
        if len(found) > MOST_CATEGORIES:
            words = f"{file}: column {name}: has {len(found)} different texts"
            raise DataError(f"{words}; allowed: {MOST_CATEGORIES}; leave it out of task.columns")
    return kinds


def _encoded(read: Columns, kinds: Mapping[str, Array | None], file: Path) -> Array:
    """Return inputs of shape (records, numbers), float64.

    Args:
        read: the columns of a file.
        kinds: for each column that is learned from, its values as in the run's own data.
        file: the file, for errors.

    Raises:
        DataError: a column is missing, or has a value that is not allowed.
    """
    found = list[Array]()
    for name, kind in kinds.items():
        if name not in read:
            raise DataError(f"{file}: has no column {name!r}; {suggest(name, read)}")
        values = read[name]
        if kind is None:
            if values.dtype.kind != "f" or not np.isfinite(values).all():
                wrong = values.dtype.kind != "f" or ~np.isfinite(values)
                place = int(np.flatnonzero(np.broadcast_to(wrong, values.shape))[0])
                words = f"{file}: column {name}: record {place} is {values[place]}"
                raise DataError(f"{words}; allowed: finite numbers")
            found.append(values[:, None])
            continue
        unknown = np.flatnonzero(~np.isin(values, kind))
        if len(unknown):
            words = f"{file}: column {name}: record {unknown[0]} is {values[unknown[0]]}"
            allowed = ", ".join(str(each) for each in kind[:SHOWN_VALUES])
            more = ", .." if len(kind) > SHOWN_VALUES else ""
            raise DataError(f"{words}, which the data of the run lack; allowed: {allowed}{more}")
        found.append((values[:, None] == kind).astype(np.float64))
    return np.concatenate(found, axis=1)


def _standards_of(rows: Array, public: Wholes, numeric: Flags) -> Standardised:
    """Return what standardises the columns of numbers by the public rows.

    A column that is constant in the public rows is not divided.
    """
    # Statistics of the holders' own records would be a release without noise.
    spread = rows[public].std(axis=0)
    means = np.where(numeric, rows[public].mean(axis=0), 0.0)
    return Standardised.of(means, np.where(numeric & (spread > 0), spread, 1.0))

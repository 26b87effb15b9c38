"""Public roots: whose records they have, what these are worth, and which tasks may stand around."""

from __future__ import annotations

from collections import Counter

import pytest

from fedchain.commitment import held_data
from fedchain.learning.task import PUBLIC_ONLY, Records, Task, tasks

DIGITS = {"kind": "digits"}


def made(of: dict | None = None, seed: int = 0, **settings: object) -> Task:
    task = {"kind": "public_root", "of": of or DIGITS, "records": 30, "steps": 2, **settings}
    return tasks.build(tasks.check(task), 4, seed)


def plain(of: dict | None = None) -> Task:
    return tasks.build(tasks.check(of or DIGITS), 4, 0)


def rows(*parts: Records) -> Counter:
    return Counter(row.tobytes() for part in parts for row in part.inputs)


def test_the_records_of_the_root_are_drawn_from_all_holders_and_belong_to_none():
    task, before = made(), plain()
    assert (task.root.count, task.public) == (30, 30)
    assert rows(task.root, *task.holders) == rows(*before.holders)
    lost = [was.count - left.count for was, left in zip(before.holders, task.holders, strict=True)]
    assert min(lost) > 0
    assert rows(task.root) != rows(made(seed=1).root)


def test_the_draw_is_another_than_that_of_other_public_records():
    around = {"kind": "public_subspace", "of": DIGITS, "records": 30, "directions": 2, "steps": 1}
    assert rows(made().root) != rows(plain(around).subspace.public)


def test_what_public_records_alone_are_worth_is_stated_once():
    assert made().baselines[PUBLIC_ONLY]["loss"] != made(steps=4).baselines[PUBLIC_ONLY]["loss"]
    warm = {"kind": "warm_start", "of": DIGITS, "records": 20, "steps": 1}
    task = made(warm)
    assert task.public == 50
    assert task.baselines[PUBLIC_ONLY] == plain(warm).baselines[PUBLIC_ONLY]
    assert not rows(task.root) & rows(*(plain(warm).held_out,))


def test_genesis_commits_to_the_records_of_the_root():
    one, other = made(), made(seed=1)
    moved = Task(**{**vars(one), "root": other.root})
    assert held_data(one).digest != held_data(moved).digest


@pytest.mark.parametrize(
    ("around", "said"),
    [
        ({"kind": "public_root", "records": 5}, "has a public root; a chain has one at most"),
        ({"kind": "augmented"}, "has a public root; it may only stand around augmented"),
        ({"kind": "warm_start", "records": 5}, "declares 30 public records"),
        ({"kind": "random_projection", "directions": 4}, "declares 30 public records"),
    ],
    ids=lambda each: each if isinstance(each, str) else each["kind"],
)
def test_a_task_that_would_change_the_records_around_a_root_is_refused(around, said):
    inner = {"kind": "public_root", "of": DIGITS, "records": 30, "steps": 1}
    with pytest.raises(ValueError, match=said):
        plain({**around, "of": inner})


def test_each_holder_keeps_a_record_and_a_task_without_records_has_none_to_give():
    with pytest.raises(ValueError, match="public records leave holder 0 with none of its"):
        made(records=1430)
    with pytest.raises(ValueError, match="none has no records"):
        tasks.build(tasks.check({"kind": "public_root", "of": {"kind": "none"}}), 0, 0)

"""Reuse: what the key says is made once within ``reusing``, and anew everywhere else."""

from __future__ import annotations

from fedchain.reuse import once, reusing


def test_the_same_key_is_made_once_and_another_key_anew():
    made = []
    with reusing():
        for key in (1, 1, 2, 2, 1):
            assert once("thing", key, lambda key=key: made.append(key) or key) == key
        assert once("other thing", 1, lambda: "other") == "other"
    assert made == [1, 2, 1]


def test_nothing_is_kept_outside_or_afterwards():
    made = []
    once("thing", 1, lambda: made.append("before"))
    with reusing():
        once("thing", 1, lambda: made.append("within"))
    once("thing", 1, lambda: made.append("after"))
    assert made == ["before", "within", "after"]

from __future__ import annotations

import math

import pytest

from fedchain.errors import FedchainError
from fedchain.privacy import accounting as agreement
from fedchain.privacy.accounting import cross_checked
from fedchain.privacy.mechanisms import gaussian, knorm, laplace, none, skellam

MECHANISM = gaussian(10, 5, noise_multiplier=4.0, clip=0.1)


@pytest.fixture
def asked(monkeypatch, tmp_path) -> list[object]:
    """Give the test a cache of its own, and note every time the accountants are asked."""
    times: list[object] = []
    monkeypatch.setenv("FEDCHAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(type(MECHANISM), "cross_check", lambda mechanism: times.append(mechanism))
    return times


def test_accountants_are_asked_once_for_one_mechanism(asked):
    for _ in range(3):
        cross_checked(MECHANISM)
    assert len(asked) == 1
    cross_checked(gaussian(10, 5, noise_multiplier=4.5, clip=0.1))
    cross_checked(gaussian(11, 5, noise_multiplier=4.0, clip=0.1))
    assert len(asked) == 3


def test_another_version_of_an_accountant_is_asked_again(asked, monkeypatch):
    cross_checked(MECHANISM)
    monkeypatch.setattr(agreement, "version_of", lambda _: "99.0")
    cross_checked(MECHANISM)
    assert len(asked) == 2


def test_a_total_that_promises_nothing_is_not_checked(asked):
    for vacuous in ({"epsilon": math.inf}, {"noise_multiplier": 1e-3}):
        for made in (gaussian, knorm, laplace, skellam):
            cross_checked(made(10, 5, clip=0.1, **vacuous))
    cross_checked(none(10, 5))
    assert asked == []


def test_a_disagreement_is_not_remembered(monkeypatch, tmp_path):
    monkeypatch.setenv("FEDCHAIN_CACHE", str(tmp_path))

    def disagree(_):
        raise FedchainError("privacy: two accountants disagree")

    monkeypatch.setattr(type(MECHANISM), "cross_check", disagree)
    for _ in range(2):
        with pytest.raises(FedchainError, match="disagree"):
            cross_checked(MECHANISM)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_or_unwritable_memory_costs_time_and_no_check(asked, monkeypatch, tmp_path):
    cross_checked(MECHANISM)
    (file,) = (tmp_path / "cache").glob("agreed-*")
    file.write_bytes(b"\xff\xfe")
    cross_checked(MECHANISM)
    assert len(asked) == 2
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("FEDCHAIN_CACHE", str(blocked))
    cross_checked(MECHANISM)
    assert len(asked) == 3

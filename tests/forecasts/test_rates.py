import json

import pytest

from fedchain.forecasts import rates
from fedchain.forecasts.rates import ROUGH, Rates, keep_rates, read_rates


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FEDCHAIN_CACHE", str(tmp_path / "cache"))


def test_a_machine_that_was_not_measured_has_no_rates():
    assert read_rates() is None


def test_rates_that_are_kept_come_back():
    slower = ROUGH.model_copy(update={"round": 0.1, "state": 1 / 3e8})
    path = keep_rates(slower)
    assert read_rates() == slower
    assert path.parent.name == "cache"


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: values.pop("event"),
        lambda values: values.update(event=-1.0),
        lambda values: values.update(event="fast"),
        lambda values: values.update(event=float("nan")),
        lambda values: values.update(event=float("inf")),
    ],
)
def test_a_damaged_file_counts_as_none(damage):
    values = ROUGH.model_dump()
    damage(values)
    keep_rates(ROUGH).write_text(json.dumps(values))
    assert read_rates() is None


def test_a_huge_file_is_not_read():
    path = keep_rates(ROUGH)
    path.write_text(path.read_text() + " " * rates.LARGEST_RATES)
    assert read_rates() is None


def test_every_rate_has_a_row():
    rows = ROUGH.model_copy(update={"event": 0.0, "holder": 280.9e-6}).rows()
    assert len(rows) == 5
    assert ("deliveries", "not seen", "0 s") in rows
    assert ("everything else of a holder", "3.56 k/s", "281 µs") in rows


def test_a_calibration_gives_every_rate_and_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setattr(rates, "SMALL_RUNS", ((2, 1, 1), (4, 1, 1), (4, 2, 1), (2, 1, 50)))
    monkeypatch.setattr(rates, "ROUNDS", 4)
    monkeypatch.chdir(tmp_path)
    found = rates.measured()
    assert Rates.model_validate_json(found.model_dump_json()) == found
    assert 0 < sum(rate for _, rate in found) < 1
    assert list(tmp_path.iterdir()) == []

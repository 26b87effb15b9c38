import json
from dataclasses import replace

import pytest

from fedchain.forecasts import rates
from fedchain.forecasts.costs import ROUGH


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FEDCHAIN_CACHE", str(tmp_path / "cache"))


def test_a_machine_that_was_not_measured_has_no_rates():
    assert rates.here() is None


def test_rates_that_are_kept_come_back():
    slower = replace(ROUGH, cores=16, noise=1e-8)
    path = rates.keep(slower)
    assert rates.here() == slower
    assert path.parent.name == "cache"


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: values.pop("noise"),
        lambda values: values.update(noise=-1.0),
        lambda values: values.update(noise="fast"),
        lambda values: values.update(noise=float("nan")),
        lambda values: values.update(gradients=[]),
        lambda values: values["gradients"].pop("layers"),
        lambda values: values["forward"].pop("calls"),
    ],
)
def test_a_damaged_file_counts_as_none(damage):
    values = rates.plain(ROUGH)
    damage(values)
    path = rates.keep(ROUGH)
    path.write_text(json.dumps(values))
    assert rates.here() is None


def test_a_huge_file_is_not_read():
    path = rates.keep(ROUGH)
    path.write_text(path.read_text() + " " * rates.LARGEST_FILE)
    assert rates.here() is None


def test_every_rate_has_a_row():
    rows = rates.rows(replace(ROUGH, commit=0.0))
    assert len(rows) == 4 * 5 + 15
    assert ("blobs committed", "not seen", "0") in rows
    assert ("normal numbers", "200 M/s", "5 ns") in rates.rows(replace(ROUGH, noise=5e-9))

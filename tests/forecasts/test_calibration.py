import math
from dataclasses import astuple

import pytest

from fedchain.forecasts import calibration, rates


@pytest.fixture
def briefly(monkeypatch, tmp_path):
    """Small networks and short runs: the figures mean nothing, but there they are."""
    shapes = {
        "HOLDERS": 4,
        "DENSE": ((8, (), 5), (8, (4,), 5)),
        "NETS": ((8, 1, 1, 2), (8, 1, 2, 2)),
        "UNKNOWN": ((8, 4, 5),),
        "DIMENSION": 1000,
        "TINY": ((2, 1), (4, 1), (4, 2)),
        "TINY_ROUNDS": 4,
        "LARGE": 100_000,
    }
    for name, value in shapes.items():
        monkeypatch.setattr(calibration, name, value)
    monkeypatch.chdir(tmp_path)


def test_a_calibration_gives_every_rate_and_leaves_nothing_behind(briefly, tmp_path):
    found = calibration.measured()
    assert rates.rates_of(rates.plain(found)) == found
    for passes in (*found.gradients.values(), found.forward):
        assert all(math.isfinite(rate) and rate >= 0 for rate in astuple(passes))
        assert max(astuple(passes)) > 0
    for name in ("noise", "quantise", "sign", "verify", "check", "aggregate", "update", "hash"):
        assert 0 < getattr(found, name) < 0.1
    assert list(tmp_path.iterdir()) == []

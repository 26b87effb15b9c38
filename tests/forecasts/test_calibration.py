from fedchain.forecasts import calibration
from fedchain.forecasts.rates import Rates


def test_a_calibration_gives_every_rate_and_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setattr(calibration, "SMALL_RUNS", ((2, 1, 1), (4, 1, 1), (4, 2, 1), (2, 1, 50)))
    monkeypatch.setattr(calibration, "ROUNDS", 4)
    monkeypatch.chdir(tmp_path)
    found = calibration.measured()
    assert Rates.model_validate_json(found.model_dump_json()) == found
    assert 0 < sum(rate for _, rate in found) < 1
    assert list(tmp_path.iterdir()) == []

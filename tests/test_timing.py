from __future__ import annotations

from fedchain.timing import STAGES, Stopwatch


def test_a_stage_inside_another_is_not_counted_twice(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 7.0, 8.0, 8.0])
    monkeypatch.setattr("fedchain.timing.time.perf_counter", lambda: next(clock))
    watch = Stopwatch()
    with watch("ledger"), watch("aggregation"):  # from 1.0, and from 3.0 to 7.0
        pass
    lap = watch.lap()
    assert (lap["ledger"], lap["aggregation"]) == (3.0, 4.0)
    assert set(lap) == set(STAGES)

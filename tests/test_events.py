from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain.events import EventQueue
from fedchain.timing import STAGES, Stopwatch


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 3)))
def test_events_come_by_time_and_then_in_the_order_they_were_put(times):
    queue = EventQueue()
    for number, time_s in enumerate(times):
        queue.put(float(time_s), 0, number)
    taken = [queue.take() for _ in range(len(queue))]
    assert [e.payload for e in taken] == sorted(range(len(times)), key=lambda n: (times[n], n))
    assert [e.time_s for e in taken] == sorted(times)


def test_a_stage_inside_another_is_not_counted_twice(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 7.0, 8.0, 8.0])
    monkeypatch.setattr("fedchain.timing.time.perf_counter", lambda: next(clock))
    watch = Stopwatch()
    with watch("ledger"), watch("aggregation"):  # from 1.0, and from 3.0 to 7.0
        pass
    lap = watch.lap()
    assert (lap["ledger"], lap["aggregation"]) == (3.0, 4.0)
    assert set(lap) == set(STAGES)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain.simulation.transport import FEW, EventQueue


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 3)))
def test_events_come_by_time_and_then_in_the_order_they_were_put(times):
    queue = EventQueue()
    for number, time_s in enumerate(times):
        queue.put(float(time_s), 0, number)
    taken = [queue.take() for _ in range(len(queue))]
    assert [e.payload for e in taken] == sorted(range(len(times)), key=lambda n: (times[n], n))
    assert [e.time_s for e in taken] == sorted(times)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("most", [8, 2 * FEW])  # few are sorted in another way than many
def test_deliveries_of_one_send_come_as_if_each_had_been_put_by_itself(seed, most):
    generator = np.random.default_rng(seed)
    together, apart = EventQueue(), EventQueue()
    taken = [], []
    for payload in range(40):
        times = generator.integers(0, 6, generator.integers(0, most)) / 2.0 + payload / 4
        to = generator.permutation(len(times))
        together.put_all(times, to, payload)
        together.put(payload / 4, 99, "timer")
        for time_s, node in zip(times.tolist(), to.tolist(), strict=True):
            apart.put(time_s, node, payload)
        apart.put(payload / 4, 99, "timer")
        for queue, seen in zip((together, apart), taken, strict=True):
            seen.append((len(queue), queue.take()))
    for queue, seen in zip((together, apart), taken, strict=True):
        seen.extend(queue.take() for _ in range(len(queue)))
        assert not queue
    assert taken[0] == taken[1]

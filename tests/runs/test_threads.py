"""Every run ends the threads that it has started."""

import threading

import pytest
from small_runs import small

import fedchain
from fedchain.runs.callbacks import Callback

TINY = {"ledger.work.difficulty_bits": 0, "nodes.compute": 1, "nodes.holders": 10}


def test_ten_runs_in_one_process_leave_as_many_threads_as_two(tmp_path):
    counts = []
    for number in range(10):
        fedchain.run(small(1, **TINY), tmp_path / str(number))
        counts.append(threading.active_count())
    assert counts[1] == counts[9]


def test_a_run_that_fails_leaves_no_threads(tmp_path):
    def fail(*_):
        raise ArithmeticError("as asked")

    failing = Callback()
    failing.on_round_end = fail
    fedchain.run(small(1), tmp_path / "before")
    before = threading.active_count()
    with pytest.raises(ArithmeticError, match="as asked"):
        fedchain.run(small(2), tmp_path, callbacks=[failing])
    assert threading.active_count() == before

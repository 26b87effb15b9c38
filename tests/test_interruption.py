from __future__ import annotations

import multiprocessing
import signal
import sys

import pytest

import fedchain
from fedchain.interruption import UNGUARDED, leave_if_unguarded, stop_if_asked, stoppable


class Losing:
    """An object whose deletion is interrupted: Python drops an exception raised in a deletion."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers():
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def asked_to_end(*more: signal.Signals) -> None:
    """Receive a signal to end, and more signals during the cleaning up that follows."""
    with stoppable():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            for each in more:
                signal.raise_signal(each)


def asked_while_an_object_is_deleted() -> None:
    with stoppable():
        losing = Losing()
        del losing
        stop_if_asked()


def test_a_signal_whose_exception_was_lost_is_heard_at_the_next_step(monkeypatch):
    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    with pytest.raises(KeyboardInterrupt):
        asked_while_an_object_is_deleted()
    assert len(lost) == 1


def test_nothing_stops_where_no_signal_came():
    with stoppable():
        stop_if_asked()
    stop_if_asked()


def test_a_signal_that_ended_a_command_does_not_end_the_next_one():
    with pytest.raises(KeyboardInterrupt):
        asked_to_end()
    stop_if_asked()


def test_a_process_that_imports_its_parents_script_leaves_at_once(monkeypatch):
    leave_if_unguarded()
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    scenario = fedchain.load("breast_cancer", set={"sweep": {"grid": {"rounds": [1, 2]}}})
    for begin in (fedchain.run, fedchain.sweep, fedchain.resume):
        with pytest.raises(SystemExit) as left:
            begin(scenario)
        assert left.value.code == UNGUARDED


def test_more_signals_that_follow_at_once_change_nothing():
    with pytest.raises(KeyboardInterrupt):
        asked_to_end(signal.SIGTERM, signal.SIGINT)

"""A rule with a state as a user would write it: one file outside of fedchain, one line of YAML."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from fresh_processes import fresh_processes
from small_runs import forking

from fedchain.ledger.storage.store import Store
from fedchain.results import LEDGER, Run
from fedchain.runs import running
from fedchain.runs.running import resume, run
from fedchain.scenario import Scenario, run_name

RULE = '''
import math

import numpy as np

from fedchain.aggregation import Aggregate, agreement_of, inner_with, weighted_mean
from fedchain.arrays import ONE


def centred_clipping(received, *, radius: float = 0.5) -> Aggregate:
    """Pull every gradient to within a radius of the last aggregate c, and average them.

    The result is c + (1/n) sum_k min(1, radius / |g_k - c|) (g_k - c).

    Args:
        radius: how far a gradient may be from the last aggregate.

    Reference:
        Karimireddy, He and Jaggi, Learning from History, ICML 2021, algorithm 2, one iteration.
    """
    rows, norms, count = received.directions, received.norms, len(received.norms)
    centre = received.memory.get("centre", np.zeros(rows.dimension))  # whole numbers: 2^20 c
    agreement, own = agreement_of(rows), math.fsum(centre * centre)
    squares = norms * norms * agreement.squares - 2.0 * norms * inner_with(rows, centre) + own
    distances = np.sqrt(np.maximum(squares, 1.0)) / ONE
    pulls = np.minimum(1.0, radius / distances)
    stays = 1.0 - math.fsum(pulls) / count
    gradient = stays * centre / ONE + weighted_mean(rows, norms * pulls, pulls > 0)
    memory = {"centre": np.rint(gradient * ONE)}
    return Aggregate(gradient, agreement.cosines, pulls / count, ("",) * count, memory)
'''
ROUNDS, KILLS = 24, 10
PROCESSES = fresh_processes()


class Stop:
    """Interrupts a run after some rounds, or tells another process that they are done."""

    def __init__(self, after: int, reached=None) -> None:
        self._after, self._reached = after, reached

    def on_run_begin(self, folder, setup):
        pass

    def on_round_end(self, record, messages):
        if record.round == self._after and self._reached is None:
            raise KeyboardInterrupt
        if record.round == self._after:
            self._reached()


def scenario(rounds: int = 12) -> Scenario:
    """Return a run with forks, whose ledger keeps few states and directions."""
    disk = {"disk.keep_weights": 3, "disk.keep_messages": 4}
    return forking(rounds, aggregation={"kind": "my_lab.rules:centred_clipping"}, **disk)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    (tmp_path / "my_lab").mkdir()
    (tmp_path / "my_lab" / "rules.py").write_text(RULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_lab"]:
        del sys.modules[name]


def without_wall_time(found: Run) -> list[dict[str, object]]:
    return [{k: v for k, v in e.items() if k != "seconds"} for e in found.events]


def test_a_rule_with_a_state_is_a_file_and_a_line_and_ends_in_one_head(lab):
    done = run(scenario(), lab / "done", workers=1)
    assert min(done.manifest["stale_blocks"], done.manifest["reorganisations"]) > 0
    assert done.verify(trust_user_parts=True).ok
    with Store.open(done.folder / LEDGER, writable=False) as store:
        centre = store.state(store.head).memory["rule/centre"]
        assert np.any(centre != 0)
        assert centre.tolist() == np.rint(centre).tolist()
    with pytest.raises(KeyboardInterrupt):
        run(scenario(), lab / "stopped", workers=2, callback=Stop(5))
    again = resume(lab / "stopped" / done.folder.name, engine="processes", workers=2)
    assert again.manifest["head"] == done.manifest["head"]
    assert without_wall_time(again) == without_wall_time(done)


def go_on(folder: Path, lab: Path, reached, after: int) -> None:
    sys.path.insert(0, str(lab))
    pruned_every_round()
    resume(folder, workers=1, callback=Stop(after, reached.set))


def pruned_every_round() -> None:
    running.PRUNED_TOGETHER = 1
    running.deepest_fork = lambda _: 12


@pytest.mark.long
def test_a_run_with_a_state_of_its_rule_survives_kills(lab, monkeypatch):
    monkeypatch.setattr(running, "PRUNED_TOGETHER", running.PRUNED_TOGETHER)
    monkeypatch.setattr(running, "deepest_fork", running.deepest_fork)
    pruned_every_round()
    done = run(scenario(ROUNDS), lab / "done", workers=1)
    with pytest.raises(KeyboardInterrupt):
        run(scenario(ROUNDS), lab / "killed", workers=1, callback=Stop(1))
    folder, moments = lab / "killed" / run_name(scenario(ROUNDS)), np.random.default_rng(0)
    for kill in range(KILLS):
        reached = PROCESSES.Event()
        child = PROCESSES.Process(target=go_on, args=(folder, lab, reached, 2 + 2 * kill))
        child.start()
        assert reached.wait(120)
        child.join(float(moments.uniform(0.0, 0.02)))
        child.kill()
        child.join()
        assert Run.open(folder).verify(trust_user_parts=True).ok
    again = resume(folder)
    assert again.manifest["head"] == done.manifest["head"]
    assert without_wall_time(again) == without_wall_time(done)

"""SIGKILL at random moments of runs, and of the ways of a chain to other machines."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from adversaries import SEEING
from fresh_processes import fresh_processes
from own_rules import CENTRED
from small_runs import forking

from fedchain.ledger.storage.store import Store
from fedchain.results import LEDGER, Run, exported_to, imported_from
from fedchain.runs import rounds as playing
from fedchain.runs.callbacks import Callback
from fedchain.runs.running import resume, run
from fedchain.scenario import Scenario, run_name

ROUNDS, KILLS, KILLS_OF_ALL, KILLS_ON_THE_WAY = 100, 200, 50, 25
FEW = {"disk.keep_weights": 3, "disk.keep_messages": 4}
SCENARIO = forking(ROUNDS, attacks=SEEING, **FEW)
PROCESSES = fresh_processes()


class Told(Callback):
    """Tells another process that a run has come to a round."""

    def __init__(self, at_round: int, reached: Callable[[], None]) -> None:
        self._at_round, self._reached = at_round, reached

    def on_round_end(self, ended):
        if ended.record.round == self._at_round:
            self._reached()


def all_at_once(rounds: int) -> Scenario:
    """Return a run with forks, an omniscient adversary, momentum of holders and a rule's state."""
    third = {"share": 0.3, "knowledge": "omniscient", "from_round": 2}
    momentum = {"nodes.momentum": {"kind": "ema", "beta": 0.9}}
    attacks = [{"kind": "adversaries:alie", **third}]
    return forking(rounds, attacks=attacks, aggregation=CENTRED, **momentum, **FEW)


def pruned_every_round() -> None:
    playing.PRUNED_TOGETHER = 1
    playing.deepest_read = lambda _: 12


def resumed(folder: Path, reached, at_round: int, engine: str) -> None:
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # for the actors of Ray
    pruned_every_round()
    callbacks = [Told(at_round, reached.set)]
    resume(folder, engine=engine, workers=2, callbacks=callbacks, trust_user_parts=True)


def exports(run: Path, reached, file: Path) -> None:
    exported_to(run, file, lambda *_: reached.set())


def imports(file: Path, reached, folder: Path) -> None:
    imported_from(file, folder, progress=lambda *_: reached.set())


def killed(act: Callable[..., None], *arguments: object, after_s: float) -> bool:
    """Begin something, kill it so long after it says to have come far; say whether it was alive."""
    reached = PROCESSES.Event()
    first, *rest = arguments
    child = PROCESSES.Process(target=act, args=(first, reached, *rest))
    child.start()
    assert reached.wait(120)
    child.join(after_s)
    alive = child.is_alive()
    child.kill()  # nothing, if it has come to its end
    child.join()
    return alive


def begun_and_left(scenario: Scenario, out: Path) -> Path:
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scenario, out, callbacks=[Told(1, stop)])
    return out / run_name(scenario)


def told_by(found: Run) -> list[dict[str, object]]:
    return [{k: v for k, v in e.items() if k != "seconds"} for e in found.events]


@pytest.fixture
def often_pruned(monkeypatch):
    monkeypatch.setattr(playing, "PRUNED_TOGETHER", playing.PRUNED_TOGETHER)
    monkeypatch.setattr(playing, "deepest_read", playing.deepest_read)
    pruned_every_round()


def survived(
    scenario: Scenario, place: Path, kills: int, engines: Sequence[str] = ("threads",)
) -> tuple[list[int], int, int]:
    """Kill and resume a run so often, with each engine in turn; it must end as if undisturbed.

    Returns:
        The number of blocks on disk after each kill, the height below which directions were gone,
        and how often the run has come to its end.
    """
    done = run(scenario, place / "done", workers=1)
    assert min(done.manifest["stale_blocks"], done.manifest["reorganisations"]) > 0
    fresh, rounds = begun_and_left(scenario, place / "fresh"), scenario.rounds
    folder, moments = place / "killed" / fresh.name, np.random.default_rng(0)
    kept, pruned, ended = list[int](), 0, 0
    while len(kept) < kills:
        if not folder.exists():
            shutil.copytree(fresh, folder)
            names, height = [], 1
        height = min(height + int(moments.integers(0, 4)), rounds - 4)
        with_, after_s = engines[len(kept) % len(engines)], float(moments.uniform(0.0, 0.02))
        assert killed(resumed, folder, height, with_, after_s=after_s)
        before, found = names, Run.open(folder)
        verdict = found.verify(trust_user_parts=True)
        assert (verdict.ok, found.manifest["status"]) == (True, "running"), verdict.reason
        with Store.open(folder / LEDGER) as store:
            names = [block.header.hash for block in store.blocks()]
            assert store.head.hex() == verdict.block
            pruned = max(pruned, store.keeping.below)
        assert names[: len(before)] == before
        assert verdict.height < rounds
        height = max(height, len(found.metrics))
        kept.append(len(names))
        if height >= rounds - 8 or len(kept) == kills:
            again = resume(folder, trust_user_parts=True)
            assert again.verify(trust_user_parts=True).ok
            assert again.manifest["head"] == done.manifest["head"]
            assert told_by(again) == told_by(done)
            shutil.rmtree(folder)
            ended += 1
    return kept, pruned, ended


@pytest.mark.long
def test_two_hundred_kills_lose_no_block_and_change_no_head(tmp_path, often_pruned, capsys):
    began = time.perf_counter()
    kept, pruned, ended = survived(SCENARIO, tmp_path, KILLS)
    with capsys.disabled():
        print(  # noqa: T201 - figures for whoever runs it
            f"\n{len(kept)} kills with {min(kept)} to {max(kept)} blocks on disk (median "
            f"{int(np.median(kept))}), directions gone below {pruned}, {ended} runs to the end, "
            f"{time.perf_counter() - began:.0f} s"
        )
    assert pruned > ROUNDS // 2


@pytest.mark.long
@pytest.mark.parametrize("engine", ["threads", "processes", "ray"])
def test_fifty_kills_of_a_run_with_all_at_once_change_no_head(engine, tmp_path, often_pruned):
    if engine == "ray":
        pytest.importorskip("ray")
    kept, pruned, _ = survived(all_at_once(ROUNDS), tmp_path, KILLS_OF_ALL, [engine])
    assert len(kept) == KILLS_OF_ALL
    assert pruned > ROUNDS // 2


def test_a_few_kills_of_a_run_with_all_at_once_change_no_head(tmp_path, often_pruned):
    scenario = all_at_once(18)
    survived(scenario, tmp_path, 2)
    done = Run.open(tmp_path / "done" / run_name(scenario))
    assert sum(bool(row["attack"]) for row in done.messages) > 20
    with Store.open(done.folder / LEDGER, writable=False) as store:
        assert np.any(store.state(store.head).memory["rule/centre"])


@pytest.mark.long
def test_kills_of_export_and_import_leave_the_whole_or_nothing(tmp_path):
    done = run(forking(40), tmp_path, workers=1)
    whole = tmp_path / "whole.fedchain"
    exported_to(done.folder, whole)
    moments, middle = np.random.default_rng(1), {exports: 0, imports: 0}
    for number in range(KILLS_ON_THE_WAY):
        file, folder = tmp_path / f"{number}.fedchain", tmp_path / f"imported{number}"
        for act, source, made, most_s in (
            (exports, done.folder, file, 0.02),
            (imports, whole, folder, 0.2),
        ):
            killed(act, source, made, after_s=float(moments.uniform(0.0, most_s)))
            middle[act] += not made.exists()
        if file.exists():
            assert file.read_bytes() == whole.read_bytes()
        else:
            exported_to(done.folder, file)
        if not folder.exists():
            assert imported_from(whole, folder).ok
        assert Run(folder).verify().block == done.manifest["head"]
    assert min(middle.values()) > KILLS_ON_THE_WAY // 3, middle

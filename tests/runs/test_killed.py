"""SIGKILL at two hundred random moments of a run, and of the ways of a chain to other machines."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from adversaries import SEEING
from fresh_processes import fresh_processes
from small_runs import forking

from fedchain.ledger.storage.store import Store
from fedchain.results import LEDGER, Run, exported_to, imported_from
from fedchain.runs import running
from fedchain.runs.running import resume, run
from fedchain.scenario import run_name

pytestmark = pytest.mark.long
ROUNDS, KILLS, KILLS_ON_THE_WAY = 100, 200, 25
SCENARIO = forking(ROUNDS, attacks=SEEING, **{"disk.keep_weights": 3, "disk.keep_messages": 4})
PROCESSES = fresh_processes()


class Told:
    """Tells another process that a run has come to a round."""

    def __init__(self, at_round: int, reached: Callable[[], None]) -> None:
        self._at_round, self._reached = at_round, reached

    def on_run_begin(self, folder, setup):
        pass

    def on_round_end(self, record, messages):
        if record.round == self._at_round:
            self._reached()


def pruned_every_round() -> None:
    running.PRUNED_TOGETHER = 1
    running.deepest_fork = lambda _: 12


def resumed(folder: Path, reached, at_round: int) -> None:
    pruned_every_round()
    resume(folder, workers=2, callback=Told(at_round, reached.set))


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


def begun_and_left(out: Path) -> Path:
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(SCENARIO, out, callback=Told(1, stop))
    return out / run_name(SCENARIO)


def told_by(found: Run) -> list[dict[str, object]]:
    return [{k: v for k, v in e.items() if k != "seconds"} for e in found.events]


def test_two_hundred_kills_lose_no_block_and_change_no_head(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(running, "PRUNED_TOGETHER", running.PRUNED_TOGETHER)
    monkeypatch.setattr(running, "deepest_fork", running.deepest_fork)
    pruned_every_round()
    done, began = run(SCENARIO, tmp_path / "done", workers=1), time.perf_counter()
    assert min(done.manifest["stale_blocks"], done.manifest["reorganisations"]) > 0
    fresh = begun_and_left(tmp_path / "fresh")
    folder = tmp_path / "killed" / fresh.name
    moments, kept, pruned, ended = np.random.default_rng(0), [], 0, 0
    while len(kept) < KILLS:
        if not folder.exists():
            shutil.copytree(fresh, folder)
            names, height = [], 1
        height = min(height + int(moments.integers(0, 4)), ROUNDS - 4)
        assert killed(resumed, folder, height, after_s=float(moments.uniform(0.0, 0.02)))
        before, found = names, Run.open(folder)
        verdict = found.verify()
        assert (verdict.ok, found.manifest["status"]) == (True, "running"), verdict.reason
        with Store.open(folder / LEDGER) as store:
            names = [block.header.hash for block in store.blocks()]
            assert store.head.hex() == verdict.block
            pruned = max(pruned, store.keeping.below)
        assert names[: len(before)] == before
        assert verdict.height < ROUNDS
        height = max(height, len(found.metrics))
        kept.append(len(names))
        if height >= ROUNDS - 8 or len(kept) == KILLS:
            again = resume(folder)
            assert again.verify().ok
            assert again.manifest["head"] == done.manifest["head"]
            assert told_by(again) == told_by(done)
            shutil.rmtree(folder)
            ended += 1
    with capsys.disabled():
        print(  # noqa: T201 - figures for whoever runs it
            f"\n{len(kept)} kills with {min(kept)} to {max(kept)} blocks on disk (median "
            f"{int(np.median(kept))}), directions gone below {pruned}, {ended} runs to the end, "
            f"{time.perf_counter() - began:.0f} s"
        )
    assert pruned > ROUNDS // 2


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

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from small_runs import forking, small

from fedchain.engines import Source, chosen, engines
from fedchain.engines.engine import placed
from fedchain.errors import MissingExtra, ScenarioError
from fedchain.ledger.chain.message import encode_message
from fedchain.nodes.holders.holder_pool import chunk_size, chunks_of
from fedchain.nodes.holders.release import ReleaseContext, ReleaseRequest
from fedchain.registry import Part
from fedchain.runs.callbacks import Callback
from fedchain.runs.running import resume, run
from fedchain.simulation.setup import build_setup

WORLD = build_setup(small())
SOURCE = Source(WORLD.scenario, WORLD.mechanism, WORLD.task)
ASKED = [
    ReleaseRequest(
        ReleaseContext(
            secret=bytes(32), chain_id=b"c" * 32, parent=b"p" * 32, round=1, holder=holder
        ),
        WORLD.identities.of(holder, 1),
    )
    for holder in range(10)
]


def said(kind: str, workers: int, asked: list[ReleaseRequest] = ASKED) -> list[bytes]:
    engine = engines.build(Part(kind, {"workers": workers}), SOURCE)
    try:
        spoken = engine.map(WORLD.state.weights, chunks_of(asked, chunk_size("segments", 31)))
        return [encode_message(m) for each in spoken for m in each.messages]
    finally:
        engine.close()


def test_threads_and_processes_say_the_same_with_any_number_of_workers():
    one = said("threads", 1)
    assert len(one) == 10
    assert said("threads", 2) == one
    assert said("threads", 5) == one
    assert said("processes", 2) == one


def test_an_engine_answers_in_the_order_of_the_chunks():
    turned = said("threads", 3, ASKED[::-1])
    assert [len(message) for message in turned] == [len(message) for message in said("threads", 1)]
    keys = [asked.identity.public_key for asked in ASKED[::-1]]
    assert all(key in message for key, message in zip(keys, turned, strict=True))


def test_what_travels_to_a_worker_is_small_and_holds_no_data():
    from dataclasses import replace

    assert len(pickle.dumps(replace(SOURCE, task=None))) < 20_000


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 17, 50, 1000])
@pytest.mark.parametrize(
    ("method", "dimension", "most"),
    [("segments", 100_000, 25), ("segments", 10, 256), ("layers", 10, 1), ("vmap", 10, 1)],
)
def test_a_cut_keeps_everybody_in_order_and_no_chunk_is_too_large(count, method, dimension, most):
    asked = list(range(count))
    chunks = chunks_of(asked, chunk_size(method, dimension))
    assert [each for chunk in chunks for each in chunk] == asked
    assert max(map(len, chunks)) <= most
    assert min(map(len, chunks)) >= 1
    assert len(chunks) % 2 == 0 or len(chunks) == count


def test_rows_of_ten_million_numbers_go_one_at_a_time():
    chunks = chunks_of(range(4), chunk_size("segments", 10_000_000))
    assert [len(chunk) for chunk in chunks] == [1] * 4


def test_what_was_asked_for_takes_the_place_of_what_the_scenario_says():
    scenario = small(engine={"kind": "processes", "workers": 3})
    assert chosen(scenario, None, None).plain()["workers"] == 3
    assert chosen(scenario, "threads", None).plain()["workers"] is None
    assert chosen(scenario, "processes", 5).plain()["workers"] == 5
    with pytest.raises(ScenarioError, match="did you mean threads"):
        chosen(scenario, "thread", None)


def test_the_engine_is_no_part_of_what_a_run_is():
    from fedchain.scenario import scenario_digest

    assert scenario_digest(small()) == scenario_digest(
        small(engine={"kind": "processes", "workers": 3})
    )


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert placed("auto") == "cpu"
    with pytest.raises(ValueError, match="reaches no GPU"):
        placed("cuda")


def test_a_run_on_a_device_that_is_not_there_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ScenarioError, match=r"engine.device: torch reaches no GPU"):
        run(small(rounds=1, engine={"kind": "threads", "device": "cuda"}), tmp_path)


def test_heads_are_equal_for_threads_and_processes(tmp_path):
    scenario = forking(rounds=4)
    heads = {
        run(scenario, tmp_path / f"{kind}{workers}", engine=kind, workers=workers).manifest["head"]
        for kind, workers in (("threads", 1), ("threads", 2), ("processes", 2))
    }
    assert len(heads) == 1


def test_a_run_may_go_on_with_another_engine(tmp_path, monkeypatch):
    whole = run(forking(rounds=5), tmp_path / "whole")

    class Stopped(Exception):
        pass

    class Stopping(Callback):
        def on_round_end(self, ended):
            if ended.record.round == 3:
                raise Stopped

    with pytest.raises(Stopped):
        run(forking(rounds=5), tmp_path / "halted", callbacks=[Stopping()])
    (folder,) = (tmp_path / "halted").iterdir()
    assert resume(folder, engine="processes", workers=1).manifest["head"] == whole.manifest["head"]


def test_ray_says_the_same(tmp_path):
    pytest.importorskip("ray")
    script = (
        "import sys, fedchain; from small_runs import small;"
        "done = fedchain.run(small(rounds=2), sys.argv[1], engine='ray', workers=2);"
        "print(done.manifest['head'])"
    )
    # Ray leaves threads and sockets behind: it has a process of its own.
    command = [sys.executable, "-c", script, str(tmp_path / "ray")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=_with_tests_on_the_path()
    )
    expected = run(small(rounds=2), tmp_path / "threads").manifest["head"]
    assert done.stdout.split()[-1] == expected


def test_ray_that_is_not_installed_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'fedchain\[ray\]'"):
        engines.build(Part("ray", {}), SOURCE)


def test_weights_may_be_read_only(tmp_path):
    weights = np.array(WORLD.state.weights)
    weights.flags.writeable = False
    with closing(engines.build(Part("threads", {"workers": 1}), SOURCE)) as engine:
        assert next(engine.map(weights, [ASKED[:1]])).messages[0] is not None


def _with_tests_on_the_path() -> dict[str, str]:
    import os
    from pathlib import Path

    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

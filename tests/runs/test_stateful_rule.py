"""A rule with a state as a user would write it: one file outside of fedchain, one line of YAML."""

from __future__ import annotations

import numpy as np
import pytest
from own_rules import CENTRED
from small_runs import forking

from fedchain.ledger.storage.store import Store
from fedchain.results import LEDGER, Run
from fedchain.runs.callbacks import Callback
from fedchain.runs.running import resume, run
from fedchain.scenario import Scenario


class Stop(Callback):
    """Interrupts a run after some rounds."""

    def __init__(self, after: int) -> None:
        self._after = after

    def on_round_end(self, ended):
        if ended.record.round == self._after:
            raise KeyboardInterrupt


def scenario() -> Scenario:
    """Return a run with forks, whose ledger keeps few states and directions."""
    return forking(aggregation=CENTRED, **{"disk.keep_weights": 3, "disk.keep_messages": 4})


def without_wall_time(found: Run) -> list[dict[str, object]]:
    return [{k: v for k, v in e.items() if k != "seconds"} for e in found.events]


def test_a_rule_with_a_state_is_a_file_and_a_line_and_ends_in_one_head(tmp_path):
    done = run(scenario(), tmp_path / "done", workers=1)
    assert min(done.manifest["stale_blocks"], done.manifest["reorganisations"]) > 0
    assert done.verify(trust_user_parts=True).ok
    with Store.open(done.folder / LEDGER, writable=False) as store:
        centre = store.state(store.head).memory["rule/centre"]
        assert np.any(centre != 0)
        assert centre.tolist() == np.rint(centre).tolist()
    with pytest.raises(KeyboardInterrupt):
        run(scenario(), tmp_path / "stopped", workers=2, callbacks=[Stop(5)])
    stopped = tmp_path / "stopped" / done.folder.name
    again = resume(stopped, engine="processes", workers=1, trust_user_parts=True)
    assert again.manifest["head"] == done.manifest["head"]
    assert without_wall_time(again) == without_wall_time(done)

"""Weights of holders from the scenario to genesis, the records of a run and its summary."""

from __future__ import annotations

import json

import numpy as np
import pytest
from group_runs import FIVE, SHARED
from small_runs import small

from fedchain.commands.terminal import closing_lines
from fedchain.forecasts.forecast import forecast
from fedchain.ledger.storage.store import Store
from fedchain.results import LEDGER
from fedchain.runs.running import run
from fedchain.simulation.setup import build_setup, registered_records

MEAN = {"aggregation": {"kind": "mean"}, "attacks": []}
ALIKE = {**MEAN, "nodes.holders": 7}  # 427 records: 61 for each


def weights_in_genesis(scenario):
    return json.loads(build_setup(scenario).rules.aggregation).get("weights", "no such key")


@pytest.mark.parametrize(
    ("changes", "stated"),
    [
        (MEAN, "records"),  # 43 or 42 records for each of ten holders
        (ALIKE, "equal"),
        ({**MEAN, "nodes.identity": "open"}, "equal"),
        ({**MEAN, "privacy.unit": "holder"}, "equal"),  # the noise is the same for all
        ({**MEAN, "aggregation": {"kind": "mean", "weights": "equal"}}, "equal"),
        ({**ALIKE, "aggregation": {"kind": "mean", "weights": "records"}}, "records"),
        ({**MEAN, "aggregation": {"kind": "median"}}, "no such key"),
    ],
)
def test_genesis_states_the_weights_that_a_scenario_leaves_open(changes, stated):
    scenario = small(2, **changes)
    assert weights_in_genesis(scenario) == stated
    rows = dict(forecast(scenario).rows)
    assert rows.get("weights", "no such key").startswith(stated)


def test_the_registered_number_of_a_group_is_that_of_all_its_members():
    scenario = small(2, **{"nodes.groups": FIVE, "privacy": SHARED, **MEAN})
    assert registered_records(scenario, range(1, 11)) == [15, 40]


def test_a_run_says_how_much_each_holder_counts(tmp_path):
    done = run(small(2, **MEAN, task={"kind": "breast_cancer", "split": {"kind": "dirichlet"}}),
               tmp_path)  # fmt: skip
    with Store.open(done.folder / LEDGER, writable=False) as store:
        for block in store.blocks():
            counts = {m.id.hex(): m.declaration.records for m in block.messages}
            told = [row for row in done.messages if row["id"] in counts]
            shares = [counts[row["id"]] / sum(counts.values()) for row in told]
            np.testing.assert_allclose([row["share"] for row in told], shares, atol=1e-9)
            assert len(set(shares)) > 5
    assert done.manifest["weights"] == done.summary()["weights"] == "records"
    (line,) = [x for x in closing_lines(done.summary()) if x.startswith("weights")]
    assert (
        line == "weights   records: a message counts by the registered number of records behind it"
    )

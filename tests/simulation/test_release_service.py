"""The whole cohort of a block is computed at once, and depends on nothing that was asked before."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from small_runs import forking, simulate, small

from fedchain.ledger.chain.message import encode_message
from fedchain.runs.running import run
from fedchain.simulation import release_service


@pytest.fixture
def asked(tmp_path):
    """Return the release service of a run that stands at genesis, and what it had computed."""
    made = simulate(small(attacks=[]), tmp_path)
    service, calls = made.simulation._releases, []
    ask = service._ask

    def counted(weights, requests):
        calls.append([each.context.holder for each in requests])
        return ask(weights, requests)

    service._ask = counted
    genesis = made.setup.genesis.header.hash
    yield SimpleNamespace(
        calls=calls,
        genesis=genesis,
        service=service,
        of=lambda holder: [encode_message(each) for each in service.release(holder, genesis, 1)],
    )
    made.close()


def test_the_first_who_is_asked_lets_all_be_computed_and_only_once(asked):
    said = [asked.of(holder) for holder in (7, 1, 2)]
    assert len({*map(tuple, said)}) == 3
    assert asked.calls == [list(range(10))]


def test_what_is_never_sent_costs_no_budget_and_is_in_no_record(asked):
    asked.of(4)
    assert asked.service.budget(5).releases == 0
    assert [record.holder for record in asked.service.released] == [4]


def test_who_is_asked_again_says_the_same(asked):
    first = asked.of(3)
    assert asked.of(3) == first
    assert asked.calls == [list(range(10))] * 2


def test_a_message_that_is_sent_again_after_a_fork_is_not_counted_again(asked):
    asked.of(3)
    asked.service.budget(3).spend(asked.genesis, 1)
    asked.of(3)
    first, again = asked.service.released
    assert again.epsilon == first.epsilon
    assert asked.service.worst == (1, first.epsilon)


def test_what_was_forgotten_is_computed_again_with_the_same_bits(asked):
    first = [asked.of(holder) for holder in (0, 1)]
    asked.service._cohorts.clear()
    assert [asked.of(holder) for holder in (1, 0)] == first[::-1]


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"nodes.holders": 14, "nodes.cohort": 8, "aggregation": {"kind": "mean"}, "attacks": []},
        {"privacy.clip_quantile": 0.5, "privacy.clip": 8.0, "privacy.epsilon": 400.0},
    ],
    ids=["all are asked", "a cohort is drawn", "clips follow a quantile"],
)
def test_the_head_of_a_run_with_forks_does_not_depend_on_what_is_remembered(
    overrides, tmp_path, monkeypatch
):
    runs = []
    for kept in (8, 1):
        monkeypatch.setattr(release_service, "KEPT_PARENTS", kept)
        runs.append(run(forking(**overrides), tmp_path / str(kept), workers=1))
    assert runs[0].manifest["stale_blocks"] > 0
    assert runs[0].manifest["head"] == runs[1].manifest["head"]

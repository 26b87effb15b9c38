"""Both races on the real chain, nothing learned and the work sampled."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from fedchain.learning.evaluation import Measured
from fedchain.ledger.chain.verdict_cache import MOST
from fedchain.ledger.storage.store import Store
from fedchain.nodes.compute.incident_log import IncidentLog
from fedchain.nodes.compute.strategies import double_spend, selfish_mining
from fedchain.nodes.compute.strategies.double_spend import Attempt, verdict
from fedchain.nodes.compute.strategies.selfish_mining import Lead
from fedchain.reports.laws import double_spend_success as success
from fedchain.reports.laws import selfish_revenue as revenue
from fedchain.results import LEDGER
from fedchain.runs.running import run
from fedchain.scenario import from_mapping
from fedchain.simulation.setup import build_setup
from fedchain.simulation.simulation import Simulation
from fedchain.timing import Stopwatch

HONEST = 10
SEEDS = range(5)


def unmeasured(*_):
    nothing = Future()
    nothing.set_result(Measured({}))
    return nothing


def played(folder, share: float, rounds: int, seed: int, honest: int = HONEST, **attack):
    """Let the chain run with compute node 0 as the attacker; return who made its blocks."""
    powers = [share, *[(1 - share) / honest] * honest]
    scenario = from_mapping(
        {
            "version": 1,
            "name": "race",
            "seed": seed,
            "rounds": rounds,
            "task": {"kind": "none"},
            "nodes": {"compute": [{"hash_share": power} for power in powers]},
            "ledger": {"work": {"kind": "sampled", "interval_s": 600.0}},
            "attacks": [{**attack, "nodes": [0]}],
        }
    )
    setup = build_setup(scenario)
    store = Store.create(folder / f"{seed}", setup.rules, setup.genesis, setup.state)
    made = Simulation(
        setup=setup, store=store, ask=lambda *_: iter(()), measure=unmeasured, watch=Stopwatch()
    )
    miners = {record.height: record.miner for record, _ in made.rounds()}
    made.close()
    store.close()
    (said,) = made.compute_nodes[0].schedule.counters()
    return SimpleNamespace(
        miners=[miners[h] for h in range(1, rounds + 1)], deeds=said["deeds"], simulation=made
    )


@pytest.fixture
def found(monkeypatch):
    """Who found a block, in the order in which the attacker heard of them."""
    order = []
    saw = IncidentLog.saw

    def noted(incidents, time_s, block):
        order.append((incidents, block.header.address))
        saw(incidents, time_s, block)

    monkeypatch.setattr(IncidentLog, "saw", noted)

    def by(simulation):
        attacker = simulation.compute_nodes[0]
        numbers = {node.address: node.node for node in simulation.compute_nodes}
        return [numbers[who] for incidents, who in order if incidents is attacker.incidents]

    return by


def main_chain(finders: list[int], gamma: int) -> list[int]:
    """Return the makers of the main chain by the longest-chain rule, for gamma 0 or 1."""
    lead, shown, main = Lead(), 0, []
    secret, public = [], []
    for finder in finders:
        if finder == 0:
            secret.append(0)
            lead, count = selfish_mining.after_own(lead)
        else:
            if gamma and shown == len(public) > 0 and finder != public[-1]:
                main += secret[:shown]
                secret, shown, public = secret[shown:], 0, []
            public.append(finder)
            lead, count = selfish_mining.after_public(lead)
        shown += count
        if shown > len(public):
            main += secret[:shown]
            secret, shown, public = secret[shown:], 0, []
        elif len(public) > len(secret):
            main += public
            secret, shown, public = [], 0, []
    return main


@pytest.mark.parametrize("gamma", [0, 1])
def test_the_network_gives_the_main_chain_that_the_state_machine_gives(tmp_path, found, gamma):
    run = played(tmp_path, 0.4, 400, 3, kind="selfish_mining", gamma=float(gamma))
    expected = main_chain(found(run.simulation), gamma)
    settled = min(len(expected), len(run.miners)) - 10  # what is open at the end may differ
    assert run.miners[:settled] == expected[:settled]
    assert settled > 350
    assert run.deeds["ties"] > 20


@pytest.mark.parametrize("z", [1, 3])
def test_the_network_gives_the_attempts_that_the_law_counts(tmp_path, found, z):
    run = played(tmp_path, 0.3, 600, 1, 2, kind="double_spend", confirmations=z, gives_up=8)
    attempt, ended = Attempt(), []
    for finder in found(run.simulation):
        step = double_spend.after_public_block if finder else double_spend.after_secret_block
        attempt = step(attempt)
        if (said := verdict(attempt, z, 8)) != "goes on":
            attempt, _ = Attempt(), ended.append(said)
    assert abs(run.deeds["successes"] - ended.count("succeeds")) <= 1
    assert abs(run.deeds["attempts given up"] - ended.count("gives up")) <= 1
    assert ended.count("succeeds") > 3


def test_the_majority_wins_every_time_and_the_chain_is_its_own(tmp_path):
    run = played(tmp_path, 0.7, 400, 0, 3, kind="double_spend", confirmations=6, gives_up=None)
    assert run.deeds["successes"] == run.deeds["attempts"] > 5
    assert run.deeds["public blocks undone"] >= 6 * run.deeds["successes"]
    assert run.miners.count(0) > 0.9 * len(run.miners)


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("kind", ["selfish_mining", "double_spend"])
def test_where_every_node_withholds_its_blocks_the_reported_chain_is_stored_all_the_same(
    kind, nodes, tmp_path
):
    values = {"version": 1, "name": "alone", "rounds": 20, "task": {"kind": "none"}}
    values |= {"nodes": {"compute": nodes}, "ledger": {"work": {"kind": "sampled"}}}
    attack = {"kind": kind, "nodes": list(range(nodes))}
    found = run(from_mapping({**values, "attacks": [attack]}), tmp_path)
    verdict = found.verify()
    assert (verdict.ok, verdict.height, verdict.block) == (True, 20, found.manifest["head"])
    with Store.open(found.folder / LEDGER, writable=False) as store:
        stored = {block.header.hash.hex() for block in store.blocks()}
    assert {row["block"] for row in found.metrics} <= stored


def test_a_branch_kept_secret_for_longer_than_any_shelf_is_long_is_written_whole(tmp_path):
    run = played(tmp_path, 0.7, 300, 0, 3, kind="double_spend", confirmations=80, gives_up=None)
    assert run.deeds["public blocks undone"] > 80 > MOST
    assert len(run.miners) == 300


@pytest.mark.long
@pytest.mark.parametrize(("gamma", "honest"), [(0.0, 4), (0.5, 4), (1.0, 10)])
def test_selfish_revenue_on_the_chain_is_that_of_eyal_and_sirer(tmp_path, gamma, honest):
    attack = {"kind": "selfish_mining", "gamma": gamma}
    runs = [played(tmp_path, 0.3, 60_000, seed, honest, **attack) for seed in range(10)]
    mean = sum(run.miners.count(0) / len(run.miners) for run in runs) / len(runs)
    heard = min(gamma, 1 - 1 / honest)  # who found the other block never mines on the attacker's
    assert abs(mean - revenue(0.3, heard)) < 0.004  # three standard errors of ten seeds


@pytest.mark.long
@pytest.mark.parametrize("z", range(1, 7))
def test_double_spends_on_the_chain_succeed_as_often_as_the_exact_law_says(tmp_path, z):
    attack = {"kind": "double_spend", "confirmations": z, "gives_up": 12}
    runs = [played(tmp_path, 0.3, 20_000, seed, 2, **attack) for seed in SEEDS]
    attempts = sum(run.deeds["attempts"] for run in runs)
    rate, law = sum(run.deeds["successes"] for run in runs) / attempts, success(0.3, z)
    assert abs(rate - law) < 3 * (law * (1 - law) / attempts) ** 0.5

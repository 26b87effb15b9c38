from __future__ import annotations

import math

import networkx
import numpy as np
import pytest

from fedchain.network.gossip import Network
from fedchain.network.outages import Outages, followed
from fedchain.network.spreading import (
    ANNOUNCEMENT,
    REQUEST,
    Parcel,
    exchange_s,
    quickest,
    traffic,
)
from fedchain.network.topology import topologies
from fedchain.scenario import Gossip, from_mapping

ITEM = Parcel(b"item", 40_000, 9_000)
DRAWN = {"latency_ms": {"kind": "lognormal", "median": 80.0, "sigma": 0.7}}
WORLD = {"kind": "watts_strogatz", "degree": 4, "rewired": 0.3, **DRAWN}
STAR = {"kind": "complete", **DRAWN}


def graph_of(block: dict, compute: int = 6, nodes: int = 30, seed: int = 0):
    part = topologies.check(block)
    return topologies.build(part, compute, nodes, np.random.default_rng(seed))


def gossip_of(**settings: object) -> Gossip:
    """Return the section as a scenario file would give it."""
    values = {
        "version": 1,
        "name": "n",
        "rounds": 1,
        "task": {"kind": "none"},
        "nodes": {"compute": 6},
        "gossip": settings,
    }
    return from_mapping(values).gossip


def by_networkx(lanes, seconds, sender):
    graph = networkx.DiGraph()
    ends = zip(lanes.tails.tolist(), lanes.heads.tolist(), seconds.tolist(), strict=True)
    graph.add_weighted_edges_from(ends)
    return networkx.single_source_dijkstra_path_length(graph, sender)


@pytest.mark.parametrize("settings", [{}, {"relay": "announce", "bandwidth_mbit_s": 10.0}])
@pytest.mark.parametrize("block", [WORLD, STAR])
@pytest.mark.parametrize(("sender", "group"), [(2, "everybody"), (2, "compute"), (29, "compute")])
def test_an_item_takes_the_quickest_way(settings, block, sender, group):
    gossip, lanes = gossip_of(**settings), graph_of(block).lanes(sender, group, relayed=True)
    seconds = exchange_s(gossip, lanes, ITEM, None)
    spread = quickest(lanes, seconds, sender)
    expected = by_networkx(lanes, seconds, sender)
    assert dict(zip(spread.nodes.tolist(), spread.times_s, strict=True)) == pytest.approx(expected)
    assert spread.nodes[0] == sender
    assert (np.diff(spread.times_s) >= 0).all()
    when = dict(zip(spread.nodes.tolist(), spread.times_s.tolist(), strict=True))
    for node, lane in zip(spread.nodes[1:].tolist(), spread.lanes.tolist(), strict=True):
        assert lanes.heads[lane] == node
        assert when[node] == pytest.approx(when[int(lanes.tails[lane])] + seconds[lane])


def test_an_announced_item_takes_three_steps_over_each_link_and_a_large_one_longer():
    lanes = graph_of(WORLD).lanes(0, "everybody", relayed=True)
    pushed = exchange_s(gossip_of(), lanes, ITEM, None)
    assert np.array_equal(pushed, lanes.seconds)
    slow = gossip_of(relay="announce", bandwidth_mbit_s=8.0)
    expected = 3 * lanes.seconds + (ANNOUNCEMENT + REQUEST + 40_000) / 1e6
    np.testing.assert_allclose(exchange_s(slow, lanes, ITEM, None), expected, rtol=1e-14)


def test_a_light_client_that_passes_nothing_on_takes_less_and_is_passed_by():
    lanes = graph_of(STAR).lanes(0, "everybody", relayed=True)
    seconds = exchange_s(gossip_of(bandwidth_mbit_s=8.0), lanes, ITEM, None) - lanes.seconds
    np.testing.assert_allclose(seconds, np.where(lanes.heads >= 6, 0.009, 0.04))
    assert (lanes.tails < 6).all()


def test_what_others_do_not_pass_on_reaches_the_neighbours_alone():
    graph = graph_of(WORLD)
    nodes, times_s = Network(graph, gossip_of(), 0).deliveries(3, "everybody", ITEM, 5.0, False)
    links = zip(graph.links.tolist(), graph.seconds.tolist(), strict=True)
    direct = {a + b - 3: seconds for (a, b), seconds in links if 3 in (a, b)}
    found = dict(zip(nodes.tolist(), times_s - 5.0, strict=True))
    assert found == pytest.approx(direct)


FAULTS = {
    "loss": {"loss": 0.3},
    "churn": {"churn": {"away": 0.4, "stay_s": 3.0}},
    "partition": {"partitions": [{"from_s": 5.0, "to_s": 40.0}]},
    "late": {"late_joiners": {"at_s": 30.0, "share": 0.4}},
    "all": {
        "loss": 0.2,
        "relay": "announce",
        "bandwidth_mbit_s": 5.0,
        "churn": {"away": 0.3, "stay_s": 10.0},
        "partitions": [{"from_s": 5.0, "to_s": 25.0}, {"from_s": 20.0, "to_s": 40.0}],
        "late_joiners": {"at_s": 12.0, "share": 0.2},
    },
}


@pytest.mark.parametrize("faults", FAULTS)
@pytest.mark.parametrize("block", [WORLD, STAR])
def test_each_node_has_an_item_as_soon_as_one_that_had_it_before_can_give_it(faults, block):
    gossip, graph = gossip_of(**FAULTS[faults]), graph_of(block)
    outages = Outages(gossip, graph, seed=4)
    for sender, leaves_s in ((0, 0.0), (3, 4.9), (5, 11.0)):
        lanes = graph.lanes(sender, "everybody", relayed=True)
        lost = np.random.default_rng(sender).geometric(0.8, (1, len(lanes.tails))) - 1
        seconds = exchange_s(gossip, lanes, ITEM, lost)
        spread = followed(lanes, seconds, sender, leaves_s, outages, {}, 0.0)
        found = dict(zip(spread.nodes.tolist(), spread.times_s.tolist(), strict=True))
        earliest = {sender: leaves_s}
        columns = (lanes.tails, lanes.heads, seconds, lanes.seconds)
        for tail, head, lasts, latency in zip(*(c.tolist() for c in columns), strict=True):
            start = outages.heard(tail, head, found[tail])
            span = lasts + (2 * latency if start > found[tail] else 0.0)
            end = outages.done(tail, head, start, span)
            earliest[head] = min(end, earliest.get(head, math.inf))
        assert found == earliest


@pytest.mark.parametrize("faults", FAULTS)
def test_everything_comes_to_everybody_whatever_is_lost_or_breaks(faults):
    network = Network(graph_of(WORLD), gossip_of(**FAULTS[faults]), 1)
    for number in range(20):
        nodes, times_s = network.deliveries(
            number % 6, "everybody", Parcel(bytes([number]), 500, 500), 2.0 * number
        )
        assert sorted(nodes.tolist()) == [n for n in range(30) if n != number % 6]
        assert (times_s > 2.0 * number).all()


@pytest.mark.parametrize("faults", FAULTS)
def test_the_same_seed_gives_the_same_deliveries_and_another_seed_others(faults):
    def times(seed):
        network = Network(graph_of(WORLD), gossip_of(**FAULTS[faults]), seed)
        sends = [network.deliveries(1, "everybody", ITEM, 4.0 * n) for n in range(5)]
        return [(n.tolist(), t.tolist()) for n, t in sends]

    assert times(0) == times(0)
    assert times(0) != times(1)


def test_what_a_node_has_missed_comes_after_it_is_back_in_the_order_in_which_it_was_sent():
    late = gossip_of(late_joiners={"at_s": 100.0, "share": 0.5}, loss=0.5, bandwidth_mbit_s=1.0)
    graph = graph_of(STAR)
    network, outages = Network(graph, late, 7), Outages(late, graph, 7)
    away = [node for node in range(30) if outages.back(node, 0.0) == 100.0]
    assert 0 < len([n for n in away if n < 6]) < 6
    came = {node: [] for node in away}
    sender = next(node for node in range(6) if node not in away)
    for number in range(40):
        parcel = Parcel(bytes([number]), 1000, 1000)
        nodes, times_s = network.deliveries(sender, "everybody", parcel, float(number))
        for node, time_s in zip(nodes.tolist(), times_s.tolist(), strict=True):
            if node in came:
                came[node].append(time_s)
    for node, times_s in came.items():
        assert times_s == sorted(times_s)
        assert times_s[0] > 100.0
        assert np.diff(times_s).min() >= 0.008 - 1e-9  # a line of 1 Mbit/s is busy for 8 ms
        assert network.ready(node, 50.0) == network.ready(node, 100.0) == times_s[-1]
        assert network.ready(node, times_s[-1]) == times_s[-1]


@pytest.mark.parametrize("settings", [{}, {"relay": "announce"}])
def test_in_a_whole_run_what_is_sent_is_received_byte_for_byte_unless_it_is_lost(settings):
    for loss in (0.0, 0.3):
        network = Network(graph_of(WORLD), gossip_of(**settings, loss=loss), 0)
        for number in range(30):
            network.deliveries(number % 6, "everybody", Parcel(bytes([number]), 800, 80), 1.0)
        total = network.traffic()
        if loss:
            assert total.sent.sum() > 1.1 * total.received.sum()
        else:
            assert total.sent.sum() == total.received.sum()


def test_bytes_are_counted_link_by_link_as_a_plain_count_gives_them():
    for relay, block in (("push", WORLD), ("announce", WORLD), ("push", STAR), ("announce", STAR)):
        gossip, lanes = gossip_of(relay=relay), graph_of(block).lanes(2, "everybody", relayed=True)
        spread = quickest(lanes, exchange_s(gossip, lanes, ITEM, None), 2)
        sent, received = np.zeros(30), np.zeros(30)
        when = dict(zip(spread.nodes.tolist(), spread.times_s.tolist(), strict=True))
        ways = set(spread.lanes.tolist())
        for lane, (tail, head) in enumerate(zip(lanes.tails, lanes.heads, strict=True)):
            size = 9_000 if lanes.leaf[lane] else 40_000
            name = size if relay == "push" else ANNOUNCEMENT
            if when[tail] < when[head] or lanes.leaf[lane]:
                sent[tail] += name
                received[head] += name
            if relay == "announce" and lane in ways:
                sent[tail] += size
                received[head] += size
                sent[head] += REQUEST
                received[tail] += REQUEST
        found = traffic(gossip, lanes, spread, ITEM, None)
        assert np.array_equal(found[0], sent[spread.nodes])
        assert np.array_equal(found[1], received[spread.nodes])


def test_remembered_routes_and_routes_found_anew_count_the_same_traffic(monkeypatch):
    def total(kept):
        monkeypatch.setattr("fedchain.network.gossip.KEPT_NUMBERS", kept)
        network = Network(graph_of(STAR), gossip_of(relay="announce"), 0)
        for number in range(60):
            sender, size = number % 30, 100 + number
            group = "everybody" if sender < 6 else "compute"
            network.deliveries(sender, group, Parcel(b"", size, size // 2), 0.0)
        return network.traffic()

    kept, anew = total(2**23), total(0)
    np.testing.assert_allclose(kept.sent, anew.sent)
    np.testing.assert_allclose(kept.received, anew.received)
    assert kept.sent.sum() > 0

from __future__ import annotations

import networkx
import numpy as np
import pytest

from fedchain.network.topology import latencies, topologies
from fedchain.registry import Part


def delays(block: dict, nodes: int = 10, seed: int = 0, compute: int = 4):
    part = topologies.check(block)
    return topologies.build(part, compute, nodes, np.random.default_rng(seed))


BLOCKS = {
    "complete": {"kind": "complete"},
    "ring": {"kind": "ring"},
    "random_regular": {"kind": "random_regular", "degree": 4},
}
LOGNORMAL = {"kind": "lognormal", "median": 80.0, "sigma": 0.5}


@pytest.mark.parametrize("kind", topologies.names())
def test_every_topology_gives_finite_symmetric_delays_that_obey_the_triangle(kind):
    seconds = delays({**BLOCKS[kind], "latency_ms": LOGNORMAL})
    assert seconds.shape == (4, 10)
    assert np.isfinite(seconds).all()
    among = seconds[:, :4]
    np.testing.assert_allclose(among, among.T, rtol=1e-12)  # the same path, added backwards
    assert not among.diagonal().any()
    assert (np.delete(seconds.ravel(), range(0, 40, 11)) > 0).all()
    through = (among[:, :, None] + seconds[None, :, :]).min(axis=1)
    assert (seconds <= through + 1e-12).all()


@pytest.mark.parametrize("kind", ["ring", "random_regular"])
def test_the_rows_of_few_compute_nodes_are_those_of_the_whole_network(kind):
    block = {**BLOCKS[kind], "latency_ms": LOGNORMAL}
    whole = delays(block, compute=10)
    np.testing.assert_allclose(delays(block, compute=3), whole[:3], rtol=1e-12)
    np.testing.assert_allclose(whole, whole.T, rtol=1e-12)


def test_in_a_complete_network_one_holder_more_leaves_the_delays_of_the_others_alone():
    block = {"kind": "complete", "latency_ms": LOGNORMAL}
    assert np.array_equal(delays(block, nodes=11)[:, :10], delays(block))


def test_in_a_complete_network_a_message_goes_through_another_compute_node_if_that_is_quicker():
    block = {"kind": "complete", "latency_ms": {"kind": "lognormal", "median": 80.0, "sigma": 2.0}}
    seconds, drawn = delays(block, nodes=300), np.random.default_rng(0)
    links = drawn.lognormal(np.log(80.0), 2.0, 6) / 1000.0
    down = drawn.lognormal(np.log(80.0), 2.0, 296 * 4).reshape(296, 4) / 1000.0
    graph = networkx.Graph()
    ends = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    graph.add_weighted_edges_from((a, b, w) for (a, b), w in zip(ends, links, strict=True))
    for seat in range(296):
        single = graph.copy()  # no other seat can pass anything on
        single.add_weighted_edges_from((c, 4, down[seat, c]) for c in range(4))
        found = [networkx.dijkstra_path_length(single, c, 4) for c in range(4)]
        np.testing.assert_allclose(seconds[:, 4 + seat], found, rtol=1e-12)
    assert (seconds[:, 4:] < down.T * (1 - 1e-9)).any()


@pytest.mark.parametrize("kind", topologies.names())
def test_the_same_seed_gives_the_same_delays_and_another_seed_others(kind):
    block = {**BLOCKS[kind], "latency_ms": LOGNORMAL}
    assert np.array_equal(delays(block), delays(block))
    assert not np.array_equal(delays(block), delays(block, seed=1))


def test_delays_on_a_ring_are_those_of_the_shortest_way_round():
    seconds = delays(
        {"kind": "ring", "latency_ms": {"kind": "constant", "value": 50.0}}, 7, compute=7
    )
    lengths = dict(networkx.all_pairs_shortest_path_length(networkx.cycle_graph(7)))
    expected = [[0.05 * lengths[a][b] for b in range(7)] for a in range(7)]
    np.testing.assert_allclose(seconds, expected)


def test_an_odd_number_of_link_ends_is_refused():
    with pytest.raises(ValueError, match="must be even"):
        delays({"kind": "random_regular", "degree": 3}, nodes=5)


def test_a_uniform_latency_with_its_bounds_swapped_is_refused():
    with pytest.raises(ValueError, match=r"must be at least low \(9\.0\), got 3\.0"):
        latencies.build(Part("uniform", {"low": 9.0, "high": 3.0}))


def test_half_of_lognormal_latencies_lie_below_the_median():
    law = latencies.build(Part("lognormal", {"median": 80.0, "sigma": 0.5}))
    assert abs((law(20_000, np.random.default_rng(0)) < 80.0).mean() - 0.5) < 0.015


def test_uniform_latencies_fill_their_range():
    drawn = latencies.build(Part("uniform", {"low": 10.0, "high": 20.0}))(
        20_000, np.random.default_rng(0)
    )
    assert 10.0 <= drawn.min() < 10.1
    assert 19.9 < drawn.max() <= 20.0

from __future__ import annotations

from pathlib import Path

import networkx
import numpy as np
import pytest

from fedchain.network.latencies import latencies
from fedchain.network.spreading import quickest
from fedchain.network.topology import topologies
from fedchain.registry import Part


def delays(block: dict, nodes: int = 10, seed: int = 0, compute: int = 4):
    """Return the seconds from each compute node to each node, shape (compute, nodes)."""
    part = topologies.check(block)
    graph = topologies.build(part, compute, nodes, np.random.default_rng(seed))
    rows = np.full((compute, nodes), np.inf)
    for node in range(compute):
        lanes = graph.lanes(node, "everybody", relayed=True)
        spread = quickest(lanes, lanes.seconds, node)
        rows[node, spread.nodes] = spread.times_s
    return rows


BLOCKS = {
    "complete": {"kind": "complete"},
    "ring": {"kind": "ring"},
    "random_regular": {"kind": "random_regular", "degree": 4},
    "watts_strogatz": {"kind": "watts_strogatz", "degree": 4, "rewired": 0.3},
    "barabasi_albert": {"kind": "barabasi_albert", "attached": 2},
    "file": {"kind": "file", "path": str(Path(__file__).parent / "ten_nodes.graphml")},
}
MANY = np.zeros((20_000, 2), dtype=np.int64)
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


@pytest.mark.parametrize("kind", sorted({*BLOCKS} - {"complete"}))
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
    links = 80.0 * drawn.lognormal(0.0, 2.0, 6).round(9) / 1000.0
    down = 80.0 * drawn.lognormal(0.0, 2.0, 296 * 4).round(9).reshape(296, 4) / 1000.0
    graph = networkx.Graph()
    ends = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    graph.add_weighted_edges_from((a, b, w) for (a, b), w in zip(ends, links, strict=True))
    for slot in range(296):
        single = graph.copy()  # no other seat can pass anything on
        single.add_weighted_edges_from((c, 4, down[slot, c]) for c in range(4))
        found = [networkx.dijkstra_path_length(single, c, 4) for c in range(4)]
        np.testing.assert_allclose(seconds[:, 4 + slot], found, rtol=1e-12)
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
    assert abs((law(MANY, np.random.default_rng(0)) < 80.0).mean() - 0.5) < 0.015


def test_uniform_latencies_fill_their_range():
    drawn = latencies.build(Part("uniform", {"low": 10.0, "high": 20.0}))(
        MANY, np.random.default_rng(0)
    )
    assert 10.0 <= drawn.min() < 10.1
    assert 19.9 < drawn.max() <= 20.0


def test_latencies_by_region_are_those_of_the_matrix_within_and_between():
    matrix = ((10.0, 90.0, 150.0), (90.0, 20.0, 60.0), (150.0, 60.0, 5.0))
    law = latencies.build(Part("regions", {"matrix": matrix}))
    links = np.array([(a, b) for a in range(6) for b in range(6)])
    drawn = law(links, np.random.default_rng(0))
    assert drawn.tolist() == [matrix[a % 3][b % 3] for a, b in links]
    spread = latencies.build(Part("regions", {"matrix": matrix, "sigma": 0.5}))
    assert abs((spread(MANY, np.random.default_rng(0)) < 10.0).mean() - 0.5) < 0.015


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (((1.0, 2.0),), r"row 0 has 2 entries; must have 1"),
        (((1.0, 2.0), (3.0, 1.0)), r"is 2\.0 from region 0 to 1 and 3\.0 back"),
    ],
)
def test_a_matrix_of_regions_that_is_not_square_or_not_symmetric_is_refused(matrix, words):
    with pytest.raises(ValueError, match=words):
        latencies.build(Part("regions", {"matrix": matrix}))


def test_a_list_of_links_gives_the_delays_of_its_graph(tmp_path):
    links = tmp_path / "links.txt"
    links.write_text("# a line of four\n0 1\n1 2\n2 3  # the last\n")
    seconds = delays({"kind": "file", "path": str(links)}, nodes=4, compute=2)
    np.testing.assert_allclose(seconds, [[0, 0.1, 0.2, 0.3], [0.1, 0, 0.1, 0.2]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 1\n1 2\n", "does not know node 3; must link nodes 0 to 3"),
        ("0 1\n1 2\n2 3\n3 4\n", "knows node 4"),
        ("0 1\n2 3\n", "is in several pieces"),
        ("a b\n", "cannot be read as a graph of numbered nodes"),
        (None, "No such file"),
    ],
)
def test_a_file_that_does_not_link_all_nodes_is_refused(tmp_path, text, words):
    path = tmp_path / "links.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=words):
        delays({"kind": "file", "path": str(path)}, nodes=4, compute=2)


def test_graphml_that_is_no_graphml_is_refused(tmp_path):
    path = tmp_path / "links.graphml"
    path.write_text("<nothing")
    with pytest.raises(ValueError, match="cannot be read as a graph"):
        delays({"kind": "file", "path": str(path)}, nodes=4, compute=2)


def test_hubs_appear_where_nodes_link_to_those_that_have_links():
    hop = {"kind": "constant", "value": 1000.0}
    ring = delays({"kind": "ring", "latency_ms": hop}, nodes=200, compute=1)
    setup = delays(
        {"kind": "watts_strogatz", "degree": 4, "rewired": 0.3, "latency_ms": hop}, 200, compute=1
    )
    hubs = delays({"kind": "barabasi_albert", "attached": 2, "latency_ms": hop}, 200, compute=1)
    assert ring.mean() > 3 * setup.mean() > 3.5 * hubs.mean()

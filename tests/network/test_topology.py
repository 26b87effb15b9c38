from __future__ import annotations

import networkx
import numpy as np
import pytest

from fedchain.network.topology import latencies, topologies
from fedchain.registry import Part


def delays(block: dict, nodes: int = 10, seed: int = 0):
    part = topologies.check(block)
    return topologies.build(part, nodes, np.random.default_rng(seed))


BLOCKS = {
    "complete": {"kind": "complete"},
    "ring": {"kind": "ring"},
    "random_regular": {"kind": "random_regular", "degree": 4},
}
LOGNORMAL = {"kind": "lognormal", "median": 80.0, "sigma": 0.5}


@pytest.mark.parametrize("kind", topologies.names())
def test_every_topology_gives_finite_symmetric_delays_that_obey_the_triangle(kind):
    seconds = delays({**BLOCKS[kind], "latency_ms": LOGNORMAL})
    assert np.isfinite(seconds).all()
    np.testing.assert_allclose(seconds, seconds.T, rtol=1e-12)  # the same path, added backwards
    assert not seconds.diagonal().any()
    through = (seconds[:, :, None] + seconds[None, :, :]).min(axis=1)
    assert (seconds <= through + 1e-12).all()


@pytest.mark.parametrize("kind", topologies.names())
def test_the_same_seed_gives_the_same_delays_and_another_seed_others(kind):
    block = {**BLOCKS[kind], "latency_ms": LOGNORMAL}
    assert np.array_equal(delays(block), delays(block))
    assert not np.array_equal(delays(block), delays(block, seed=1))


def test_delays_on_a_ring_are_those_of_the_shortest_way_round():
    seconds = delays({"kind": "ring", "latency_ms": {"kind": "constant", "value": 50.0}}, 7)
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

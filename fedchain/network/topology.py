"""Topologies and latencies: how long a message takes from one node to another.

Nodes pass on what they hear, so a message takes the quickest path. Each link draws its latency
once, from a named stream, and keeps it. A delay is the same both ways, and every send goes from
or to a compute node: its row is all that is ever asked for, so that nothing grows with the
square of the seats.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Matrix, Vector
from fedchain.network.latencies import HUNDRED_MS, Links, latencies
from fedchain.registry import AtMost, Family, Part

if TYPE_CHECKING:
    import networkx

topologies: Family[Matrix] = Family("network", ("fedchain.network.topology",))
"""Part: ``(compute, nodes, generator, *, ...) -> delays in seconds, shape (compute, nodes)``, of
each compute node from and to every node; compute nodes first, then the seats of data holders."""
MOST_DRAWS = 100
"""Random graphs that may be in several pieces before the parameters are to blame."""


@topologies
def complete(
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Matrix:
    """Link every compute node with every other node; data holders pass nothing on.

    Args:
        compute: number of compute nodes.
        nodes: number of all nodes.
        generator: where the latencies come from.
        latency_ms: the law of a link's latency.

    Returns:
        Delays in seconds, zero from a node to itself, shape (compute, nodes).

    >>> complete(2, 3, np.random.default_rng(0), latency_ms=HUNDRED_MS).tolist()
    [[0.0, 0.1, 0.1], [0.1, 0.0, 0.1]]
    """
    law, seats = latencies.build(latency_ms), nodes - compute
    delays, upper = np.zeros((compute, nodes)), np.triu_indices(compute, 1)
    delays[upper] = law(np.column_stack(upper), generator) / 1000.0
    delays[:, :compute] += delays[:, :compute].T
    # Seat by seat: one more draws after the others, and leaves their latencies alone.
    down = np.indices((seats, compute)).reshape(2, -1).T + np.array([compute, 0])
    delays[:, compute:] = law(down, generator).reshape(seats, compute).T / 1000.0
    for relay in range(compute):  # Floyd and Warshall; no seat passes anything on
        np.minimum(delays, delays[:, relay, None] + delays[relay], out=delays)
    return delays


@topologies
def ring(
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Matrix:
    """Link every node with two neighbours, in a ring.

    Args:
        compute: number of compute nodes, which come first.
        nodes: number of all nodes, at least 3.
        generator: where the latencies come from.
        latency_ms: the law of a link's latency.

    Returns:
        Delays in seconds along the quickest path, shape (compute, nodes).

    >>> ring(1, 4, np.random.default_rng(0), latency_ms=HUNDRED_MS)[0].round(3).tolist()
    [0.0, 0.1, 0.2, 0.1]
    """
    around = np.arange(nodes)
    links = np.column_stack((around, (around + 1) % nodes))
    return _delays(compute, nodes, links, latency_ms, generator)


@topologies
def random_regular(
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    degree: Annotated[int, Field(ge=2), AtMost("nodes.others", "the number of other nodes")],
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Matrix:
    """Link every node with the same number of neighbours, chosen at random.

    Args:
        compute: number of compute nodes.
        nodes: number of all nodes.
        generator: where the links and latencies come from.
        degree: neighbours of each node, at least 2; nodes times degree must be even.
        latency_ms: the law of a link's latency.

    Returns:
        Delays in seconds along the quickest path, shape (compute, nodes).

    Raises:
        ValueError: no such graph exists.

    >>> random_regular(2, 6, np.random.default_rng(0), degree=2).shape
    (2, 6)
    """
    import networkx

    if nodes * degree % 2:
        raise ValueError(
            f"network.degree: {nodes} nodes cannot have {degree} neighbours each; "
            "nodes times degree must be even"
        )
    graph = _connected(lambda seed: networkx.random_regular_graph(degree, nodes, seed), generator)
    return _delays(compute, nodes, graph, latency_ms, generator)


@topologies
def watts_strogatz(
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    degree: Annotated[int, Field(ge=2), AtMost("nodes.others", "the number of other nodes")],
    rewired: Annotated[float, Field(ge=0, le=1)] = 0.1,
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Matrix:
    """Link nodes to near neighbours in a ring, and some of these links across it: a small world.

    Args:
        compute: number of compute nodes.
        nodes: number of all nodes.
        generator: where the links and latencies come from.
        degree: neighbours of each node in the ring, at least 2; an odd one counts as one less.
        rewired: share of the links that lead to a node chosen at random instead, 0 to 1.
        latency_ms: the law of a link's latency.

    Returns:
        Delays in seconds along the quickest path, shape (compute, nodes).

    Reference:
        Watts and Strogatz, Collective dynamics of small-world networks, Nature 1998.

    >>> watts_strogatz(2, 8, np.random.default_rng(0), degree=4).shape
    (2, 8)
    """
    import networkx

    graph = _connected(
        lambda seed: networkx.watts_strogatz_graph(nodes, degree, rewired, seed), generator
    )
    return _delays(compute, nodes, graph, latency_ms, generator)


@topologies
def barabasi_albert(
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    attached: Annotated[int, Field(ge=1), AtMost("nodes.others", "the number of other nodes")],
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Matrix:
    """Let nodes join one by one and link to those that have many links: few hubs, many leaves.

    Args:
        compute: number of compute nodes, which come first and so are the likely hubs.
        nodes: number of all nodes.
        generator: where the links and latencies come from.
        attached: links that each new node makes, at least 1.
        latency_ms: the law of a link's latency.

    Returns:
        Delays in seconds along the quickest path, shape (compute, nodes).

    Reference:
        Barabasi and Albert, Emergence of scaling in random networks, Science 1999.

    >>> barabasi_albert(2, 8, np.random.default_rng(0), attached=2).shape
    (2, 8)
    """
    import networkx

    graph = _connected(
        lambda seed: networkx.barabasi_albert_graph(nodes, attached, seed), generator
    )
    return _delays(compute, nodes, graph, latency_ms, generator)


@topologies
def file(
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    path: str,
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Matrix:
    """Take the links from a file: GraphML (``.graphml``), or two nodes a line.

    Nodes are numbered from 0, compute nodes first, then the data holders; text after ``#`` is a
    comment.

    Args:
        compute: number of compute nodes.
        nodes: number of all nodes.
        generator: where the latencies come from.
        path: of the file, from the working folder.
        latency_ms: the law of a link's latency.

    Returns:
        Delays in seconds along the quickest path, shape (compute, nodes).

    Raises:
        ValueError: the file cannot be read, names other nodes, or leaves some without a way.
    """
    import networkx

    where, place = f"network.path: {path}", Path(path)
    try:
        read = networkx.read_graphml if place.suffix == ".graphml" else networkx.read_edgelist
        graph = networkx.relabel_nodes(networkx.Graph(read(place)), int)
    except (OSError, ValueError, TypeError, SyntaxError, networkx.NetworkXError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ValueError(
            f"{where}: cannot be read as a graph of numbered nodes: {reason}"
        ) from error
    strangers, missing = set(graph) - set(range(nodes)), set(range(nodes)) - set(graph)
    if strangers or missing:
        word, node = ("knows", min(strangers)) if strangers else ("does not know", min(missing))
        raise ValueError(
            f"{where}: {word} node {node}; must link nodes 0 to {nodes - 1} "
            f"({compute} compute nodes, then {nodes - compute} data holders)"
        )
    if not networkx.is_connected(graph):
        raise ValueError(f"{where}: is in several pieces; every node must have a way to all others")
    return _delays(compute, nodes, graph, latency_ms, generator)


def _connected(
    make: Callable[[int], networkx.Graph], generator: np.random.Generator
) -> networkx.Graph:
    """Draw graphs until all nodes of one have a way to each other.

    Raises:
        ValueError: a hundred of them had not.
    """
    import networkx

    for _ in range(MOST_DRAWS):
        graph = make(int(generator.integers(2**31)))
        if networkx.is_connected(graph):
            return graph
    raise ValueError(
        f"network: {MOST_DRAWS} such graphs in a row were in several pieces; ask for more links"
    )


def _delays(
    compute: int,
    nodes: int,
    graph: networkx.Graph | Links,
    latency_ms: Part,
    generator: np.random.Generator,
) -> Matrix:
    """Draw a latency for each link, and return the delays along the quickest paths."""
    links = _in_order(graph if isinstance(graph, np.ndarray) else np.array(graph.edges))
    seconds = latencies.build(latency_ms)(links, generator) / 1000.0
    return _quickest(compute, nodes, links, seconds)


def _in_order(links: Links) -> Links:
    """Sort links by their ends: which latency a link draws must not depend on a library's order."""
    ends = np.sort(links, axis=1)
    return ends[np.lexsort((ends[:, 1], ends[:, 0]))]


def _quickest(compute: int, nodes: int, links: Links, seconds: Vector) -> Matrix:
    """Return the delay of the quickest path from each compute node, shape (compute, nodes)."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    graph = csr_array((seconds, links.T), shape=(nodes, nodes))
    return np.asarray(dijkstra(graph, directed=False, indices=range(compute)))

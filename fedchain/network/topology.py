"""Topologies: the links between the nodes of a network, with a latency drawn for each link."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from fedchain.files import read_bytes
from fedchain.network.latencies import HUNDRED_MS, Links, latencies
from fedchain.network.spreading import Graph
from fedchain.registry import AtMost, Family, Part, cites

if TYPE_CHECKING:
    import networkx

topologies: Family[Graph] = Family("network", ("fedchain.network.topology",), Graph)
"""Topologies. Each part is a function ``(compute, nodes, generator, *, ...) -> Graph``."""
MOST_DRAWS = 100
"""Limit on the random graphs that are drawn until one is connected."""
MOST_BYTES = 2**22
"""Limit on the bytes of a file of links."""


@topologies
@cites()
def complete(
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Graph:
    """Link every compute node with every other node; data holders do not pass items on.

    Args:
        compute: number of compute nodes.
        nodes: number of all nodes.
        generator: random generator for the latencies.
        latency_ms: distribution of a link's latency, milliseconds.

    >>> complete(2, 3, np.random.default_rng(0), latency_ms=HUNDRED_MS).links.tolist()
    [[0, 1], [2, 0], [2, 1]]
    """
    law = latencies.build(latency_ms)
    among = np.column_stack(np.triu_indices(compute, 1))
    # The links go slot by slot, so an additional slot does not change the latencies of the others.
    down = np.indices((nodes - compute, compute)).reshape(2, -1).T + np.array([compute, 0])
    seconds = np.concatenate((law(among, generator), law(down, generator))) / 1000.0
    return Graph(
        compute=compute,
        nodes=nodes,
        links=np.concatenate((among, down)),
        seconds=seconds,
        holders_relay=False,
    )


@topologies
@cites()
def ring(
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Graph:
    """Link every node with two neighbours, in a ring.

    Args:
        compute: number of compute nodes.
        nodes: number of all nodes, at least 3.
        generator: random generator for the latencies.
        latency_ms: distribution of a link's latency, milliseconds.

    >>> ring(1, 4, np.random.default_rng(0), latency_ms=HUNDRED_MS).links.tolist()
    [[0, 1], [0, 3], [1, 2], [2, 3]]
    """
    around = np.arange(nodes)
    links = np.column_stack((around, (around + 1) % nodes))
    return _make_graph(compute, nodes, links, latency_ms, generator)


@topologies
@cites()
def random_regular(
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    degree: Annotated[int, Field(ge=2), AtMost("nodes.others", "the number of other nodes")],
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Graph:
    """Link every node with the same number of neighbours, chosen at random.

    Args:
        compute: number of compute nodes.
        nodes: number of all nodes.
        generator: random generator for the links and the latencies.
        degree: neighbours of each node, at least 2; nodes times degree must be even.
        latency_ms: distribution of a link's latency, milliseconds.

    Raises:
        ValueError: nodes times degree is odd, or no connected graph was found.

    >>> random_regular(2, 6, np.random.default_rng(0), degree=2).links.shape
    (6, 2)
    """
    import networkx

    if nodes * degree % 2:
        raise ValueError(
            f"network.degree: {nodes} nodes cannot have {degree} neighbours each; "
            "nodes times degree must be even"
        )
    graph = _draw_connected(
        lambda seed: networkx.random_regular_graph(degree, nodes, seed), generator
    )
    return _make_graph(compute, nodes, graph, latency_ms, generator)


@topologies
@cites("watts1998")
def watts_strogatz(
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    degree: Annotated[int, Field(ge=2), AtMost("nodes.others", "the number of other nodes")],
    rewired: Annotated[float, Field(ge=0, le=1)] = 0.1,
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Graph:
    """Link each node to near neighbours in a ring, and replace some links: a small world.

    Args:
        compute: number of compute nodes.
        nodes: number of all nodes.
        generator: random generator for the links and the latencies.
        degree: neighbours of each node in the ring, at least 2; an odd number counts as one less.
        rewired: share of the links that are replaced by links to a random node, 0 to 1.
        latency_ms: distribution of a link's latency, milliseconds.

    Reference:
        Watts and Strogatz, Collective dynamics of small-world networks, Nature 1998.

    >>> watts_strogatz(2, 8, np.random.default_rng(0), degree=4).links.shape
    (16, 2)
    """
    import networkx

    graph = _draw_connected(
        lambda seed: networkx.watts_strogatz_graph(nodes, degree, rewired, seed), generator
    )
    return _make_graph(compute, nodes, graph, latency_ms, generator)


@topologies
@cites("barabasi1999")
def barabasi_albert(
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    attached: Annotated[int, Field(ge=1), AtMost("nodes.others", "the number of other nodes")],
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Graph:
    """Add nodes one by one, and link each preferably to nodes with many links: a few become hubs.

    Args:
        compute: number of compute nodes. They join first, and are the likely hubs.
        nodes: number of all nodes.
        generator: random generator for the links and the latencies.
        attached: links that each new node makes, at least 1.
        latency_ms: distribution of a link's latency, milliseconds.

    Reference:
        Barabasi and Albert, Emergence of scaling in random networks, Science 1999.

    >>> barabasi_albert(2, 8, np.random.default_rng(0), attached=2).links.shape
    (12, 2)
    """
    import networkx

    graph = _draw_connected(
        lambda seed: networkx.barabasi_albert_graph(nodes, attached, seed), generator
    )
    return _make_graph(compute, nodes, graph, latency_ms, generator)


@topologies
@cites()
def file(
    compute: int,
    nodes: int,
    generator: np.random.Generator,
    *,
    path: str,
    latency_ms: Annotated[Part, latencies] = HUNDRED_MS,
) -> Graph:
    """Read the links from a file: GraphML (``.graphml``), or two nodes on each line.

    Nodes are numbered from 0, first the compute nodes, then the data holders. In a file with two
    nodes on each line, text after ``#`` is a comment. The file has at most 4 MiB.

    Args:
        compute: number of compute nodes.
        nodes: number of all nodes.
        generator: random generator for the latencies.
        path: path of the file, relative to the working folder.
        latency_ms: distribution of a link's latency, milliseconds.

    Raises:
        ValueError: the file cannot be read, has missing or unknown nodes, or is not connected.
    """
    import networkx

    where, place = f"network.path: {path}", Path(path)
    try:
        data = read_bytes(place.resolve(), MOST_BYTES)
        if place.suffix == ".graphml":
            read = networkx.read_graphml(io.BytesIO(data))
        else:
            read = networkx.parse_edgelist(data.decode().splitlines(), data=False)
        graph = networkx.relabel_nodes(networkx.Graph(read), int)
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
    return _make_graph(compute, nodes, graph, latency_ms, generator)


def _draw_connected(
    make: Callable[[int], networkx.Graph], generator: np.random.Generator
) -> networkx.Graph:
    """Draw graphs until one is connected; raise ValueError after ``MOST_DRAWS`` graphs."""
    import networkx

    for _ in range(MOST_DRAWS):
        graph = make(int(generator.integers(2**31)))
        if networkx.is_connected(graph):
            return graph
    raise ValueError(
        f"network: {MOST_DRAWS} such graphs in a row were in several pieces; ask for more links"
    )


def _make_graph(
    compute: int,
    nodes: int,
    graph: networkx.Graph | Links,
    latency_ms: Part,
    generator: np.random.Generator,
) -> Graph:
    """Return a graph in which all nodes pass items on."""
    links = _sort_links(graph if isinstance(graph, np.ndarray) else np.array(graph.edges))
    seconds = latencies.build(latency_ms)(links, generator) / 1000.0
    return Graph(compute=compute, nodes=nodes, links=links, seconds=seconds, holders_relay=True)


def _sort_links(links: Links) -> Links:
    # The latency of a link must not depend on a library's order of links.
    ends = np.sort(links, axis=1)
    return ends[np.lexsort((ends[:, 1], ends[:, 0]))]

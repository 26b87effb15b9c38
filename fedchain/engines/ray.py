"""Engine ``ray``: it computes in Ray actors on the machines of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from fedchain.arrays import Vector
from fedchain.engines.engine import Device, Engine, Exact, Source, Workers, engines
from fedchain.errors import MissingExtra
from fedchain.machine import compute_exactly, keep_freed_memory, one_thread, prepare
from fedchain.nodes.holders.holder_pool import ReleaseBatch
from fedchain.nodes.holders.release import ReleaseRequest


@engines
def ray(
    source: Source,
    *,
    workers: Workers = None,
    device: Device = "auto",
    exact: Exact = False,  # noqa: ARG001 - the source has it
    address: str | None = None,
) -> Engine:
    """Compute on a Ray cluster; every machine needs fedchain and the task's data.

    Args:
        source: the parts from which a worker is built.
        workers: number of Ray actors; null: one for each CPU of the cluster.
        device: device for the gradients: auto (a GPU if there is one), cpu, cuda.
        exact: compute gradients with the same bits on every processor; only dense models allow it.
        address: address of a running cluster, or auto; null: start a cluster on this machine alone.
    """
    return Ray(
        cluster=ray_package(),
        source=replace(source, task=None),
        workers=workers,
        device=device,
        address=address,
    )


def ray_package() -> Any:
    """Import the package ray; raise MissingExtra if it is not installed."""
    try:
        import ray as package
    except ImportError as error:
        text = "engine: ray is not installed; install it with: pip install 'fedchain[ray]'"
        raise MissingExtra(text) from error
    return package


class _Worker:
    """A Ray actor that builds its model and data once."""

    def __init__(self, source: Source, device: str) -> None:
        prepare()
        keep_freed_memory()
        one_thread()
        compute_exactly()
        self._backend = source.backend(device)

    def release(self, weights: Vector, chunk: Sequence[ReleaseRequest]) -> ReleaseBatch:
        return self._backend(weights, chunk)


class Ray:
    """A pool of Ray actors."""

    def __init__(
        self, *, cluster: Any, source: Source, workers: int | None, device: str, address: str | None
    ) -> None:
        self._cluster = cluster
        self._started = not cluster.is_initialized()
        if self._started:
            cluster.init(
                address=address,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
            )
        count = workers or int(cluster.cluster_resources().get("CPU", 1))
        actor = cluster.remote(num_cpus=1)(_Worker)
        made = cluster.put(source)
        self._actors = [actor.remote(made, device) for _ in range(count)]

    def map(
        self, weights: Vector, chunks: Sequence[Sequence[ReleaseRequest]]
    ) -> Iterator[ReleaseBatch]:
        """Yield the releases of each chunk, in the order of the chunks."""
        shared = self._cluster.put(weights)
        count = len(self._actors)
        asked = [self._actors[i % count].release.remote(shared, c) for i, c in enumerate(chunks)]
        yield from map(self._cluster.get, asked)

    def close(self) -> None:
        """Stop the actors, and also the cluster if this engine has started the cluster."""
        for actor in self._actors:
            self._cluster.kill(actor)
        if self._started:
            self._cluster.shutdown()

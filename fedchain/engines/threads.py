"""Engine ``threads``: it computes in threads of this process, each with its own model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue

from fedchain.arrays import Vector
from fedchain.engines.engine import Device, Engine, Exact, Source, Workers, cores, engines
from fedchain.machine import keep_freed_memory, one_thread
from fedchain.nodes.holders.holder_pool import ReleaseBackend, ReleaseBatch
from fedchain.nodes.holders.release import ReleaseRequest


@engines
def threads(
    source: Source,
    *,
    workers: Workers = None,
    device: Device = "auto",
    exact: Exact = False,  # noqa: ARG001 - the source has it
) -> Engine:
    """Compute in threads of this process, the default and usually fastest engine on one machine.

    Args:
        source: the parts from which a worker is built.
        workers: number of threads; null: one for each processor core.
        device: device for the gradients: auto (a GPU if there is one), cpu, cuda.
        exact: compute gradients with the same bits on every processor; only dense models allow it.
    """
    keep_freed_memory()
    return Threads(source.backend(device), cores(workers))


class Threads:
    """A pool of threads. For each chunk, a thread takes a backend that no other thread is using."""

    def __init__(self, backend: ReleaseBackend, workers: int) -> None:
        self._free: SimpleQueue[ReleaseBackend] = SimpleQueue()
        for each in (backend, *(backend.twin() for _ in range(workers - 1))):
            self._free.put(each)
        self._pool = ThreadPoolExecutor(workers, "releases", initializer=one_thread)

    def map(
        self, weights: Vector, chunks: Sequence[Sequence[ReleaseRequest]]
    ) -> Iterator[ReleaseBatch]:
        """Yield the releases of each chunk, in the order of the chunks."""
        return self._pool.map(partial(self._release, weights), chunks)

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown()

    def _release(self, weights: Vector, chunk: Sequence[ReleaseRequest]) -> ReleaseBatch:
        backend = self._free.get()
        try:
            return backend(weights, chunk)
        finally:
            self._free.put(backend)

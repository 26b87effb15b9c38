"""The engine of one machine: Python threads, each with one torch thread and a model of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue

from fedchain.arrays import Vector
from fedchain.engines.engine import Device, Engine, Source, Workers, cores, engines
from fedchain.machine import keep_freed_memory, one_thread
from fedchain.nodes.holders.holder_pool import ReleaseBackend, ReleaseBatch, ReleaseRequest


@engines
def threads(source: Source, *, workers: Workers = None, device: Device = "auto") -> Engine:
    """Compute in threads of this process: the quickest on one machine, and the default.

    Args:
        source: what a worker is made of.
        workers: threads; null: one a core.
        device: where the gradients are computed: auto (a GPU where there is one), cpu, cuda.
    """
    keep_freed_memory()
    return Threads(source.speakers(device), cores(workers))


class Threads:
    """A pool of threads."""

    def __init__(self, speakers: ReleaseBackend, workers: int) -> None:
        self._free: SimpleQueue[ReleaseBackend] = SimpleQueue()
        for each in (speakers, *(speakers.twin() for _ in range(workers - 1))):
            self._free.put(each)
        self._pool = ThreadPoolExecutor(workers, "speakers", initializer=one_thread)

    def map(
        self, weights: Vector, chunks: Sequence[Sequence[ReleaseRequest]]
    ) -> Iterator[ReleaseBatch]:
        """Yield what each chunk has to say, in the order of the chunks."""
        return self._pool.map(partial(self._speak, weights), chunks)

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown()

    def _speak(self, weights: Vector, chunk: Sequence[ReleaseRequest]) -> ReleaseBatch:
        speakers = self._free.get()
        try:
            return speakers(weights, chunk)
        finally:
            self._free.put(speakers)

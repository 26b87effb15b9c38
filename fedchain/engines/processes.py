"""The engine of many cores: processes, for models whose Python costs more than their arithmetic."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import repeat

from fedchain.arrays import Vector
from fedchain.engines.engine import Device, Engine, Source, Workers, cores, engines
from fedchain.machine import keep_freed_memory, one_thread, prepare
from fedchain.nodes.speakers import Asked, Spoken, Voices
from fedchain.system import at_most_processes

_speakers: list[Voices] = []
"""In a worker: what it was made of. A pool has no other place for it."""


@engines
def processes(source: Source, *, workers: Workers = None, device: Device = "auto") -> Engine:
    """Compute in processes of this machine, each with its own copy of the data.

    Args:
        source: what a worker is made of.
        workers: processes; null: one a core.
        device: where the gradients are computed: auto (a GPU where there is one), cpu, cuda.
    """
    return Processes(source, cores(workers), device)


class Processes:
    """A pool of processes; weights go in and messages come out."""

    def __init__(self, source: Source, workers: int, device: str) -> None:
        self._pool = ProcessPoolExecutor(
            at_most_processes(workers),
            multiprocessing.get_context("spawn"),  # a fork would share locks of torch's threads
            initializer=_begin,
            initargs=(replace(source, task=None), device),
        )

    def map(self, weights: Vector, chunks: Sequence[Sequence[Asked]]) -> Iterator[Spoken]:
        """Yield what each chunk has to say, in the order of the chunks."""
        return self._pool.map(_speak, repeat(weights), chunks)

    def close(self) -> None:
        """Let the processes end."""
        self._pool.shutdown()


def _begin(source: Source, device: str) -> None:
    prepare()
    keep_freed_memory()
    one_thread()
    _speakers.append(source.speakers(device))


def _speak(weights: Vector, chunk: Sequence[Asked]) -> Spoken:
    return _speakers[0](weights, chunk)

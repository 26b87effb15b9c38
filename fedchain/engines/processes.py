"""The engine of many cores: processes, for models whose Python costs more than their arithmetic."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import replace
from itertools import repeat
from multiprocessing.process import BaseProcess

from fedchain.arrays import Vector
from fedchain.engines.engine import Device, Engine, Source, Workers, cores, engines
from fedchain.errors import RunError
from fedchain.interruption import ENDING, deaf_children, end_with_parent
from fedchain.machine import keep_freed_memory, one_thread, prepare
from fedchain.nodes.holders.holder_pool import ReleaseBackend, ReleaseBatch, ReleaseRequest
from fedchain.system import at_most_processes

_speakers: list[ReleaseBackend] = []
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
        self._begun: set[BaseProcess] = set()

    def map(
        self, weights: Vector, chunks: Sequence[Sequence[ReleaseRequest]]
    ) -> Iterator[ReleaseBatch]:
        """Yield what each chunk has to say, in the order of the chunks."""
        before = set(multiprocessing.active_children())
        try:
            with deaf_children(*ENDING):  # the pool begins its processes at the first calls
                said = self._pool.map(_speak, repeat(weights), chunks)
        finally:
            self._begun |= set(multiprocessing.active_children()) - before
        return _or_say_why(said)

    def close(self) -> None:
        """End the processes, whatever they are at: they hold nothing that is not made again."""
        for process in self._begun:
            process.kill()
        self._pool.shutdown(cancel_futures=True)


def _or_say_why(said: Iterator[ReleaseBatch]) -> Iterator[ReleaseBatch]:
    try:
        yield from said
    except BrokenExecutor as error:
        words = "a process that computes gradients has ended; perhaps memory ran out"
        raise RunError(f"engine: {words}: fewer --workers need less") from error


def _begin(source: Source, device: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where signals cannot be blocked
    end_with_parent()
    prepare()
    keep_freed_memory()
    one_thread()
    _speakers.append(source.speakers(device))


def _speak(weights: Vector, chunk: Sequence[ReleaseRequest]) -> ReleaseBatch:
    return _speakers[0](weights, chunk)

"""Engine ``processes``: it computes in worker processes of this machine.

Processes are faster than threads if the Python code of a model takes longer than its arithmetic.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import replace
from itertools import repeat
from multiprocessing.process import BaseProcess

from fedchain.arrays import Vector
from fedchain.engines.engine import Device, Engine, Exact, Source, Workers, cores, engines
from fedchain.errors import RunError
from fedchain.interruption import ENDING, GUARD, UNGUARDED, deaf_children, end_with_parent
from fedchain.machine import compute_exactly, keep_freed_memory, one_thread, prepare
from fedchain.nodes.holders.holder_pool import ReleaseBackend, ReleaseBatch
from fedchain.nodes.holders.release import ReleaseRequest
from fedchain.system import at_most_processes

_backends: list[ReleaseBackend] = []
"""The backend of this process, if the process is a worker."""


@engines
def processes(
    source: Source,
    *,
    workers: Workers = None,
    device: Device = "auto",
    exact: Exact = False,  # noqa: ARG001 - the source has it
) -> Engine:
    """Compute in processes of this machine, each with its own copy of the data.

    Args:
        source: the parts from which a worker is built.
        workers: number of processes; null: one for each processor core.
        device: device for the gradients: auto (a GPU if there is one), cpu, cuda.
        exact: compute gradients with the same bits on every processor; only dense models allow it.
    """
    return Processes(source, cores(workers), device)


class Processes:
    """A pool of processes that receive weights and requests, and return releases."""

    def __init__(self, source: Source, workers: int, device: str) -> None:
        self._pool = ProcessPoolExecutor(
            at_most_processes(workers),
            # A forked process would inherit the locks of torch's threads.
            multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(replace(source, task=None), device),
        )
        self._processes: set[BaseProcess] = set()

    def map(
        self, weights: Vector, chunks: Sequence[Sequence[ReleaseRequest]]
    ) -> Iterator[ReleaseBatch]:
        """Yield the releases of each chunk, in the order of the chunks."""
        before = set(multiprocessing.active_children())
        try:
            with deaf_children(*ENDING):  # the pool starts its processes at the first calls
                said = self._pool.map(_release, repeat(weights), chunks)
        finally:
            self._processes |= set(multiprocessing.active_children()) - before
        return self._explain_failure(said)

    def _explain_failure(self, said: Iterator[ReleaseBatch]) -> Iterator[ReleaseBatch]:
        """Yield the releases; raise RunError with the likely cause if a process has died."""
        try:
            yield from said
        except BrokenExecutor as error:
            words = "a process that computes gradients has ended; perhaps memory ran out: "
            unguarded = any(process.exitcode == UNGUARDED for process in self._processes)
            words = GUARD if unguarded else f"{words}fewer --workers need less"
            raise RunError(f"engine: {words}") from error

    def close(self) -> None:
        """Kill the processes."""
        for process in self._processes:
            process.kill()
        self._pool.shutdown(cancel_futures=True)


def _start_worker(source: Source, device: str) -> None:
    """Prepare a worker process, and build the backend of this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for systems that cannot block signals
    end_with_parent()
    prepare()
    keep_freed_memory()
    one_thread()
    compute_exactly()
    _backends.append(source.backend(device))


def _release(weights: Vector, chunk: Sequence[ReleaseRequest]) -> ReleaseBatch:
    """Return the releases of a chunk, in a worker process."""
    return _backends[0](weights, chunk)

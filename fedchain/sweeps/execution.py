"""Execution: runs the points of a sweep, one after the other or in several processes."""

from __future__ import annotations

import contextlib
import gc
import json
import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue

from fedchain.errors import FedchainError, RunError
from fedchain.interruption import GUARD, UNGUARDED, deaf_children, stoppable
from fedchain.machine import start_up_passed_over
from fedchain.reuse import reusing
from fedchain.scenario import Scenario, from_mapping, plain_values
from fedchain.sweeps.points import Point
from fedchain.system import at_most_processes, stop

Execute = Callable[[Scenario, Path, int | None], object]
"""A function that runs or continues a scenario, given the scenario, the folder of all runs and the
number of threads (None: one per core)."""
Ended = Generator[tuple[Point, str], None, None]
"""Yields each point when it ends, with its error as text. The text is empty on success."""
FAILURES = (FedchainError, ValueError, ArithmeticError, RuntimeError, OSError, MemoryError)
"""Errors of one point after which the other points still run."""
LARGEST_SENT = 16 * 1024 * 1024
"""Limit on the bytes of a scenario or error text that one process sends to another."""
MOST_SAVING_S = 120.0
"""Seconds that an interrupted process has to save its run."""


@dataclass(frozen=True)
class Worker:
    """A process that runs points one after the other."""

    process: BaseProcess
    """The process."""
    pipe: Connection
    """Connection to the process: sends scenarios and receives the error of each point, as JSON."""


def in_turn(points: Sequence[Point], runs: Path, execute: Execute) -> Ended:
    """Run the points one after the other, and yield each when it ends.

    ``runs`` is the folder of all runs.
    """
    with reusing():
        for point in points:
            yield point, _attempt(execute, point.scenario, runs, None)


def in_processes(points: Sequence[Point], runs: Path, execute: Execute, workers: int) -> Ended:
    """Run the points in several processes, and yield each when it ends.

    If a process dies, only its point fails. ``runs`` is the folder of all runs, and ``workers`` the
    number of processes.

    Raises:
        RunError: the user's script begins the sweep again in every process.
        KeyboardInterrupt: Ctrl-C, after every process has saved its run.
    """
    waiting, workers = deque(points), at_most_processes(workers)
    busy: dict[Worker, Point] = {}
    idle: list[Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                worker = idle.pop() if idle else _start(runs, execute)
                busy[worker] = waiting.popleft()
                _tell(worker, busy[worker].scenario)
            heard = wait([worker.pipe for worker in busy])
            for worker in [w for w in busy if w.pipe in heard]:
                point, error = busy.pop(worker), _answer(worker)
                if worker.process.is_alive():
                    idle.append(worker)
                yield point, error
    finally:
        _stop([*busy, *idle])


def _attempt(execute: Execute, scenario: Scenario, runs: Path, threads: int | None) -> str:
    with start_up_passed_over():
        try:
            execute(scenario, runs, threads)
        except FAILURES as error:
            return f"{type(error).__name__}: {error}"
        finally:
            # A run's records are in reference cycles of a few objects, too few to start Python's
            # garbage collector.
            gc.collect()
    return ""


def _start(runs: Path, execute: Execute) -> Worker:
    # New interpreters, not forks: a fork would copy locks that torch's threads hold.
    context = multiprocessing.get_context("spawn")
    pipe, its_end = context.Pipe()
    # It is no daemon, since a run may start processes.
    process = context.Process(target=_serve, args=(its_end, str(runs), execute))
    with deaf_children(signal.SIGINT):
        process.start()
    its_end.close()
    return Worker(process, pipe)


def _serve(pipe: Connection, runs: str, execute: Execute) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the sweep gets Ctrl-C and stops this process
    import torch

    torch.set_num_threads(1)
    heard: SimpleQueue[bytes] = SimpleQueue()
    try:
        with stoppable(), reusing():
            threading.Thread(target=_listen, args=(pipe, heard), daemon=True).start()
            while text := heard.get():
                error = _attempt(execute, from_mapping(json.loads(text)), Path(runs), 1)
                pipe.send_bytes(json.dumps(error).encode())
    except (KeyboardInterrupt, OSError):  # the sweep has stopped or died
        return


def _listen(pipe: Connection, heard: SimpleQueue[bytes]) -> None:
    """Hand points to the main thread, and interrupt it when the sweep has ended or died."""
    # Windows has no signal that asks a process to stop, so a closed pipe does.
    try:
        while True:
            heard.put(pipe.recv_bytes(LARGEST_SENT))
    except (EOFError, OSError):
        stop()  # ends the point that the main thread runs, if any
        heard.put(b"")  # ends the main thread's wait for a point, if it waits


def _tell(worker: Worker, scenario: Scenario) -> None:
    # A process may have died while idle or at its start: reading its answer will fail and say so.
    with contextlib.suppress(OSError):
        worker.pipe.send_bytes(json.dumps(plain_values(scenario)).encode())


def _answer(worker: Worker) -> str:
    try:
        return str(json.loads(worker.pipe.recv_bytes(LARGEST_SENT)))
    except (EOFError, OSError):
        worker.pipe.close()
        worker.process.join()
        if worker.process.exitcode == UNGUARDED:
            raise RunError(f"workers: {GUARD}") from None
        return f"the worker process ended with exit code {worker.process.exitcode}"


def _stop(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.pipe.close()
    for worker in workers:
        worker.process.join(MOST_SAVING_S)
        if worker.process.is_alive():
            worker.process.kill()

"""Running the points of a sweep: in turn, or side by side as processes."""

from __future__ import annotations

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

from fedchain.errors import FedchainError
from fedchain.interruption import deaf_children, stoppable
from fedchain.machine import start_up_passed_over
from fedchain.scenario import Scenario, from_mapping, plain
from fedchain.sweeps.points import Point
from fedchain.system import at_most_processes, stop

Execute = Callable[[Scenario, Path, int | None], object]
"""(scenario, folder of runs, threads; None: one a core): run it there, go on with what was begun,
leave what is finished."""
Ended = Generator[tuple[Point, str], None, None]
"""Every point as it ends, with its error; empty if there is none."""
FAILURES = (FedchainError, ValueError, ArithmeticError, RuntimeError, OSError, MemoryError)
"""What may go wrong in one run without a mistake in the program: the others go on."""
LARGEST = 16 * 1024 * 1024
"""Most bytes of a scenario or an answer between processes."""
PATIENCE_S = 120.0
"""How long an interrupted worker may take to save its run, seconds."""


@dataclass(frozen=True)
class Worker:
    """A process that runs one point after the other."""

    process: BaseProcess
    """The process."""
    points: Connection
    """Where it hears of points, as JSON; closed, it says that the sweep has ended."""
    answers: Connection
    """Where it tells how they ended, as JSON."""


def in_turn(points: Sequence[Point], runs: Path, execute: Execute) -> Ended:
    """Run the points one after the other; yield each with its error, empty if there is none."""
    for point in points:
        yield point, _attempt(execute, point.scenario, runs, None)


def side_by_side(points: Sequence[Point], runs: Path, execute: Execute, workers: int) -> Ended:
    """Run the points on processes of their own; yield each, as it ends, with its error.

    A process that dies takes its point with it and no other: a fresh one goes on. On Ctrl-C every
    process saves its run before the interruption goes up; if the sweep is killed, too.
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
            heard = wait([worker.answers for worker in busy])
            for worker in [w for w in busy if w.answers in heard]:
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
            # A run's records hang in cycles of a few objects, for which Python would not look yet.
            gc.collect()
    return ""


def _start(runs: Path, execute: Execute) -> Worker:
    # Fresh interpreters, not forks: a fork would copy locks that torch's threads hold.
    context = multiprocessing.get_context("spawn")
    heard, points = context.Pipe(duplex=False)
    answers, told = context.Pipe(duplex=False)
    arguments = (heard, told, str(runs), execute)
    process = context.Process(target=_serve, args=arguments)  # no daemon: a run may begin processes
    with deaf_children(signal.SIGINT):
        process.start()
    heard.close()
    told.close()
    return Worker(process, points, answers)


def _serve(points: Connection, answers: Connection, runs: str, execute: Execute) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the sweep, which tells its workers
    import torch

    torch.set_num_threads(1)
    heard: SimpleQueue[bytes] = SimpleQueue()
    try:
        with stoppable():
            threading.Thread(target=_listen, args=(points, heard), daemon=True).start()
            while text := heard.get():
                error = _attempt(execute, from_mapping(json.loads(text)), Path(runs), 1)
                answers.send_bytes(json.dumps(error).encode())
    except (KeyboardInterrupt, OSError):  # told to stop, or nobody hears the answer any more
        return


def _listen(points: Connection, heard: SimpleQueue[bytes]) -> None:
    """Hand points to the main thread; interrupt it when the sweep has ended, however it did.

    No signal tells a process on Windows to stop, but the end of a pipe does on every system.
    """
    try:
        while True:
            heard.put(points.recv_bytes(LARGEST))
    except (EOFError, OSError):
        stop()  # what it is doing now
        heard.put(b"")  # or waiting for


def _tell(worker: Worker, scenario: Scenario) -> None:
    try:
        worker.points.send_bytes(json.dumps(plain(scenario)).encode())
    except OSError:
        # It died while idle or at its start; the answer, which will not come, says how.
        return


def _answer(worker: Worker) -> str:
    try:
        return str(json.loads(worker.answers.recv_bytes(LARGEST)))
    except (EOFError, OSError):
        _hang_up(worker)
        worker.process.join()
        return f"the worker process ended with exit code {worker.process.exitcode}"


def _stop(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.points.close()
    for worker in workers:
        worker.process.join(PATIENCE_S)
        if worker.process.is_alive():
            worker.process.kill()
        _hang_up(worker)


def _hang_up(worker: Worker) -> None:
    worker.points.close()
    worker.answers.close()

"""Streams: what a thread produces, as an asynchronous stream for one reader."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator

from fedchain.page.lines import line_of
from fedchain.page.records import Told

WAITING = 8
"""Largest number of parts that wait for the reader."""
PART_BYTES = 2**16
"""Number of characters from which on a part is handed over."""
LOOK_S = 0.5
"""Real seconds after which a thread that waits for the reader looks whether the reader has gone."""

Parts = Iterable[bytes]


def event_parts(told: Iterable[Told | None]) -> Iterator[bytes]:
    """Yield server-sent events, a record in each; the id is the second value of ``Told``.

    Where nothing is told, what has gathered is yielded, or a comment that keeps the stream open.
    """
    gathered: list[str] = []
    size = 0
    for each in told:
        if each is not None:
            record, place = each
            name = "" if place is None else f"id: {place}\n"
            gathered.append(f"{name}data: {line_of(record)}\n\n")
            size += len(gathered[-1])
        if each is None or size > PART_BYTES:
            yield ("".join(gathered) or ":\n\n").encode()
            gathered, size = [], 0
    yield "".join(gathered).encode()


async def in_thread(make: Callable[[], Parts]) -> AsyncGenerator[bytes, None]:
    """Yield the parts that a function makes in a thread of its own, which ends with the reader.

    A thread of its own is needed, since a connection to a database belongs to one thread.
    """
    loop, gone = asyncio.get_running_loop(), threading.Event()
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)

    def put(part: bytes | None) -> None:
        waiting = asyncio.run_coroutine_threadsafe(queue.put(part), loop)
        while not gone.is_set():
            with contextlib.suppress(TimeoutError):
                waiting.result(LOOK_S)
                return
        waiting.cancel()

    def work() -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed
            try:
                for part in make():
                    if gone.is_set():
                        return
                    put(part)
            finally:
                put(None)

    threading.Thread(target=work, name="page", daemon=True).start()
    try:
        while (part := await queue.get()) is not None:
            yield part
    finally:
        gone.set()

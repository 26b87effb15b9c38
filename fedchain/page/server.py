"""Server: shows runs to the browsers of this machine, and changes nothing.

It listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from functools import partial
from typing import Any
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from fedchain.errors import FedchainError, RunRefused
from fedchain.ledger.storage.store import Store
from fedchain.ledger.tools.chain_file import exported
from fedchain.page.frame import page_html, plain_html
from fedchain.page.guard import Guard
from fedchain.page.ledger import body_record
from fedchain.page.lines import line_of, page_record
from fedchain.page.plain import Plain, error_html, runs_html
from fedchain.page.records import Feed, Told
from fedchain.page.run_record import run_record
from fedchain.page.runs import MOST_RUNS, Runs
from fedchain.page.streams import Parts, event_parts, in_thread
from fedchain.results import EVENTS, LEDGER, Run
from fedchain.results.tables import main_rounds

LOOPBACK = "127.0.0.1"
"""The only address on which the server listens."""
MOST_STREAMS = 16
"""Largest number of streams at a time."""
MOST_REQUESTS = 64
"""Largest number of requests at a time."""
LONGEST_ID = 16
"""Largest number of digits of an event's id."""
WITHIN_S = 10.0
"""Real seconds within which the server must have started."""


class PageApp:
    """Answers the requests for the pages of runs."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._streams = threading.BoundedSemaphore(MOST_STREAMS)

    def guarded(self) -> Guard:
        """Return the web application."""
        run = "/run/{name}"
        routes = [
            Route("/", self.list_runs),
            Route(f"{run}/", self.show_run),
            Route(f"{run}/events", self.tell_events),
            Route(f"{run}/body/{{hash}}", self.give_body),
            Route(f"{run}/chain", self.give_chain),
        ]
        refused: dict[Any, Callable[..., Any]] = {KeyError: _missing, FedchainError: _refused}
        return Guard(Starlette(routes=routes, exception_handlers=refused))

    def list_runs(self, _: Request) -> Response:
        """Answer with the list of runs."""
        listed = [{**run, "href": run_path(run["name"])} for run in self._runs.described()]
        left_out = len(self._runs.names()) - MOST_RUNS
        inside = runs_html(self._runs.folder.name, listed, max(0, left_out))
        return HTMLResponse(plain_html("fedchain", inside))

    def show_run(self, request: Request) -> Response:
        """Answer with the page of a run, which asks for the events."""
        run, plain = self._run(request), Plain()
        with Store.open(run.folder / LEDGER, writable=False) as store:
            plain.take(run_record(run, store.rules))
        for row in main_rounds(run.folder / EVENTS):
            plain.take({**row, "is": "round"})
        others = [name for name in self._runs.names() if name != run.folder.name]
        metas = {"fedchain-source": "events", "fedchain-runs": json.dumps(others)}
        title = f"{run.manifest['name']} · fedchain"
        return HTMLResponse(
            page_html(title=title, inside=plain.html(), metas=metas, clouds=True, connect="'self'")
        )

    async def tell_events(self, request: Request) -> Response:
        """Answer with the records of a run as server-sent events."""
        run = await run_in_threadpool(self._run, request)
        given = request.headers.get("last-event-id", "")
        after = int(given) if given.isdecimal() and len(given) <= LONGEST_ID else 0
        return self._stream(partial(self._events, run, after), "text/event-stream")

    def give_body(self, request: Request) -> Response:
        """Answer with the record of a whole block."""
        run, name = self._run(request), request.path_params["hash"]
        with Store.open(run.folder / LEDGER, writable=False) as store:
            block = store.named(name) if len(name) == 64 else None
            if block is None:
                return PlainTextResponse("there is no such block", status_code=404)
            try:
                record = body_record(store, block)
            except KeyError as error:  # its directions were pruned
                return PlainTextResponse(str(error.args[0]), status_code=410)
        return Response(line_of(record), media_type="application/json")

    async def give_chain(self, request: Request) -> Response:
        """Answer with the bytes that ``fedchain export`` writes."""
        run = await run_in_threadpool(self._run, request)
        if below := await run_in_threadpool(_pruned_below, run):
            words = f"directions below height {below} were not kept, so nobody could check the file"
            return PlainTextResponse(words, status_code=410)
        return self._stream(partial(_chain_parts, run), "application/octet-stream")

    def _run(self, request: Request) -> Run:
        return self._runs.find(request.path_params["name"])

    def _events(self, run: Run, after: int) -> Iterator[bytes]:
        yield from event_parts(self._told(run, after))

    def _told(self, run: Run, after: int) -> Iterator[Told | None]:
        try:
            with closing(Feed(run, lambda: self._runs.pictures(run))) as feed:
                yield from feed.records(after, follow=True)
        except FedchainError as error:
            yield page_record("end", status=f"cannot be shown: {error}"), None

    def _stream(self, make: Callable[[], Parts], kind: str) -> Response:
        if not self._streams.acquire(blocking=False):
            words = f"{MOST_STREAMS} streams are open already; close a page"
            return PlainTextResponse(words, status_code=503, headers={"Retry-After": "5"})

        async def parts() -> AsyncIterator[bytes]:
            try:
                async with aclosing(in_thread(make)) as found:
                    async for part in found:
                        yield part
            finally:
                self._streams.release()

        return StreamingResponse(parts(), media_type=kind)


def run_path(name: str) -> str:
    """Return the path of a run's page.

    >>> run_path("a/b")
    '/run/a%2Fb/'
    """
    return f"/run/{quote(name, safe='')}/"


def listening(port: int) -> socket.socket:
    """Return a socket that listens on a port of this machine; 0 takes any free one.

    Raises:
        RunRefused: the port is taken, or may not be used.
    """
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise RunRefused(
            f"port {port}: cannot be used: {why}; --port takes another, and 0 any free one"
        ) from error


class PageServer:
    """Serves the pages of runs from a thread of this process."""

    def __init__(self, runs: Runs, port: int = 0) -> None:
        """Begin to serve.

        Args:
            runs: the runs.
            port: the port on which to listen; 0: any free one.

        Raises:
            RunRefused: the port is taken, or may not be used.
        """
        self._socket = listening(port)
        config = uvicorn.Config(
            PageApp(runs).guarded(),
            access_log=False,
            lifespan="off",
            limit_concurrency=MOST_REQUESTS,
            log_config=None,  # its own would close the handlers of this process, such as run.log's
            log_level="critical",
            server_header=False,
            timeout_graceful_shutdown=1,
            ws="none",
        )
        self._server = uvicorn.Server(config)
        sockets = {"sockets": [self._socket]}
        self._thread = threading.Thread(target=self._server.run, kwargs=sockets, daemon=True)
        self._thread.start()
        began = time.monotonic()
        while not self._server.started:
            if time.monotonic() - began > WITHIN_S or not self._thread.is_alive():
                self.close()
                words = f"the server did not start within {WITHIN_S:g} s; try again"
                raise RunRefused(f"port {port}: {words}")
            time.sleep(0.01)

    @property
    def address(self) -> str:
        """The address of the list of runs."""
        return f"http://{LOOPBACK}:{self._socket.getsockname()[1]}/"

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join(WITHIN_S)
        self._socket.close()


def _chain_parts(run: Run) -> Iterator[bytes]:
    with Store.open(run.folder / LEDGER, writable=False) as store:
        yield from exported(store)


def _pruned_below(run: Run) -> int:
    with Store.open(run.folder / LEDGER, writable=False) as store:
        return store.keeping.below


def _missing(_: Request, __: Exception) -> Response:
    inside = error_html("There is no such run here.")
    return HTMLResponse(plain_html("fedchain", inside), status_code=404)


def _refused(_: Request, error: Exception) -> Response:
    return HTMLResponse(plain_html("fedchain", error_html(str(error))), status_code=409)

"""Guard: lets only readers on this machine ask, and lets them only read."""

from __future__ import annotations

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""Names of this machine that a Host header may have, with or without a port."""
HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"frame-ancestors 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}
"""Headers of every answer."""


class Guard:
    """Passes on a request for this machine that only reads, and refuses every other.

    A site elsewhere can let its own name point to this machine. Its page could then read the
    answers, if the Host header were not compared.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, with ``HEADERS``."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS.items()]
            await send(message)

        await self._answer(scope)(scope, receive, guarded)

    def _answer(self, scope: Scope) -> ASGIApp:
        if scope["type"] != "http" or not is_of_this_machine(scope):
            words = "this page is for this machine alone: open the address that fedchain printed"
            return PlainTextResponse(words, status_code=403)
        if scope["method"] not in ("GET", "HEAD"):
            words = f"method {scope['method']}: not allowed; the page can be read by GET alone"
            return PlainTextResponse(words, status_code=405, headers={"Allow": "GET, HEAD"})
        return self._app


def is_of_this_machine(scope: Scope) -> bool:
    """Return whether a request has one Host header, with a name of this machine.

    >>> is_of_this_machine({"headers": [(b"host", b"127.0.0.1:8000")]})
    True
    >>> is_of_this_machine({"headers": [(b"host", b"127.0.0.1.example.org")]})
    False
    """
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1:
        return False
    name, _, port = hosts[0].rpartition(":")
    return hosts[0] in HOSTS or (name in HOSTS and port.isdecimal())

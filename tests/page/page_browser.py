"""A visit of Chromium to the page, which notes what the page must never do."""

from __future__ import annotations

import os
import shutil
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NODE = shutil.which("node")
WIDTHS = (1440, 1024, 390)
LOCAL = ("file:", "data:", "blob:", "about:", "http://127.0.0.1", "http://localhost")


class Visit:
    """One page of a browser, in a context of its own."""

    def __init__(self, browser: Any, width: int = 1440, scheme: str = "light", **more: Any) -> None:
        self.complaints: list[str] = []
        """Errors of the page and requests that left the machine."""
        size = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=size, color_scheme=scheme, **more)
        self.page = self.context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._request)

    def goto(self, address: str) -> Any:
        """Open an address, and return the page once it is drawn."""
        self.page.goto(address)
        self.page.wait_for_selector(".finding")
        return self.page

    def close(self) -> None:
        self.context.close()

    def _console(self, message: Any) -> None:
        # Headless Chromium says that reading pixels of WebGL is slow; that is no error of the page.
        if message.type in ("error", "warning") and "ReadPixels" not in message.text:
            self.complaints.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(LOCAL):
            self.complaints.append(f"asked for {request.url}")


def in_ci() -> bool:
    """Whether a continuous integration runs the tests, where nothing may be skipped for long."""
    return bool(os.environ.get("CI"))

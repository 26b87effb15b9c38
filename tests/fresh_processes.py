"""Processes for tests that kill them."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import BaseContext


def fresh_processes() -> BaseContext:
    """Return a context that starts processes from a server that has already loaded fedchain.

    Windows has no such server: each process there starts anew, which takes seconds.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["fedchain.runs.running", "fedchain.learning.tasks.classic"])
    return server

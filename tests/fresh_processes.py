"""Processes for tests that kill them."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import BaseContext


def fresh_processes() -> BaseContext:
    """Return how processes are begun: from one that has fedchain loaded, or each from nothing.

    Windows has no such server, and every process there takes seconds to begin.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["fedchain.runs.running", "fedchain.learning.tasks.classic"])
    return server

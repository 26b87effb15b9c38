"""fedchain serve, fedchain demo: show runs in a browser of this machine."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedchain.commands import options
from fedchain.commands.formats import INTERRUPTED, refuse
from fedchain.runs.callbacks import Callback

if TYPE_CHECKING:
    from fedchain.page.pictures import ScanPictures
    from fedchain.page.server import PageServer
    from fedchain.simulation.setup import RunSetup

app = typer.Typer()

Port = Annotated[
    int, typer.Option(min=0, max=65_535, help="Port of the page; 0 takes any free one.")
]
NoOpen = Annotated[bool, typer.Option("--no-open", help="Open no browser.")]


@app.command(epilog="Example: fedchain serve runs")
def serve(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="A run's folder, or a folder of runs.",
            callback=options.there("a run's folder, or a folder of runs"),
        ),
    ],
    port: Port = 0,
    no_open: NoOpen = False,
    trust_user_parts: Annotated[
        bool, options.trust("code of your own (module:function) that scenarios of runs name")
    ] = False,
) -> None:
    """Show runs in a browser of this machine, until Ctrl-C.

    Nothing but this machine can reach the page, and the page changes no run. A run that goes on is
    followed.
    """
    from fedchain.page.runs import Runs
    from fedchain.page.server import PageServer, run_path

    runs = Runs(folder, trust_user_parts)
    with contextlib.closing(PageServer(runs, port)) as server:
        path = run_path(runs.names()[0]) if runs.alone else "/"
        tell_address(server, path, not no_open)
        wait_for_end()


@app.command(epilog="Example: fedchain demo")
def demo(
    lesson: Annotated[
        str | None,
        typer.Argument(
            metavar="LESSON", help="Number or name of a lesson: its scenario is run instead."
        ),
    ] = None,
    port: Port = 0,
    no_open: NoOpen = False,
) -> None:
    """Run first_light, or the scenario of a lesson, and show it on a page until Ctrl-C."""
    from fedchain.commands.running import run

    scenario = "first_light" if lesson is None else str(lesson_file(lesson))
    run(scenario, page=True, port=port, no_open=no_open)


def lesson_file(lesson: str) -> Path:
    """Return the first scenario of a lesson: ``5``, ``05`` and ``poison`` mean the same."""
    from fedchain.page.lessons import LESSONS, lesson_named
    from fedchain.scenario.shipped import lesson_files

    try:
        found = lesson_named(lesson)
    except ValueError as error:
        refuse(str(error))
    if not found.scenarios:
        allowed = ", ".join(each.name for each in LESSONS if each.scenarios)
        refuse(f"lesson {lesson!r}: has no chain and no scenario to run; allowed: {allowed}")
    return lesson_files()[found.scenarios[0]]


def tell_address(server: PageServer, path: str, open_: bool) -> None:
    """Print the address of a page, and open it in a browser, if there is one and it is wanted."""
    address = server.address.removesuffix("/") + path
    opened = open_ and open_browser(address)
    words = "opened in a browser; " if opened else "open it in a browser; "
    typer.echo(f"page      {address} ({words}Ctrl-C ends)", err=True)


def open_browser(address: str) -> bool:
    """Open an address in a browser with windows; return whether there is one."""
    # Without a display, Python would start a browser of text in this terminal.
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, displays)):
        return False
    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError):
        return False


def wait_for_end() -> None:
    """Wait until Ctrl-C or SIGTERM."""
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


class LivePage(Callback):
    """Shows a run on a page while it goes on, and afterwards."""

    def __init__(self, port: int, open_: bool) -> None:
        self._port, self._open = port, open_
        self._server: PageServer | None = None

    def on_run_begin(self, folder: Path, setup: RunSetup) -> None:
        """Begin to serve the page of the run."""
        from fedchain.page.pictures import ScanPictures

        # Made here, on the thread of the run: a model draws its weights from torch's generator.
        self.show(folder, ScanPictures(setup.task, setup.scenario.evaluate.samples))

    def show(
        self, folder: Path, pictures: ScanPictures | None = None, *, again: bool = False
    ) -> None:
        """Serve the page of a run, unless it is served already.

        The address is told when the page begins; with ``again`` also if it was told before, since
        the lines of the rounds have moved it out of sight.
        """
        from fedchain.page.runs import Runs
        from fedchain.page.server import PageServer, run_path

        path = run_path(folder.absolute().name)
        if self._server is None:
            runs = Runs(folder.absolute().parent)
            if pictures is not None:
                runs.keep_pictures(folder, pictures)
            self._server = PageServer(runs, self._port)
            tell_address(self._server, path, self._open)
        elif again:
            tell_address(self._server, path, False)

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.close()


@contextlib.contextmanager
def live_page(wanted: bool, folder: Path, port: int, open_: bool) -> Iterator[LivePage | None]:
    """Within this context, a run is shown on a page; afterwards, wait for Ctrl-C.

    The exit code is that of the command in the context.

    Args:
        wanted: whether there is a page at all; if not, None is given.
        folder: the run folder.
        port: port of the page; 0: any free one.
        open_: whether to open a browser.
    """
    if not wanted:
        yield None
        return
    from fedchain.page.server import listening

    listening(port).close()  # a port that is taken is told before the folder of the run is made
    with contextlib.closing(LivePage(port, open_)) as page:
        code = 0
        try:
            yield page
        except typer.Exit as stop:
            code = stop.exit_code
        if code == INTERRUPTED:
            raise typer.Exit(code)
        page.show(folder, again=True)
        wait_for_end()
    if code:
        raise typer.Exit(code)

"""Command line: commands that call the Python API."""

from __future__ import annotations

import errno
import functools
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from fedchain.commands.formats import (
    INTERRUPTED,
    REFUSED_CHAIN,
    USAGE,
    asks_for_json,
    tell_error,
)
from fedchain.commands.printing import UNPRINTED, whole_output
from fedchain.errors import (
    DataError,
    FedchainError,
    LedgerError,
    MissingExtra,
    RunRefused,
    ScenarioError,
    cannot,
)
from fedchain.interruption import stoppable
from fedchain.machine import prepare
from fedchain.version import __version__

# Commands import heavy modules in their bodies, so that ``fedchain --help`` is quick.
GROUPS = (
    "running",
    "managing",
    "serving",
    "teaching",
    "studying",
    "budgeting",
    "auditing",
    "citing",
    "ledgers",
    "scenarios",
    "starting",
    "scans",
    "modelling",
    "doctor",
    "caching",
)
"""Modules with commands, in the order of the help; each has a variable ``app``."""
HELP_GROUPS = {
    "Run": ("run", "resume", "runs"),
    "Page": ("serve", "demo", "lessons"),
    "Study": ("sweep", "report", "cite"),
    "Privacy": ("epsilon", "audit"),
    "Model": ("export-model", "predict"),
    "Ledger": ("verify", "inspect", "tamper", "export", "import", "prove", "check-proof"),
    "Scans": ("scan",),
    "Scenarios": ("scenarios", "new", "validate", "explain", "list", "describe", "schema"),
    "Machine": ("doctor", "cache"),
}
"""Names of the commands by the heading under which the help shows them."""

WrongUsage: Any = typer.BadParameter.__base__
"""Error of an unknown or missing option or argument."""


class Commands(TyperGroup):
    """The group of all commands; it also handles Ctrl-C for commands that do not."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(told_interrupted()) from None


def told_interrupted() -> int:
    """Print that a command was interrupted, and return its exit code."""
    typer.echo("interrupted; nothing is half-written: the same command begins anew", err=True)
    return INTERRUPTED


@functools.cache
def assemble() -> Any:
    """Return the main command, which contains all others."""
    app = typer.Typer(
        name="fedchain",
        cls=Commands,
        help="Federated, blockchain-based, differentially private training, simulated.",
        epilog="Example: fedchain run first_light",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for group in GROUPS:
        app.add_typer(importlib.import_module(f"{__name__}.{group}").app)
    command: Any = get_command(app)
    panels = {name: panel for panel, names in HELP_GROUPS.items() for name in names}
    for name, inner in command.commands.items():
        inner.rich_help_panel = panels.get(name)
    _flow(command)
    return command


def _flow(command: Any) -> None:
    """Join the lines of each paragraph of the help texts, which the terminal breaks anew."""
    if command.help:
        command.help = "\n\n".join(" ".join(each.split()) for each in command.help.split("\n\n"))
    for inner in getattr(command, "commands", {}).values():
        _flow(inner)


def main() -> None:
    """Run the command line, and end this process with its exit code."""
    # Processes that this one starts do not look for modules in the current folder either.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    code = run_command_line()
    if code == INTERRUPTED:
        # Everything is saved and printed. The normal exit of Python waits for all threads. It would
        # wait for ever for a thread that was interrupted before its pool had listed it.
        os._exit(code)
    sys.exit(code)


def run_command_line() -> int:
    """Run the command line, print any expected error on stderr, and return the exit code."""
    prepare()
    with stoppable(), whole_output() as out:
        code = _code_of(assemble())
    return UNPRINTED if out.lost is not None and code == 0 else code


def _code_of(command: Callable[..., int | None]) -> int:
    """Run a command, print any expected error, and return the exit code."""
    try:
        return command(standalone_mode=not asks_for_json()) or 0
    except WrongUsage as error:
        return tell_error(error.format_message(), USAGE)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        return told_interrupted()
    except FedchainError as error:
        return tell_error(str(error), exit_code(error))
    except UnicodeEncodeError as error:  # a path has a letter that this system's encoding lacks
        words = f"no file can have this name under the encoding {error.encoding}"
        return tell_error(f"{error.object}: {words}; try LC_ALL=C.UTF-8 or PYTHONUTF8=1", USAGE)
    except OSError as error:
        if error.filename is None and error.errno == errno.ENOENT:  # of os.getcwd
            return tell_error("the current folder was deleted; go to another one: cd", USAGE)
        if error.filename is None:
            raise
        unusable = cannot(str(error.filename), "be used", error)
        return tell_error(str(unusable), exit_code(unusable))


def exit_code(error: FedchainError) -> int:
    """Return the exit code of an error: bad usage, a bad ledger, bad data, or any other failure.

    >>> exit_code(DataError("scan.cogs: truncated"))
    3
    """
    if isinstance(error, ScenarioError | RunRefused):
        return USAGE
    if isinstance(error, LedgerError):
        return REFUSED_CHAIN
    return 3 if isinstance(error, DataError | MissingExtra) else 1


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"fedchain {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False,
        "--version",
        callback=_print_version,
        is_eager=True,
        help="Print the version and stop.",
    ),
) -> None:
    """Accept the options that come before any command."""

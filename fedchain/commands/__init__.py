"""The command line: every command only calls the Python API.

Heavy imports stand in the bodies of the commands, so that ``fedchain --help`` is quick.
"""

from __future__ import annotations

import importlib
import os
import sys

import typer

from fedchain.commands.formats import INTERRUPTED
from fedchain.errors import DataError, FedchainError, MissingExtra, RunRefused, ScenarioError
from fedchain.machine import prepare
from fedchain.version import __version__

GROUPS = (
    "running",
    "studying",
    "auditing",
    "ledgers",
    "porting",
    "proving",
    "shipped",
    "scenarios",
    "doctor",
)
"""Modules of this folder, in the order of the help; each has an ``app``."""
EXIT_CODES: dict[type[FedchainError], int] = {
    ScenarioError: 2,
    RunRefused: 2,
    DataError: 3,
    MissingExtra: 3,
}
"""What a script may ask of ``$?``; any other error of fedchain is 1."""


def assemble() -> typer.Typer:
    """Return the whole command line."""
    app = typer.Typer(
        name="fedchain",
        help="Federated, blockchain-based, differentially private training, simulated.",
        epilog="Example: fedchain run first_light",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for group in GROUPS:
        app.add_typer(importlib.import_module(f"{__name__}.{group}").app)
    return app


def main() -> None:
    """Run the command line; what fedchain can explain is one text on stderr and an exit code."""
    prepare()
    # A user's own parts (kind: my_lab.rules:my_rule) stand where the user stands.
    sys.path.append(os.getcwd())  # noqa: PTH109 - sys.path holds text
    try:
        assemble()()
    except FedchainError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(exit_code(error))
    except BrokenPipeError:
        # The reader of a pipe has seen enough; Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except SystemExit as stop:
        interrupted = isinstance(stop.__context__, typer.Abort)
        sys.exit(INTERRUPTED if interrupted else stop.code)


def exit_code(error: FedchainError) -> int:
    """Return the exit code of an error.

    >>> exit_code(DataError("scan.cogs: truncated"))
    3
    """
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1)


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
    """Take the options that stand before any command."""

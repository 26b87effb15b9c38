"""Options and arguments that several commands share, as typer reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from fedchain.commands import completing
from fedchain.commands.formats import Format, refuse

Given = TypeVar("Given", str, list[str])
Paths = TypeVar("Paths", Path, list[Path])


def announce(given: Given) -> Given:
    """Print a note if a user's file or folder hides the shipped scenario of the same name."""
    from fedchain.scenario import hidden_by

    for scenario in [given] if isinstance(given, str) else given:
        if (found := hidden_by(scenario)) is not None:
            taken = f"{scenario}: taking the {'folder' if found.is_dir() else 'file'} {found}"
            other = "not the scenario of that name that comes with fedchain"
            typer.echo(f"{taken} of this folder, {other}", err=True)
    return given


def there(what: str) -> Callable[[Paths], Paths]:
    """Return a function that ends the command with an error if a path is missing.

    ``what`` is the part of the error text that names what the user must give instead.
    """

    def check(given: Paths) -> Paths:
        kind = "file" if what.startswith("a file") else "folder"
        for path in [given] if isinstance(given, Path) else given:
            if not path.exists():
                refuse(f"{path}: no such {kind}; give {what}")
        return given

    return check


def tell_owner(run: Path) -> Path:
    """End the command if a run's folder is missing; print a note if another user owns it."""
    from fedchain.system import foreign_owner

    if (owner := foreign_owner(there("a run's folder")(run))) is not None:
        typer.echo(f"{run}: belongs to {owner}, who may change it at any moment", err=True)
    return run


def trust(what: str) -> Any:
    """Return the option that allows importing user-defined code."""
    return typer.Option("--trust-user-parts", help=f"Import {what}.")


def out(what: str) -> Any:
    """Return the option that names what a command writes."""
    return typer.Option("--out", "-o", help=what)


ScenarioName = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO",
        help="A YAML file, or a name of fedchain scenarios.",
        callback=announce,
        autocompletion=completing.scenario_names,
    ),
]
OwnRunPath = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="A run's folder.", callback=there("a run's folder")),
]
RunPath = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's folder.", callback=tell_owner)
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        autocompletion=completing.scenario_paths,
        help="Override a value of the scenario: privacy.epsilon=2, attacks[0].holders=[1,2].",
    ),
]
SeedNumber = Annotated[int | None, typer.Option(min=0, help="Seed instead of the scenario's.")]
WorkerCount = Annotated[
    int | None, typer.Option(min=1, help="Workers of the engine; default: one a core.")
]
SecretFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="File of your own with 256 bits from which noise and keys come; made if missing.",
    ),
]
Form = Annotated[
    Format, typer.Option("--format", help="How results are shown: rich, plain or json.")
]

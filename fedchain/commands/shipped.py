"""fedchain scenarios: list the scenarios that come with fedchain, and copy one to change it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from fedchain.commands.formats import Format, FormatOption, print_result, refuse, table

app = typer.Typer(name="scenarios")

ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="A YAML file, or a name of fedchain scenarios.")
]


def announce(scenario: str) -> None:
    """Print a note if a file or folder of the user hides a shipped scenario of this name."""
    from fedchain.scenario import hidden_by

    if (found := hidden_by(scenario)) is not None:
        kind = "folder" if found.is_dir() else "file"
        text = (
            f"{scenario}: taking the {kind} {found} of this folder, not the scenario of that name"
        )
        typer.echo(f"{text} that comes with fedchain", err=True)


@app.callback(invoke_without_command=True, epilog="Example: fedchain scenarios")
def scenarios(context: typer.Context, form: FormatOption = Format.rich) -> None:
    """List the scenarios that come with fedchain; `fedchain run NAME` runs one from anywhere."""
    if context.invoked_subcommand is not None:
        return
    from fedchain.scenario import description_of, first_sentence, shipped_files

    descriptions = {name: description_of(path) for name, path in shipped_files().items()}
    entries = [
        {"name": name, "description": description, "file": str(shipped_files()[name])}
        for name, description in descriptions.items()
    ]
    rows = table(form, "scenario", "what it is about")
    for name, description in descriptions.items():
        rows.add_row(name, first_sentence(description))
    print_result(form, {"scenarios": entries}, [rows])


@app.command(epilog="Example: fedchain scenarios copy first_light -o mine.yaml")
def copy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As fedchain scenarios lists it.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The new file; default: NAME.yaml, here.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the file if it exists.")
    ] = False,
    form: FormatOption = Format.rich,
) -> None:
    """Copy a scenario that comes with fedchain, and the files that it extends, to change them."""
    from fedchain.registry import suggest
    from fedchain.results import write_whole
    from fedchain.scenario import files_of, shipped_files

    scenario = name.removesuffix(".yaml")
    if scenario not in shipped_files():
        refuse(f"no scenario called {name!r} comes with fedchain; {suggest(name, shipped_files())}")
    source, *extended = files_of(shipped_files()[scenario])
    target = out or Path(source.name)
    copies = {target: source.read_bytes()}
    for file in extended:
        beside = target.with_name(file.name)
        if beside in copies:
            refuse(f"{target}: is the name of a file that {scenario} extends; give another one")
        copies[beside] = file.read_bytes()
    for path, content in copies.items():
        if path.is_dir():
            refuse(f"{path}: is a folder; give a new file with --out")
        if path.exists() and path.read_bytes() != content and not force:
            refuse(f"{path}: is there already; give another file with --out, or --force")
    for path, content in copies.items():
        write_whole(path, content)
    files = [str(path) for path in copies]
    quoted = shlex.quote(str(target))
    following = f"next      fedchain explain {quoted}   ·   fedchain run {quoted}"
    print_result(form, {"files": files}, [*files, following])

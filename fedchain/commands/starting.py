"""Command new: begins a task, a rule, an attack or a scenario of one's own."""

from __future__ import annotations

import keyword
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fedchain.commands import options
from fedchain.commands.formats import Format, print_result, refuse
from fedchain.names import command

app = typer.Typer()


class What(StrEnum):
    """What is begun."""

    task = "task"
    rule = "rule"
    attack = "attack"
    scenario = "scenario"


@app.command(epilog="Example: fedchain new rule halfway")
def new(
    what: Annotated[What, typer.Argument(metavar="WHAT", help="task, rule, attack or scenario.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name: letters, digits, _.")],
    package: Annotated[
        str, typer.Option(help="Python package in this folder that gets the part.")
    ] = "my_lab",
    form: options.Form = Format.rich,
) -> None:
    """Write a skeleton that works, and its test, into this folder; nothing is overwritten."""
    from fedchain.commands.skeletons import files_of_part, files_of_scenario
    from fedchain.files import write_output

    for text in (name, package):
        if not (text.isidentifier() and text.isascii()) or keyword.iskeyword(text):
            refuse(f"{text!r}: is no name; write letters, digits and _, as in halfway")
    is_scenario = what is What.scenario
    files = files_of_scenario(name) if is_scenario else files_of_part(what, name, package)
    there = [path for path, text in files.items() if text and Path(path).exists()]
    if there:
        refuse(f"{there[0]}: is there already; give another name")
    made = {Path(path): text for path, text in files.items() if not Path(path).exists()}
    for path, text in made.items():
        path.parent.mkdir(exist_ok=True)
        write_output(path, text)
    if is_scenario:
        next_ = f"{command('validate', *made)}   ·   {command('sweep', *made)}"
    else:
        kind = f"{package}.{name}:{name}"
        test = f"python -m pytest {package}/test_{name}.py"
        next_ = f'kind: "{kind}" in a scenario   ·   fedchain describe {kind}   ·   {test}'
    print_result(
        form, {"files": [str(path) for path in made]}, [*map(str, made), f"next      {next_}"]
    )

"""Commands about scenarios: validate, explain, list, describe, schema, scenarios."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedchain.commands import completing, options
from fedchain.commands.formats import USAGE, Format, print_json, print_result, refuse, table
from fedchain.names import command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedchain.commands.parts import Described
    from fedchain.forecasts.forecast import Forecast
    from fedchain.scenario import Scenario

app = typer.Typer()
shipped = typer.Typer()
app.add_typer(shipped, name="scenarios", invoke_without_command=True)


@app.command(epilog="Example: fedchain validate first_light breast_cancer --set privacy.epsilon=2")
def validate(
    scenarios: Annotated[
        list[str],
        typer.Argument(
            metavar="SCENARIO..",
            help="YAML files, or names of fedchain scenarios.",
            callback=options.announce,
            autocompletion=completing.scenario_names,
        ),
    ],
    set_: options.Set = None,
    form: options.Form = Format.rich,
) -> None:
    """Check scenarios; show every problem with its file, line and column; exit 2 if any is bad.

    Parts of your own and data of your own are tried as at the start of a run.
    """
    from fedchain.errors import FedchainError, ScenarioError
    from fedchain.scenario import load, parse_overrides, run_name
    from fedchain.sweeps.checking import check_parts

    values = parse_overrides(set_ or ())
    results: list[dict[str, Any]] = []
    for path in scenarios:
        try:
            check_parts(scenario := load(path, values))
            results.append({"path": path, "ok": True, "run": run_name(scenario)})
        except ScenarioError as error:
            found = [{"key": p.key, "text": p.text} for p in error.problems]
            message = str(error) if found else f"{path}: {error}"
            results.append({"path": path, "ok": False, "problems": found, "message": message})
        except FedchainError as error:
            message = f"{path}: {error}"
            results.append({"path": path, "ok": False, "problems": [], "message": message})
    ok = all(result["ok"] for result in results)
    good = [f"{r['path']}: ok, run {r['run']}" for r in results if r["ok"]]
    bad = [result["message"] for result in results if not result["ok"]]
    print_result(form, {"ok": ok, "scenarios": results}, good, bad, 0 if ok else USAGE)


@app.command("list", epilog="Example: fedchain list aggregation")
def list_(
    family: Annotated[
        str | None,
        typer.Argument(
            metavar="[FAMILY]",
            help="One family; without it, all.",
            autocompletion=completing.family_names,
        ),
    ] = None,
    form: options.Form = Format.rich,
) -> None:
    """List the parts that a scenario may name, by family."""
    from fedchain.commands.parts import catalogue

    found = catalogue(family)
    rows = (
        (name if part is parts[0] or form is Format.plain else "", part.kind, part.what)
        for name, parts in found.items()
        for part in parts
    )
    values = {n: [{"kind": p.kind, "what": p.what} for p in parts] for n, parts in found.items()}
    print_result(form, values, [table(("family", "kind", "what it does"), rows)])


@app.command(epilog="Example: fedchain describe l_nearest")
def describe(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A part of `fedchain list`, or module:function.",
            autocompletion=completing.part_names,
        ),
    ],
    form: options.Form = Format.rich,
) -> None:
    """Explain one part: what it does, its parameters and defaults, and an example to copy."""
    from fedchain.commands.parts import described

    parts = described(name)
    lines = (line for part in parts for line in _part_lines(part))
    print_result(form, {"parts": [asdict(part) for part in parts]}, lines)


def _part_lines(part: Described) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text.assemble((part.kind, "bold"), f"  {part.family}")
    # The table shows what the Args section says.
    body = re.sub(r"\nArgs:\n(?:[ ]{4,}.*\n?|\n)*", "\n", part.docstring).split("\n>>>")[0]
    yield Text(body.rstrip().replace("``", "`"))
    if part.parameters:
        yield ""
        rows = (parameter.values() for parameter in part.parameters)
        yield table(("parameter", "allowed", "default", "meaning"), rows)
    yield "\nIn a scenario:"
    yield Text(part.example, style="cyan")


@app.command(epilog="Example: fedchain schema > fedchain.schema.json")
def schema(form: options.Form = Format.json) -> None:
    """Print the JSON schema of scenario files, for completion in an editor; always as JSON."""
    from fedchain.scenario.schema import scenario_schema

    del form
    print_json(scenario_schema())


@app.command(epilog="Example: fedchain explain first_light --set privacy.epsilon=2")
def explain(
    scenario: options.ScenarioName,
    set_: options.Set = None,
    seed: options.SeedNumber = None,
    form: options.Form = Format.rich,
) -> None:
    """Show every resolved value and its source, the privacy of a run, and what the run costs."""
    from fedchain.forecasts.forecast import forecast
    from fedchain.scenario import load, parse_overrides

    loaded = load(scenario, parse_overrides(set_ or ()), seed)
    expected = forecast(loaded)
    print_result(form, expected.values, _explanation(loaded, expected))


def _explanation(scenario: Scenario, expected: Forecast) -> Iterator[RenderableType]:
    from rich.syntax import Syntax

    from fedchain.scenario import resolved_yaml, run_name

    colours = Syntax("", "yaml", background_color="default", theme="ansi_dark")
    text = colours.highlight(resolved_yaml(scenario))
    text.rstrip()
    yield text
    yield ""
    yield table(("run", run_name(scenario)), expected.rows)


@shipped.callback(epilog="Example: fedchain scenarios")
def scenarios(context: typer.Context, form: options.Form = Format.rich) -> None:
    """List the scenarios that come with fedchain; `fedchain run NAME` runs one from anywhere."""
    if context.invoked_subcommand is not None:
        return
    from fedchain.scenario import description_of, first_sentence, shipped_files

    entries = [
        {"name": name, "description": description_of(path), "file": str(path)}
        for name, path in shipped_files().items()
    ]
    rows = ((entry["name"], first_sentence(entry["description"])) for entry in entries)
    lines = [table(("scenario", "what it is about"), rows)]
    print_result(form, {"scenarios": entries}, lines)


@shipped.command(epilog="Example: fedchain scenarios copy first_light -o mine.yaml")
def copy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As fedchain scenarios lists it.")],
    out: Annotated[Path | None, options.out("The new file; default: NAME.yaml, here.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the file if it exists.")
    ] = False,
    form: options.Form = Format.rich,
) -> None:
    """Copy a scenario that comes with fedchain, and the files that it extends."""
    from fedchain.files import write_output
    from fedchain.registry import suggest
    from fedchain.scenario import files_of, shipped_files

    known, scenario = shipped_files(), name.removesuffix(".yaml")
    if scenario not in known:
        refuse(f"no scenario called {name!r} comes with fedchain; {suggest(name, known)}")
    source, *extended = files_of(known[scenario])
    target = out or Path(source.name)
    copies = {target: source.read_bytes()}
    copies |= {target.with_name(file.name): file.read_bytes() for file in extended}
    if len(copies) <= len(extended):
        refuse(f"{target}: is the name of a file that {scenario} extends; give another one")
    for path, content in copies.items():
        if path.is_dir():
            refuse(f"{path}: is a folder; give a new file with --out")
        if path.exists() and path.read_bytes() != content and not force:
            refuse(f"{path}: is there already; give another file with --out, or --force")
    for path, content in copies.items():
        write_output(path, content)
    files = [str(path) for path in copies]
    following = f"next      {command('explain', target)}   ·   {command('run', target)}"
    print_result(form, {"files": files}, [*files, following])

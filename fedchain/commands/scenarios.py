"""Commands that check and explain scenarios: validate, explain, list, describe, schema."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedchain.commands.formats import (
    Format,
    FormatOption,
    SeedOption,
    SetOption,
    print_json,
    stderr,
    stdout,
    table,
)
from fedchain.commands.shipped import ScenarioArgument, announce

if TYPE_CHECKING:
    from rich.text import Text

    from fedchain.commands.parts import Described

app = typer.Typer()


@app.command(epilog="Example: fedchain validate first_light breast_cancer --set privacy.epsilon=2")
def validate(
    scenarios: Annotated[
        list[str],
        typer.Argument(metavar="SCENARIO..", help="YAML files, or names of fedchain scenarios."),
    ],
    set_: SetOption = None,
    form: FormatOption = Format.rich,
) -> None:
    """Check scenarios: every problem with its file, line and column; exit 2 if any is bad."""
    from fedchain.errors import ScenarioError
    from fedchain.scenario import load, parse_overrides, run_name

    values = parse_overrides(set_ or ())
    results: list[dict[str, Any]] = []
    for path in scenarios:
        announce(path)
        try:
            results.append({"path": path, "ok": True, "run": run_name(load(path, values))})
        except ScenarioError as error:
            found = [{"key": p.key, "text": p.text} for p in error.problems]
            results.append({"path": path, "ok": False, "problems": found, "message": str(error)})
    _show_checked(results, form)
    if not all(result["ok"] for result in results):
        raise typer.Exit(2)


def _show_checked(results: list[dict[str, Any]], form: Format) -> None:
    if form is Format.json:
        print_json({"ok": all(r["ok"] for r in results), "scenarios": results})
        return
    for result in results:
        if result["ok"]:
            stdout(form).print(f"{result['path']}: ok, run {result['run']}", markup=False)
        else:
            stderr().print(result["message"], markup=False, soft_wrap=True)


@app.command("list", epilog="Example: fedchain list aggregation")
def list_(
    family: Annotated[
        str | None, typer.Argument(metavar="[FAMILY]", help="One family; without it, all.")
    ] = None,
    form: FormatOption = Format.rich,
) -> None:
    """List the parts that a scenario may name, by family."""
    from fedchain.commands.parts import catalogue

    found = catalogue(family)
    if form is Format.json:
        print_json({name: [part.entry() for part in parts] for name, parts in found.items()})
        return
    rows = table(form, "family", "kind", "what it does")
    for name, parts in found.items():
        for index, part in enumerate(parts):
            rows.add_row(name if index == 0 or form is Format.plain else "", part.kind, part.what)
    stdout(form).print(rows)


@app.command(epilog="Example: fedchain describe l_nearest")
def describe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A part that `fedchain list` names.")],
    form: FormatOption = Format.rich,
) -> None:
    """Explain one part: what it does, its parameters, its defaults, an example to copy."""
    from fedchain.commands.parts import described

    parts = described(name)
    if form is Format.json:
        print_json({"parts": [part.full() for part in parts]})
        return
    for part in parts:
        _show_part(part, form)


def _show_part(part: Described, form: Format) -> None:
    from rich.text import Text

    console = stdout(form)
    console.print(Text.assemble((part.kind, "bold"), f"  {part.family}"))
    # The table shows what the Args section says.
    body = re.sub(r"\nArgs:\n(?:[ ]{4,}.*\n?|\n)*", "\n", part.docstring).split("\n>>>")[0]
    console.print(body.rstrip(), markup=False)
    if part.parameters:
        rows = table(form, "parameter", "allowed", "default", "meaning")
        for parameter in part.parameters:
            cells = (parameter.name, parameter.allowed, parameter.default, parameter.meaning)
            rows.add_row(*(Text(cell) for cell in cells))
        console.print()
        console.print(rows)
    console.print("\nIn a scenario:")
    console.print(part.example, markup=False, style="cyan" if form is Format.rich else None)


@app.command(epilog="Example: fedchain schema > fedchain.schema.json")
def schema() -> None:
    """Print the JSON schema of scenario files, for completion in an editor."""
    from fedchain.scenario.schema import schema as whole

    print_json(whole())


@app.command(epilog="Example: fedchain explain first_light --set privacy.epsilon=2")
def explain(
    scenario: ScenarioArgument,
    set_: SetOption = None,
    seed: SeedOption = None,
    form: FormatOption = Format.rich,
) -> None:
    """Show every resolved value and its source, the privacy it gives, and what a run costs."""
    from fedchain.forecasts.bare_chain import BareForecast
    from fedchain.forecasts.forecast import forecast
    from fedchain.nodes.compute.hashing import expected_hashing_s
    from fedchain.scenario import load, parse_overrides, resolved_yaml, run_name
    from fedchain.scenario.checking import NO_TASK

    announce(scenario)
    loaded = load(scenario, parse_overrides(set_ or ()), seed)
    bare = loaded.task.kind == NO_TASK
    expected = BareForecast(loaded, expected_hashing_s(loaded)) if bare else forecast(loaded)
    if form is Format.json:
        print_json(expected.plain())
        return
    console = stdout(form)
    text: Text | str = resolved_yaml(loaded).rstrip()
    if form is Format.rich:
        from rich.syntax import Syntax

        text = Syntax("", "yaml", background_color="default", theme="ansi_dark").highlight(
            str(text)
        )
    console.print(text, markup=False, soft_wrap=True)
    console.print()
    rows = table(form, "run", run_name(loaded))
    for name, words in expected.rows():
        rows.add_row(name, words)
    console.print(rows)

"""Commands that check and explain scenarios: validate, explain, list, describe, schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedchain.commands.formats import (
    Format,
    FormatOption,
    SeedOption,
    SetOption,
    print_json,
    print_result,
    stdout,
    table,
)
from fedchain.commands.shipped import ScenarioArgument, announce

if TYPE_CHECKING:
    from rich.console import RenderableType
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
    """Check scenarios; show every problem with its file, line and column; exit 2 if any is bad."""
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
    ok = all(result["ok"] for result in results)
    good = [f"{r['path']}: ok, run {r['run']}" for r in results if r["ok"]]
    print_result(form, {"ok": ok, "scenarios": results}, good)
    if form is not Format.json:
        for result in results:
            if not result["ok"]:
                typer.echo(result["message"], err=True)
    if not ok:
        raise typer.Exit(2)


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
    rows = table(form, "family", "kind", "what it does")
    for name, parts in found.items():
        for index, part in enumerate(parts):
            rows.add_row(name if index == 0 or form is Format.plain else "", part.kind, part.what)
    values = {
        name: [{"kind": part.kind, "what": part.what} for part in parts]
        for name, parts in found.items()
    }
    print_result(form, values, [rows])


@app.command(epilog="Example: fedchain describe l_nearest")
def describe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A part that `fedchain list` names.")],
    form: FormatOption = Format.rich,
) -> None:
    """Explain one part: what it does, its parameters, its defaults, an example to copy."""
    from fedchain.commands.parts import described

    parts = described(name)
    lines = (line for part in parts for line in _part_lines(part, form))
    print_result(form, {"parts": [asdict(part) for part in parts]}, lines)


def _part_lines(part: Described, form: Format) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text.assemble((part.kind, "bold"), f"  {part.family}")
    # The table shows what the Args section says.
    body = re.sub(r"\nArgs:\n(?:[ ]{4,}.*\n?|\n)*", "\n", part.docstring).split("\n>>>")[0]
    yield Text(body.rstrip())
    if part.parameters:
        rows = table(form, "parameter", "allowed", "default", "meaning")
        for parameter in part.parameters:
            rows.add_row(parameter.name, parameter.allowed, parameter.default, parameter.meaning)
        yield ""
        yield rows
    yield "\nIn a scenario:"
    yield Text(part.example, style="cyan" if form is Format.rich else "")


@app.command(epilog="Example: fedchain schema > fedchain.schema.json")
def schema() -> None:
    """Print the JSON schema of scenario files, for completion in an editor."""
    from fedchain.scenario.schema import scenario_schema

    print_json(scenario_schema())


@app.command(epilog="Example: fedchain explain first_light --set privacy.epsilon=2")
def explain(
    scenario: ScenarioArgument,
    set_: SetOption = None,
    seed: SeedOption = None,
    form: FormatOption = Format.rich,
) -> None:
    """Show every resolved value and its source, the privacy of a run, and what the run costs."""
    from fedchain.forecasts.forecast import BareForecast, forecast
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

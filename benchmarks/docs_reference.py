"""Reference pages of the documentation: commands, scenario keys, parts and API, as Markdown."""

from __future__ import annotations

import ast
import enum
import functools
import inspect
import itertools
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from docs_text import cell, prose, table

from fedchain.commands import HELP_GROUPS, assemble
from fedchain.commands.parts import Described, catalogue
from fedchain.registry import FAMILIES, references, sources_of
from fedchain.scenario.schema import scenario_schema

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fedchain"


@functools.cache
def command_page() -> str:
    """Return the page of all commands, made from the program's own help."""
    main = assemble()
    text = [
        "# Commands",
        prose(main.help),
        "`fedchain COMMAND --help` shows the same in a terminal.",
    ]
    for group, names in HELP_GROUPS.items():
        text.append(f"## {group}")
        for name in names:
            text += _command(f"fedchain {name}", main.commands[name])
    return "\n\n".join(text) + "\n"


def _command(words: str, command: Any) -> Iterator[str]:
    yield f"### `{words}`"
    yield prose(command.help or "")
    # Releases of typer differ in what a parameter knows of its type.
    kinds = typing.get_type_hints(inspect.unwrap(command.callback)) if command.params else {}
    rows = [_parameter(each, kinds.get(each.name)) for each in command.params]
    if rows:
        yield table(("argument or option", "value", "what it does"), rows)
    if command.epilog:
        yield f"```\n{command.epilog.removeprefix('Example: ')}\n```"
    for name, inner in getattr(command, "commands", {}).items():
        yield from _command(f"{words} {name}", inner)


def _parameter(parameter: Any, kind: Any) -> tuple[str, str, str]:
    if parameter.param_type_name == "argument":
        name, value = f"`{parameter.metavar or parameter.name.upper()}`", ""
    else:
        options = (*parameter.opts, *parameter.secondary_opts)
        name = ", ".join(f"`{option}`" for option in options)
        flag = getattr(parameter, "is_flag", False)
        value = "" if flag else f"`{parameter.metavar}`" if parameter.metavar else _values(kind)
    notes = " Required." if parameter.required else _default(parameter)
    return name, value, f"{cell(parameter.help or '')}{notes}"


def _values(kind: Any) -> str:
    """Return the values of an option by its annotation: its choices, or a word for the type."""
    inner = [each for each in typing.get_args(kind) if each is not type(None)]
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(f"`{each}`" for each in inner)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return ", ".join(f"`{each.value}`" for each in kind)
    if inner:
        return _values(inner[0])
    return {int: "whole number", float: "number", Path: "path", str: "text"}.get(kind, "")


def _default(parameter: Any) -> str:
    value = getattr(parameter.default, "value", parameter.default)  # of a choice
    return "" if value in (None, False) or callable(value) else f" Default: `{value}`."


@functools.cache
def scenario_page() -> str:
    """Return the page of every key of a scenario, made from the schema."""
    schema = scenario_schema()
    text = [
        "# Scenario keys",
        "A scenario is one YAML file. Every key, its values and its default, as `fedchain schema` "
        "has them. The parts that a `kind:` may name have a page for each family.",
    ]
    for name, inner in schema["properties"].items():
        rows = list(_keys(name, inner))
        text += [f"## `{name}`", prose(str(inner.get("description", "")))]
        text.append(table(("key", "allowed", "default", "meaning"), rows))
    return "\n\n".join(text) + "\n"


def _keys(path: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield the row of a key, then the rows of the keys in its block."""
    default = f"`{_plain(schema['default'])}`" if "default" in schema else ""
    yield f"`{path}`", _allowed(schema), default, cell(str(schema.get("description", "")))
    for choice in _own_choices(schema):
        for name, inner in choice.get("properties", {}).items():
            yield from _keys(f"{path}.{name}", inner)


def _choices(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the forms that a key may have."""
    if "then" in schema:
        return [schema["then"], schema["else"]]
    return list(schema.get("anyOf", [schema]))


def _own_choices(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the forms of a key, without the parts, which have pages of their own."""
    choices = _choices(schema)
    if not any("$ref" in choice for choice in choices):
        return list(choices)
    # A part with defaults is there a second time, with its own keys.
    return [c for c in choices if "$ref" not in c and "kind" not in c.get("properties", {})]


def _allowed(schema: Mapping[str, Any]) -> str:
    """Return the values of a key in words, with a link to the page of each family."""
    found = []
    for choice in _choices(schema):
        if "$ref" in choice:
            name = str(choice["$ref"]).rpartition("/")[2]
            found.append(f"a block of [{name}]({name}.md)")
    for choice in _own_choices(schema):
        if "enum" in choice or "const" in choice:
            found.append(", ".join(f"`{v}`" for v in choice.get("enum", [choice.get("const")])))
        else:
            inner = choice.get("items") or {}
            found.append(f"a list: {_allowed(inner)}" if inner else _type(choice))
    return " or ".join(dict.fromkeys(found))


def _type(schema: Mapping[str, Any]) -> str:
    names = {"integer": "whole number", "string": "text", "object": "block", "array": "list"}
    kinds = schema.get("type", "any value")
    if isinstance(kinds, list):
        return " or ".join(_type({**schema, "type": kind}) for kind in kinds)
    kind = str(kinds)
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return cell(" ".join([names.get(kind, kind), ", ".join(limits)]).strip())


def _plain(value: object) -> str:
    words = {None: "null", True: "true", False: "false"}
    return words.get(value, str(value)) if isinstance(value, bool | None) else str(value)


@functools.cache
def family_pages() -> dict[str, str]:
    """Return a page for each family of parts, by its file name."""
    return {
        f"{family}.md": "\n\n".join([f"# Parts: {family}", *_parts(family, parts)]) + "\n"
        for family, parts in catalogue().items()
    }


def _parts(family: str, parts: Sequence[Described]) -> Iterator[str]:
    for part in parts:
        yield f"## `{part.kind}`"
        yield prose(re.sub(r"\nArgs:\n(?:[ ]{4,}.*\n?|\n)*", "\n", part.docstring))
        if part.parameters:
            heads = ("parameter", "allowed", "default", "meaning")
            rows = [tuple(cell(value) for value in each.values()) for each in part.parameters]
            yield table(heads, rows)
        yield f"```yaml\n{part.example}\n```"
        keys = sources_of(FAMILIES[family].family().find(part.kind)) or ()
        for key in keys:
            yield f"Cite: {cell(references()[key].text)}"


def api_pages() -> dict[str, str]:
    """Return a page for each package of fedchain, by its file name, made from docstrings."""
    folders = sorted({file.parent for file in PACKAGE.rglob("*.py")})
    return {f"{package_of(folder / 'x.py')}.md": api_page(folder) for folder in folders}


def api_page(folder: Path) -> str:
    """Return the page of one package."""
    files = sorted(folder.glob("*.py"))
    return "\n\n".join([f"# {package_of(files[0])}", *_modules(files)]) + "\n"


def package_of(path: Path) -> str:
    """Return the dotted name of the package that a file of fedchain lies in."""
    return ".".join(path.parent.relative_to(ROOT).parts)


def module_of(path: Path) -> str:
    """Return the dotted name of a module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _modules(files: Sequence[Path]) -> Iterator[str]:
    for file in files:
        tree, name = ast.parse(file.read_text(encoding="utf-8")), module_of(file)
        yield f"## {name} {{#{name}}}"
        yield prose(ast.get_docstring(tree) or "")
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name[0] != "_":
                yield from _definition(node, f"{name}.{node.name}", 3)


def _definition(node: ast.ClassDef | ast.FunctionDef, name: str, level: int) -> Iterator[str]:
    yield f"{'#' * level} {node.name.replace('_', chr(92) + '_')} {{#{name}}}"
    yield f"```python\n{_signature(node)}\n```"
    yield prose(ast.get_docstring(node) or "")
    if isinstance(node, ast.ClassDef):
        fields = list(_fields(node.body))
        if fields:
            yield table(("field", "type", "meaning"), fields)
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef) and inner.name[0] != "_":
                yield from _definition(inner, f"{name}.{inner.name}", level + 1)


def _fields(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str, str]]:
    for node, after in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr):
            meaning = after.value.value if isinstance(after.value, ast.Constant) else ""
            name, kind = ast.unparse(node.target), ast.unparse(node.annotation)
            yield f"`{name}`", f"`{cell(kind)}`", cell(" ".join(str(meaning).split()))


def _signature(node: ast.ClassDef | ast.FunctionDef) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, node.bases))
        return f"class {node.name}({bases})" if bases else f"class {node.name}"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    line = f"def {node.name}({ast.unparse(node.args)}){returns}"
    if len(line) <= 100:
        return line
    inner = ast.unparse(node.args)
    return f"def {node.name}(\n    {inner}\n){returns}"

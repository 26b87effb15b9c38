"""Overrides: values such as ``privacy.epsilon=2`` that replace those of a scenario file."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedchain.errors import Problem, ScenarioError
from fedchain.registry import (
    Family,
    Where,
    listed_family,
    nested_family,
    parameters,
    section_of,
    show_value,
)
from fedchain.scenario.attacking import attack_keys
from fedchain.scenario.reading import MAX_DEPTH, read_yaml, refused, scalar
from fedchain.scenario.sections import Scenario
from fedchain.scenario.tree import Mark, Node

TEXTS = ("name", "description", "path", "dirty", "clean")
"""Keys whose values are always text in an option: names, files and file patterns."""
QUOTES, BRACKETS = ("'", '"'), ("[", "{")
"""First characters of a value that is read as YAML, not as a single word."""
STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d{1,6})\]")


def parse_overrides(options: Iterable[str]) -> dict[str, Any]:
    """Parse the options ``path=value`` into values by path.

    A value in brackets or quotation marks is read as YAML: ``[1, 2]``, ``{kind: adam}``. Any other
    value is a YAML number or word such as ``1e-5``, ``.inf`` or ``null``, or else plain text.
    Values of the keys in ``TEXTS`` are always text, without enclosing quotation marks.

    Raises:
        ScenarioError: an option has no ``=`` or invalid YAML, or a path is given twice.

    >>> parse_overrides(["privacy.epsilon=2", "attacks[0].holders=[1, 3]", "task.path=scans #2"])
    {'privacy.epsilon': 2, 'attacks[0].holders': [1, 3], 'task.path': 'scans #2'}
    """
    return {path: _value(path, text) for path, text in _split(options)}


def parse_choices(options: Iterable[str]) -> dict[str, tuple[Any, ...]]:
    """Parse the options ``path=value,value`` of a sweep into tuples of values by path.

    Each value is read as in ``parse_overrides``. A comma inside brackets or quotation marks does
    not separate values.

    >>> parse_choices(["privacy.epsilon=1,2,.inf", "update.kind=adam"])
    {'privacy.epsilon': (1, 2, inf), 'update.kind': ('adam',)}
    """
    return {
        path: tuple(_value(path, entry) for entry in _entries(path, text))
        for path, text in _split(options)
    }


def override(root: Node, values: Mapping[str, object], folder: Path) -> Node:
    """Return a scenario's tree with replaced values; the order of ``values`` does not matter.

    Every path in ``values`` is removed from the grid of the scenario's sweep.

    Args:
        root: the tree.
        values: new value by dotted path, with list indices: ``attacks[0].holders``.
        folder: relative file paths in ``values`` are resolved against this folder.

    Raises:
        ScenarioError: a path goes through a scalar or past the end of a list.
    """
    nodes = {}
    for path, value in values.items():
        mark = Mark(f"--set {path}")
        steps = parse_path(path)
        nodes[path] = steps, anchored(grow(value, mark), folder, is_path=steps[-1] == "path")
    return _without_axes(put_all(root, nodes), {steps for steps, _ in nodes.values()})


def put_all(root: Node, nodes: Mapping[str, tuple[tuple[str | int, ...], Node]]) -> Node:
    """Return a scenario's tree with nodes put at their paths, outer nodes and kinds first.

    If a block gets a new kind, its keys that the new part does not have are removed.
    """
    for steps, node in sorted(nodes.values(), key=lambda n: len(n[0]) - (n[0][-1] == "kind")):
        if steps[-1] == "kind" and steps[:-1]:
            root = _ready_for(root, steps[:-1], str(node.value))
        root = _put(root, steps, node, ())
    return root


def parse_path(path: str) -> tuple[str | int, ...]:
    """Split a dotted path into keys and indices.

    Raises:
        ScenarioError: the text is not a path.

    >>> parse_path("attacks[0].holders"), parse_path("attacks.0.holders")
    (('attacks', 0, 'holders'), ('attacks', 0, 'holders'))
    """
    found = list(STEP.finditer(path))
    if not found or "".join(m[0] for m in found) != path or path.startswith("."):
        raise refused(f"--set {path[:60]}", "no path; write keys with dots: privacy.epsilon=2")
    names = [match[1] or match[2] for match in found]
    return tuple(int(n) if n.isdecimal() and len(n) < 7 else n for n in names)


def grow(value: object, mark: Mark, depth: int = 0) -> Node:
    """Turn a Python value into a tree in which every node has the place ``mark``.

    Raises:
        ScenarioError: the value cannot be written in YAML, or is nested too deeply.
    """
    if depth > MAX_DEPTH:
        raise refused(mark.source, f"more than {MAX_DEPTH} blocks inside blocks")
    if isinstance(value, Mapping):
        inner = {str(k): replace(grow(v, mark, depth + 1), key=mark) for k, v in value.items()}
        return Node(value=inner, mark=mark)
    if isinstance(value, list | tuple):
        return Node(value=tuple(grow(v, mark, depth + 1) for v in value), mark=mark)
    if isinstance(value, os.PathLike):
        return Node(value=os.fspath(value), mark=mark)
    if value is None or isinstance(value, str | int | float):
        return Node(value=value, mark=mark)
    raise refused(
        mark.source, f"must be plain values, got {show_value(value)} ({type(value).__name__})"
    )


def anchored(node: Node, folder: Path, is_path: bool = True) -> Node:
    """Resolve relative file paths against ``folder``, in all values of keys named ``path``."""
    if isinstance(node.value, Mapping):
        inner = {
            key: anchored(value, folder, key.rpartition(".")[2] == "path")
            for key, value in node.value.items()
        }
        return replace(node, value=inner)
    if isinstance(node.value, tuple):
        return replace(node, value=tuple(anchored(n, folder, is_path) for n in node.value))
    if is_path and isinstance(node.value, str) and node.value:
        return replace(node, value=os.path.abspath(folder / Path(node.value).expanduser()))  # noqa: PTH100
    return node


def _split(options: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each option ``path=text``."""
    seen: set[str] = set()
    for option in options:
        path, equals, text = option.partition("=")
        path = path.strip()
        if not equals or not path:
            raise refused(f"--set {option[:60]}", "no value; write path=value: privacy.epsilon=2")
        if path in seen:
            raise refused(f"--set {path}", "given twice; keep one")
        seen.add(path)
        yield path, text


def _entries(path: str, text: str) -> list[str]:
    """Split the values of a sweep option at the commas outside brackets and quotation marks."""
    entries: list[str] = []
    opening = QUOTES if _is_text(path) else QUOTES + BRACKETS
    for piece in text.split(","):
        if entries and entries[-1].lstrip().startswith(opening) and not _ends(entries[-1]):
            entries[-1] += f",{piece}"
        else:
            entries.append(piece)
    if len(entries) > 1 and not all(entry.strip() for entry in entries):
        raise refused(f"--set {path}", f"an empty value in {text!r}; write null if none is meant")
    return entries


def _is_text(path: str) -> bool:
    return path.rpartition(".")[2] in TEXTS


def _ends(text: str) -> bool:
    """Return whether a text that begins with a bracket or quotation mark is complete YAML."""
    try:
        read_yaml(text, "", option=True)
    except ScenarioError:
        return False
    return True


def _value(path: str, text: str) -> Any:
    text = text.strip()
    if _is_text(path) and not any(text.startswith(q) and text[1:].endswith(q) for q in QUOTES):
        return text
    if not text.startswith(QUOTES + BRACKETS):
        return scalar(text)
    node, problems = read_yaml(text, f"--set {path}", option=True)
    if problems:
        raise ScenarioError([p.problem for p in problems], "\n".join(p.render() for p in problems))
    return node.plain()


def _without_axes(root: Node, fixed: Set[tuple[str | int, ...]]) -> Node:
    """Remove the paths in ``fixed`` from the grid of the sweep."""
    sweep = root.get("sweep")
    grid = sweep.get("grid") if sweep is not None else None
    if sweep is None or grid is None or not isinstance(grid.value, Mapping):
        return root
    left = {path: node for path, node in grid.value.items() if parse_path(path) not in fixed}
    if len(left) == len(grid.value):
        return root
    x = sweep.get("x")
    root = _put(root, ("sweep", "grid"), replace(grid, value=left), ())
    if x is None or x.value in left:
        return root
    return _put(root, ("sweep", "x"), replace(x, value=None), ())


def _ready_for(root: Node, where: Where, kind: str) -> Node:
    """Remove keys that a part of the new kind does not have from the block at ``where``."""
    block: Node | None = root
    for step in where:
        block = block.get(step) if block is not None else None
    if block is None or not isinstance(block.value, Mapping) or "kind" not in block.value:
        return root
    if block.value["kind"].value == kind:
        return root
    known: Set[str] = set()  # empty if this place has no such kind
    if where[0] == "attacks":
        known = attack_keys({**block.plain(), "kind": kind})
    else:
        with contextlib.suppress(ValueError, ScenarioError):
            if (family := _family(Scenario, root, where)) is not None:
                known = parameters(family.find(kind)).keys()
    kept = {key: inner for key, inner in block.value.items() if key in known}
    return _put(root, where, replace(block, value=kept), ())


def _put(node: Node, steps: tuple[str | int, ...], value: Node, at: tuple[str | int, ...]) -> Node:
    if not steps:
        return replace(value, key=value.key or value.mark)
    step, rest = steps[0], steps[1:]
    if isinstance(node.value, tuple):
        if not isinstance(step, int) or step >= len(node.value):
            there = Problem(at, "").key
            raise refused(value.mark.source, f"{there} has {len(node.value)} entries, from 0")
        entries = list(node.value)
        entries[step] = _put(entries[step], rest, value, (*at, step))
        return replace(node, value=tuple(entries))
    if node.value is not None and not isinstance(node.value, Mapping):
        there = Problem(at, "").key
        raise refused(value.mark.source, f"{there} is no block; it is {show_value(node.value)}")
    block: dict[str, Node] = dict(node.value or {})
    name = str(step)
    inner = block.get(name, Node(value={}, mark=value.mark, key=value.mark))
    block[name] = _put(inner, rest, value, (*at, name))
    return replace(node, value=block)


def _family(maker: Any, node: Node | None, where: Where) -> Family[Any] | None:
    """Return the family of the block at a path inside a section or part, or None."""
    parameter = parameters(maker).get(str(where[0]))
    if parameter is None:
        return None
    family, inner = nested_family(parameter.annotation), node.get(where[0]) if node else None
    listed = listed_family(parameter.annotation)
    if listed is not None and len(where) > 1:  # the next step is a place in the list
        family, inner, where = listed, inner.get(where[1]) if inner else None, where[1:]
    if not where[1:]:
        return family
    if family is None:
        section = section_of(parameter.annotation)
        return _family(section, inner, where[1:]) if section is not None else None
    chosen = inner.get("kind") if inner else None
    kind = chosen.value if chosen else getattr(parameter.default, "kind", None)
    return _family(family.find(str(kind)), inner, where[1:])

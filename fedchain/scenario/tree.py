"""Tree of a YAML file in which every key and value has the place where it was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fedchain.errors import Problem, ScenarioError
from fedchain.registry import Where

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Mark:
    """The place where a key or value was written."""

    source: str
    """File, or option of the command line: ``--set privacy.epsilon``."""
    line: int = 0
    """Line of the file, from 1; 0: not in a file."""
    column: int = 0
    """Column of the line, from 1."""
    text: str = ""
    """Content of the line."""

    @property
    def place(self) -> str:
        """The place as a message shows it: ``file:line:column``."""
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source

    @property
    def layer(self) -> str:
        """The place as the resolved scenario shows it: ``file:line``."""
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True, kw_only=True)
class Node:
    """One value of the tree: a scalar, a list or a block."""

    value: Scalar | tuple[Node, ...] | Mapping[str, Node]
    """A scalar, the entries of a list, or the values of a block by key."""
    mark: Mark
    """Place where the value starts."""
    key: Mark | None = None
    """Place where the value's key starts; None in a list and at the top."""
    size: int = 1
    """Number of values in the node, including itself, with aliases expanded."""
    depth: int = 0
    """Number of nested levels of blocks and lists, including this node; 0 for a scalar."""

    def plain(self) -> Any:
        """Return the value without places, as dicts, lists and scalars."""
        if isinstance(self.value, Mapping):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value

    def get(self, step: str | int) -> Node | None:
        """Return the value under a key or an index, or None."""
        if isinstance(self.value, Mapping):
            return self.value.get(str(step))
        if isinstance(self.value, tuple) and isinstance(step, int) and step < len(self.value):
            return self.value[step]
        return None


@dataclass(frozen=True)
class Located:
    """A problem, and its place in a file or option."""

    problem: Problem
    mark: Mark

    def error(self) -> ScenarioError:
        """Return an error with only this problem."""
        return ScenarioError([self.problem], self.render())

    def render(self) -> str:
        """Return ``place: key: text`` and, below, the line of the file with a caret."""
        # `--set privacy.epsiln` already names the key.
        repeated = self.problem.key and self.mark.source.endswith(f" {self.problem.key}")
        key = f"{self.problem.key}: " if self.problem.key and not repeated else ""
        head = f"{self.mark.place}: {key}{self.problem.text}"
        if not self.mark.text.strip():
            return head
        shown, column = _window(self.mark.text, self.mark.column)
        return f"{head}\n    {shown}\n    {' ' * (column - 1)}^"


def locate(root: Node, problem: Problem) -> Located:
    """Return a problem with its place: the wrong key, else the value, else the enclosing block."""
    node = root
    for step in problem.where:
        inner = node.get(step)
        if inner is None:
            return Located(problem, node.key or node.mark)
        node = inner
    at_key = problem.text.startswith("no such key") and node.key is not None
    return Located(problem, node.key if at_key and node.key else node.mark)


def leaves(node: Node, where: Where = ()) -> Iterator[tuple[Where, Node]]:
    """Yield the path and node of every scalar and every empty list or block of the tree."""
    if isinstance(node.value, Mapping) and node.value:
        for key, inner in node.value.items():
            yield from leaves(inner, (*where, key))
    elif isinstance(node.value, tuple) and node.value:
        for index, inner in enumerate(node.value):
            yield from leaves(inner, (*where, index))
    else:
        yield where, node


def overlay_nodes(below: Node, above: Node) -> Node:
    """Merge two trees: keys of ``above`` win, and a different ``kind`` replaces the whole block."""
    if not isinstance(below.value, Mapping) or not isinstance(above.value, Mapping):
        return above
    old, new = below.value.get("kind"), above.value.get("kind")
    if new is not None and (old is None or old.value != new.value):
        return above
    merged = dict(below.value)
    for key, node in above.value.items():
        merged[key] = overlay_nodes(merged[key], node) if key in merged else node
    return replace(above, value=merged)


def _window(line: str, column: int, width: int = 100) -> tuple[str, int]:
    """Cut a long line around the column; control characters become spaces."""
    clean = "".join(c if c.isprintable() else " " for c in line.rstrip())
    start = max(0, column - 1 - width // 2) if len(clean) > width else 0
    return clean[start : start + width], column - start

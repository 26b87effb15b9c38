"""Text of the documentation: docstrings and table cells as Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence

SECTIONS = ("Args", "Returns", "Raises", "Yields", "Reference", "References", "Attributes")
"""Headings of the blocks of a docstring."""


def prose(docstring: str) -> str:
    r"""Return a docstring as Markdown: blocks become lists, examples become code.

    >>> prose("Add ``a`` to b.\n\nArgs:\n    a: a number,\n        below 2.")
    'Add `a` to b.\n\n**Args**\n\n- `a`: a number, below 2.'
    >>> prose("\n".join((">" ">> 1 + 1", "2")))
    '```python\n>>> 1 + 1\n2\n```'
    """
    return "\n\n".join(_block(each) for each in _blocks(docstring.strip()))


def _blocks(text: str) -> Iterator[str]:
    """Yield the paragraphs of a docstring; a section with its indented lines is one."""
    waiting: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        indented = paragraph.startswith("    ")
        if waiting and not indented:
            yield "\n".join(waiting)
            waiting = []
        if waiting or paragraph.partition("\n")[0].rstrip(":") in SECTIONS:
            waiting.append(paragraph)
        else:
            yield paragraph
    if waiting:
        yield "\n".join(waiting)


def _block(paragraph: str) -> str:
    head, _, rest = paragraph.partition("\n")
    if head.rstrip(":") in SECTIONS and head.endswith(":"):
        return f"**{head[:-1]}**\n\n{_items(textwrap.dedent(rest))}"
    if ">>>" in head:
        return f"```python\n{textwrap.dedent(paragraph)}\n```"
    if paragraph.startswith("    "):
        return f"```\n{textwrap.dedent(paragraph)}\n```"
    return escaped(paragraph)


def _items(lines: str) -> str:
    """Return the lines of a section as a list if each item begins with a name, else as text."""
    items: list[str] = []
    for line in lines.splitlines():
        if line.startswith(" ") and items:
            items[-1] += f" {line.strip()}"
        elif line.strip():
            items.append(line.strip())
    named = [re.match(r"([\w*, ]+): (.*)", item) for item in items]
    if not all(named):
        return escaped(" ".join(items))
    return "\n".join(f"- `{found[1]}`: {escaped(found[2])}" for found in named if found)


def escaped(text: str) -> str:
    r"""Return text in which nothing but what stands in backticks is Markdown or HTML.

    >>> escaped("a * b < c in ``x < y``")
    'a \\* b &lt; c in `x < y`'
    """
    parts = text.replace("``", "`").split("`")
    plain = (
        part if place % 2 else re.sub(r"([*\\[\]])", r"\\\1", part).replace("<", "&lt;")
        for place, part in enumerate(parts)
    )
    return "`".join(plain)


def cell(text: str) -> str:
    r"""Return text for a cell of a table.

    >>> cell("a | b")
    'a \\| b'
    """
    return escaped(" ".join(text.split())).replace("|", "\\|")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; the cells are Markdown already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

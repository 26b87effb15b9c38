"""Marks: pairs of comments in the pages, around the texts that commands write.

A text that a command makes is between ``<!-- made by MAKER TEXT -->`` and ``<!-- end -->``. A table
of measurements that no command makes has ``<!-- made by hand: how -->`` before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

MADE = re.compile(r"<!-- made by (?!hand:)([^>]+?) -->\n(.*?)<!-- end -->", re.DOTALL)
BY_HAND = re.compile(r"<!-- made by hand: (.+?) -->")
NUMBER = re.compile(r"[*-]{0,3}(\d|\.\d)|-$")
"""How a cell with a measured number begins; a single dash stands for a missing one."""


def filled(page: str, made: Mapping[str, str]) -> str:
    r"""Return a page with new texts between the marks of each name.

    Raises:
        ValueError: a name has no marks in the page, or several.

    >>> filled("<!-- made by a b -->\nold\n<!-- end -->", {"a b": "new"})
    '<!-- made by a b -->\nnew\n<!-- end -->'
    """
    for name, text in made.items():
        found = [match for match in MADE.finditer(page) if match[1] == name]
        if len(found) != 1:
            raise ValueError(f"page: has {len(found)} <!-- made by {name} --> .. <!-- end -->")
        first, last = found[0].span(2)
        page = f"{page[:first]}{text.strip()}\n{page[last:]}"
    return page


def marked(page: str) -> list[str]:
    """Return the names of a page's marks, in their order."""
    return [match[1] for match in MADE.finditer(page)]


def by_hand(page: str) -> list[str]:
    """Return the explanations that a page gives for tables that no command makes."""
    return BY_HAND.findall(page)


def unmade(page: str) -> list[str]:
    r"""Return the first lines of the tables of measurements that have no mark.

    >>> table = "| a | b |\n| --- | --- |\n| x | .5 |\n"
    >>> unmade(table), unmade("<!-- made by hand: so -->\n" + table)
    (['| a | b |'], [])
    """
    return [
        lines[0]
        for lines, before in tables(MADE.sub("", page))
        if measured(lines) and not BY_HAND.search(before)
    ]


def tables(page: str) -> Iterator[tuple[list[str], str]]:
    """Yield the lines of every table of a page, and the line before it."""
    before, lines = "", []
    for line in [*page.splitlines(), ""]:
        if line.startswith("|"):
            lines.append(line)
        else:
            if lines:
                yield lines, before
            before, lines = line, []


def measured(lines: list[str]) -> bool:
    """Say whether most cells of a table are numbers, without its head and its first column."""
    cells = [cell.strip() for line in lines[2:] for cell in line.strip("| ").split(" | ")[1:]]
    return 2 * sum(bool(NUMBER.match(cell)) for cell in cells) > len(cells)


def replace(file: Path, data: bytes) -> None:
    """Replace a file as a whole: an interruption leaves the old file."""
    draft = file.with_name(f".{file.name}.draft")
    draft.write_bytes(data)
    draft.replace(file)

"""Document: the frame of HTML pages that have no scripts and load no other files."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from string import Template

FRAME = resources.files(__package__).joinpath("document.html").read_text(encoding="utf-8")
"""Template of a page, with places for its title, its body and further rules of style."""


def document(title: str, body: str, *, style: str = "") -> str:
    """Return a whole HTML page.

    Args:
        title: the title, as text.
        body: what the page shows, as HTML.
        style: rules of CSS beside those of all pages.
    """
    return Template(FRAME).substitute(title=text_html(title), body=body, style=style)


def text_html(value: str) -> str:
    """Return a text as HTML.

    >>> text_html("a < b")
    'a &lt; b'
    """
    return html.escape(value, quote=True)


def facts_html(facts: Mapping[str, str]) -> str:
    """Return names and values, two texts each, as a list of HTML."""
    rows = "".join(f"<dt>{text_html(k)}</dt><dd>{text_html(v)}</dd>" for k, v in facts.items())
    return f"<dl>{rows}</dl>"


def table_html(heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    """Return a table of HTML, which scrolls where the window is narrower.

    Args:
        heads: headings of the columns, as text.
        rows: cells, as HTML.
        caption: what stands below the table, as text.
    """
    head = "".join(f"<th>{text_html(words)}</th>" for words in heads)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table><caption>{text_html(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )

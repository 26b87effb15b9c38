"""Frame: the HTML around the page's bundle, with a policy that lets nothing else in."""

from __future__ import annotations

import base64
import functools
import hashlib
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

ICON = '<link rel="icon" href="data:,">'
"""An empty icon: without one a browser asks the server for it."""


@dataclass(frozen=True)
class Bundle:
    """The built front end."""

    page: str
    """The script of the page."""
    lessons: str
    """The script of the page of lessons."""
    points: str
    """The script that draws clouds of points."""
    style: str
    """The styles of the page."""


@functools.cache
def bundle() -> Bundle:
    """Return the built front end, which comes with fedchain.

    Raises:
        ValueError: a script or the styles could end the element of the page that holds it.
    """
    folder = resources.files(__package__).joinpath("static")
    names = ("page.js", "lessons.js", "points.js", "page.css")
    texts = [folder.joinpath(name).read_text(encoding="utf-8") for name in names]
    for name, text in zip(names, texts, strict=True):
        if any(end in text.lower() for end in ("</script", "</style", "<!--")):
            raise ValueError(f"{name}: has a tag that would end its element in a page")
    return Bundle(*texts)


def page_html(
    *,
    title: str,
    inside: str,
    metas: Mapping[str, str],
    records: Sequence[str] = (),
    clouds: bool = False,
    lessons: bool = False,
    connect: str = "'none'",
) -> str:
    """Return a page with the front end inside.

    Args:
        title: title of the page, as text.
        inside: what readers see without JavaScript, as HTML.
        metas: content of the page's ``meta`` elements by name, as text.
        records: ``script`` elements with page records, as HTML.
        clouds: whether the page has clouds of points.
        lessons: whether it is the page of lessons, and not that of runs.
        connect: sources to which the page may connect, as in a content security policy.
    """
    built = bundle()
    scripts = [*([built.points] if clouds else []), built.lessons if lessons else built.page]
    told = {"viewport": "width=device-width, initial-scale=1", "color-scheme": "light dark"}
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        '<head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy(scripts, connect)}">',
        *(
            f'<meta name="{html.escape(name)}" content="{html.escape(content)}">'
            for name, content in {**told, **metas}.items()
        ),
        ICON,
        f"<title>{html.escape(title)}</title>",
        f"<style>{built.style}</style></head>",
        f'<body><div id="page">{inside}</div>',
        *records,
        *(f"<script>{script}</script>" for script in scripts),
        "</body></html>\n",
    ]
    return "\n".join(lines)


def policy(scripts: Sequence[str], connect: str) -> str:
    """Return the content security policy of a page that holds these scripts."""
    hashes = " ".join(f"'{_hash_of(script)}'" for script in scripts)
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {hashes or repr('none')}",
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "font-src data:",
            "worker-src blob:",
            f"connect-src {connect}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def plain_html(title: str, inside: str, style: str = "") -> str:
    """Return a page without scripts, in the styles of the page.

    Args:
        title: title of the page, as text.
        inside: its content, as HTML.
        style: further styles, as CSS.
    """
    return "\n".join(
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy((), repr("none"))}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            ICON,
            f"<title>{html.escape(title)}</title>",
            f"<style>{bundle().style}{style}</style></head>",
            f'<body><main id="page" class="plain">{inside}</main></body></html>\n',
        )
    )


def _hash_of(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

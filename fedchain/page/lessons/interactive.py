"""Interactive: all lessons as one page, which needs no server and no network."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from html import escape

from fedchain.page.frame import page_html
from fedchain.page.lessons.contents import LessonContent, texts
from fedchain.page.lines import line_of


def lessons_html(contents: Sequence[LessonContent]) -> str:
    """Return the page of lessons in one file."""
    return page_html(
        title=texts()["title"],
        inside=_plain(contents),
        metas={"fedchain-source": "lessons"},
        records=[_element(content) for content in contents],
        lessons=True,
    )


def _element(content: LessonContent) -> str:
    packed = gzip.compress(line_of(content.as_record()).encode(), 9, mtime=0)
    return (
        f'<script type="application/x-fedchain-lesson" id="lesson-{content.lesson.name}" '
        f'data-encoding="gzip+base64">{base64.b64encode(packed).decode()}</script>'
    )


def _plain(contents: Sequence[LessonContent]) -> str:
    """Return what readers see without JavaScript: each question, and its answer behind a click."""
    about = escape(texts()["about"])
    parts = [f"<main><h1>{escape(texts()['title'])}</h1><p>{about}</p>"]
    for content in contents:
        said = content.texts
        parts.append(
            f"<h2>{content.lesson.number} {escape(said['title'])}</h2>"
            f"<p><strong>{escape(said['question'])}</strong></p>"
            f"<details><summary>The answer</summary><p>{escape(said['answer'])}</p>"
            f"<p>What this does not show: {escape(said['not_shown'])}</p></details>"
        )
    return "".join([*parts, "</main>"])

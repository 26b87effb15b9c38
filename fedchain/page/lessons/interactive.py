"""Interactive: all lessons as one page, which needs no server and no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from fedchain.page.frame import page_html
from fedchain.page.lessons.contents import LessonContent, texts
from fedchain.page.lines import line_of
from fedchain.page.single_file import packed_element


def lessons_html(contents: Sequence[LessonContent]) -> str:
    """Return the page of lessons in one file."""
    return page_html(
        title=texts()["title"],
        inside=_plain(contents),
        metas={"fedchain-source": "lessons"},
        records=[
            packed_element(
                "lesson", line_of(content.as_record()), name=f"lesson-{content.lesson.name}"
            )
            for content in contents
        ],
        lessons=True,
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

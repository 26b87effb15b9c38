"""Handouts: all files that a teacher takes along."""

from __future__ import annotations

import json

from fedchain.page.lessons.contents import all_contents
from fedchain.page.lessons.interactive import lessons_html
from fedchain.page.lessons.sheets import (
    answers_html,
    glossary_html,
    questions,
    slides_html,
    worksheet_html,
)


def handouts() -> dict[str, str]:
    """Return the files by their names, each as text.

    - ``lessons.html``: all lessons, which a browser opens from a disk without network;
    - ``worksheet.html``: four pages of A4; ``answers.html``: what belongs into it;
    - ``slides.html``: one finding a slide, with notes; ``glossary.html``: the words;
    - ``questions.json``: the exit questions; each wrong option names its misconception.
    """
    contents = all_contents()
    asked = json.dumps(questions(contents), indent=2, ensure_ascii=False)
    return {
        "lessons.html": lessons_html(contents),
        "worksheet.html": worksheet_html(contents),
        "answers.html": answers_html(contents),
        "slides.html": slides_html(contents),
        "glossary.html": glossary_html(),
        "questions.json": asked + "\n",
    }

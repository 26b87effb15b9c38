"""Sheets: worksheet, answers, slides and glossary for a class, as HTML that prints on A4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from fedchain.page.frame import plain_html
from fedchain.page.lessons import drawings
from fedchain.page.lessons.contents import LessonContent, texts
from fedchain.page.lessons.glossary import glossary

STYLE = Path(__file__).with_name("sheets.css")
"""Styles of the sheets."""
PAGES = ((1, 2), (3,), (4, 5), (6, 7))
"""Numbers of the lessons on each page of the worksheet."""
EMPTY_LINES = 2
"""Empty lines after a question of the worksheet."""


def worksheet_html(contents: Sequence[LessonContent]) -> str:
    """Return the worksheet: four pages of A4."""
    by_number = {content.lesson.number: content for content in contents}
    pages = []
    for number, lessons in enumerate(PAGES, start=1):
        head = (
            f"<header><span>{_word('worksheet')}</span>"
            f'<span>{_word("name")}: <span class="blank"></span></span>'
            f"<span>{_word('page', number=number, pages=len(PAGES))}</span></header>"
        )
        tasks = "".join(_tasks(by_number[lesson]) for lesson in lessons)
        pages.append(f'<section class="sheet">{head}{tasks}</section>')
    return _page("worksheet", "".join(pages))


def _tasks(content: LessonContent) -> str:
    said = content.texts
    lines = '<span class="line"></span>' * EMPTY_LINES
    tasks = "".join(f"<li>{escape(task)}{lines}</li>" for task in said["worksheet"])
    return (
        f"{_heading(content)}<p><strong>{escape(said['question'])}</strong></p>"
        f"{_picture(content, solved=False)}<ol>{tasks}</ol>"
    )


def answers_html(contents: Sequence[LessonContent]) -> str:
    """Return the answers to the worksheet and to the exit questions."""
    parts = [f"<h1>{escape(texts()['title'])}: {_word('answers')}</h1>"]
    for content in contents:
        said = content.texts
        tasks = "".join(
            f"<li>{escape(task)}<br><em>{escape(answer)}</em></li>"
            for task, answer in zip(said["worksheet"], said["worksheet_answers"], strict=True)
        )
        parts.append(
            f'<section class="lesson">{_heading(content)}'
            f"<p><strong>{escape(said['question'])}</strong></p><p>{escape(said['answer'])}</p>"
            f"{_picture(content, solved=True)}"
            f"<p>{_word('not_shown')}: {escape(said['not_shown'])}</p><ol>{tasks}</ol>"
            f"<h3>{_word('exit')}</h3>{''.join(map(_exit, said['exit']))}"
            f"<p class='note'>{_word('code')}: <code>{escape(content.lesson.code)}</code></p>"
            "</section>"
        )
    return _page("answers", "".join(parts))


def _exit(question: Mapping[str, Any]) -> str:
    options = "".join(
        f"<li>{escape(option['text'])} <em>({_judgement(option)})</em></li>"
        for option in question["options"]
    )
    return f"<p>{escape(question['question'])}</p><ul>{options}</ul>"


def _judgement(option: Mapping[str, Any]) -> str:
    if option.get("right"):
        return _word("right")
    return _word("misconception", what=option["misconception"])


def slides_html(contents: Sequence[LessonContent]) -> str:
    """Return the slides: one finding each, and notes for the teacher below it."""
    slides = []
    for content in contents:
        said = content.texts
        slides.append(
            f'<section class="slide"><p class="number">{content.lesson.number} · '
            f"{escape(said['title'])}</p><h2>{escape(said['finding'])}</h2>"
            f"{_picture(content, solved=True)}"
            f"<aside><p><strong>{_word('question')}:</strong> {escape(said['question'])}</p>"
            f"<p><strong>{_word('notes')}:</strong> {escape(said['notes'])}</p>"
            f"<p><strong>{_word('not_shown')}:</strong> {escape(said['not_shown'])}</p></aside>"
            "</section>"
        )
    return _page("slides", "".join(slides))


def glossary_html() -> str:
    """Return the words of the lessons with their meanings."""
    entries = "".join(
        f"<dt>{escape(term)}</dt><dd>{escape(meaning)}</dd>" for term, meaning in glossary().items()
    )
    return _page("glossary", f"<h1>{_word('glossary')}</h1><dl class='glossary'>{entries}</dl>")


def questions(contents: Sequence[LessonContent]) -> list[dict[str, Any]]:
    """Return the exit questions; each wrong option names its misconception."""
    return [
        {"id": f"{content.lesson.name}-{number}", "lesson": content.lesson.name, **question}
        for content in contents
        for number, question in enumerate(content.texts["exit"], start=1)
    ]


def _picture(content: LessonContent, solved: bool) -> str:
    """Return the picture of a lesson, with its caption; empty for lessons without one."""
    data = content.data
    match content.lesson.number:
        case 2:
            made, caption = drawings.forks_chart(data, measured=solved), "forks"
        case 3:
            made, caption = drawings.plane(data, solved), "plane"
        case 4:
            made, caption = drawings.epsilon_chart(data, measured=solved), "axes"
        case 7:
            made, caption = drawings.cloud_from_above(data), "cloud"
        case _:
            return ""
    words = "" if solved else f"<figcaption>{_word(caption)}</figcaption>"
    return f"<figure>{made}{words}</figure>"


def _heading(content: LessonContent) -> str:
    return f"<h2>{content.lesson.number} {escape(content.texts['title'])}</h2>"


def _word(name: str, **values: Any) -> str:
    return escape(texts()["sheet"][name].format(**values))


def _page(name: str, inside: str) -> str:
    title = f"{texts()['title']}: {texts()['sheet'][name]}"
    return plain_html(title, inside, STYLE.read_text(encoding="utf-8"))

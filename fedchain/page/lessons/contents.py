"""Contents: the texts of a lesson with the numbers of its recorded runs, and the data beside them.

``texts.json`` has every text; numbers stand there as ``{name}``. No number is written by hand.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fedchain.page.lessons.catalogue import LESSONS, RECORDED, Lesson
from fedchain.page.lessons.numbers import Data, number_words

LESSON_TEXTS = Path(__file__).with_name("texts.json")
"""File of all texts."""


@dataclass(frozen=True)
class LessonContent:
    """A lesson as a reader sees it."""

    lesson: Lesson
    """The lesson."""
    texts: Mapping[str, Any]
    """Its texts, with numbers in place."""
    data: Data
    """Its recorded data."""

    def as_record(self) -> dict[str, Any]:
        """Return the record that the page reads."""
        lesson = self.lesson
        return {
            "p": 1,
            "is": "lesson",
            "name": lesson.name,
            "number": lesson.number,
            "code": lesson.code,
            "scenarios": list(lesson.scenarios),
            "texts": self.texts,
            "data": self.data,
        }


def contents_of(lesson: Lesson, data: Data | None = None) -> LessonContent:
    """Return a lesson's texts and data.

    Args:
        lesson: the lesson.
        data: content of a data file; None reads the one that comes with fedchain.
    """
    recorded = read_data(lesson) if data is None else data
    written = texts()["lessons"][lesson.name]
    return LessonContent(lesson, filled(written, lesson, recorded), recorded)


def all_contents() -> tuple[LessonContent, ...]:
    """Return all lessons with the data that come with fedchain."""
    return tuple(contents_of(lesson) for lesson in LESSONS)


@cache
def texts() -> dict[str, Any]:
    """Return the content of the file of texts, with ``{name}`` in place of numbers."""
    found: dict[str, Any] = json.loads(LESSON_TEXTS.read_text(encoding="utf-8"))
    return found


def read_data(lesson: Lesson) -> Data:
    """Read the data file of a lesson."""
    packed = (RECORDED / f"{lesson.name}.json.gz").read_bytes()
    found: Data = json.loads(gzip.decompress(packed))
    return found


def filled(value: Any, lesson: Lesson, data: Data) -> Any:
    """Return texts, lists or objects of texts with the numbers of recorded data in place.

    Raises:
        KeyError: a text names a number that the lesson does not have.
    """
    return _filled(value, number_words(lesson.name, data))


def _filled(value: Any, numbers: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return value.format_map(numbers)
    if isinstance(value, list):
        return [_filled(each, numbers) for each in value]
    if isinstance(value, dict):
        return {key: _filled(each, numbers) for key, each in value.items()}
    return value

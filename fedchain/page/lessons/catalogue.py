"""Catalogue: the lessons, their scenarios, and the code that each one is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RECORDED = Path(__file__).parent / "data"
"""Folder of the recorded runs, one file a lesson."""


@dataclass(frozen=True)
class Lesson:
    """One lesson."""

    name: str
    """Its name, such as ``01_hash``: the number, then a word."""
    code: str
    """Where the package computes what the lesson is about: ``path.py:function``, the path from the
    root of the package's source."""
    scenarios: tuple[str, ...]
    """Names of the scenarios in scenarios/lessons, without the ending; none for a lesson without a
    chain."""

    @property
    def number(self) -> int:
        """The number of the lesson, from 1."""
        return int(self.name[:2])


LESSONS = (
    Lesson("01_hash", "fedchain/ledger/chain/state.py:State.weights_hash", ("01_hash",)),
    Lesson("02_forks", "fedchain/reports/laws.py:stale_share", ("02_forks",)),
    Lesson("03_round", "fedchain/aggregation/nearest.py:l_nearest", ("03_round",)),
    Lesson("04_epsilon", "fedchain/privacy/accounting.py:gaussian_epsilon", ("04_epsilon",)),
    Lesson(
        "05_poison",
        "fedchain/aggregation/inner_products.py:agreement_of",
        ("05_poison_scans", "05_poison_table"),
    ),
    Lesson("06_tampering", "fedchain/ledger/chain/validity.py:check_block", ("06_tampering",)),
    Lesson("07_points", "fedchain/scans/segmentation.py:mask_metrics", ()),
)
"""All lessons, in their order."""


def lesson_named(name: str) -> Lesson:
    """Return the lesson with this name, number, or word.

    Raises:
        ValueError: there is none; the text names all lessons.

    >>> lesson_named("5").name, lesson_named("poison").name, lesson_named("05_poison").name
    ('05_poison', '05_poison', '05_poison')
    """
    for lesson in LESSONS:
        if name in (lesson.name, str(lesson.number), lesson.name[:2], lesson.name[3:]):
            return lesson
    known = ", ".join(lesson.name for lesson in LESSONS)
    raise ValueError(f"lesson {name!r}: there is none; allowed: {known}, or the number alone")

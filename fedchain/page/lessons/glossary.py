"""Glossary: the words of docs/glossary.md, as the page explains them and the teacher hands out."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from fedchain.files import write_whole

GLOSSARY = Path(__file__).with_name("glossary.json")
"""File of the glossary; ``make lessons`` makes it from docs/glossary.md."""
_ENTRY = re.compile(r"^\*\*(?P<term>[^*]+)\*\*: (?P<meaning>.+)$", re.MULTILINE)


@cache
def glossary() -> dict[str, str]:
    """Return what each word means, in alphabetical order."""
    found: dict[str, str] = json.loads(GLOSSARY.read_text(encoding="utf-8"))
    return found


def entries_in(markdown: str) -> dict[str, str]:
    r"""Return the entries of a glossary in Markdown, one a line: ``**term**: meaning``.

    >>> entries_in("# Glossary\n**block**: A list.\n")
    {'block': 'A list.'}
    """
    return {match["term"]: match["meaning"] for match in _ENTRY.finditer(markdown)}


def write_glossary(source: Path) -> None:
    """Write the glossary's file from a Markdown file."""
    entries = entries_in(source.read_text(encoding="utf-8"))
    write_whole(GLOSSARY, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")

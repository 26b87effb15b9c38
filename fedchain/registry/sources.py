"""Sources: the papers that a part is taken from, and their BibTeX entries.

A part names its sources by a decorator, with keys of ``references.bib``. Without keys, the part is
fedchain's own.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeVar

Declared = TypeVar("Declared", bound=Callable[..., Any])
LEARNING_CHAIN = "chen2018"
"""Key of the paper whose protocol every run follows."""
VENUES = ("journal", "booktitle", "publisher")
"""Fields that say where a source appeared; the first one that an entry has is shown."""
_SOURCES: dict[Callable[..., Any], tuple[tuple[str, ...], Mapping[str, tuple[str, ...]]]] = {}
_ENTRY = re.compile(r"^@(\w+)\{(\w+),\n(.*?)^\}$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)
_ACCENT = re.compile(r"\{?\\([\"'^v`~])(?:\{(\w)\}|(\w))\}?")
_MARKS = {'"': "\u0308", "'": "\u0301", "^": "\u0302", "v": "\u030c", "`": "\u0300", "~": "\u0303"}


@dataclass(frozen=True)
class Reference:
    """One entry of ``references.bib``."""

    key: str
    """Key of the entry, such as ``chen2018``."""
    kind: str
    """Kind of the entry, such as ``article``."""
    fields: Mapping[str, str]
    """Fields as BibTeX writes them, in the order of the file."""
    bibtex: str
    """The whole entry."""

    @property
    def text(self) -> str:
        """The entry as one line of plain text."""
        plain = {name: _plain(value) for name, value in self.fields.items()}
        authors = [_name(each) for each in plain["author"].split(" and ")]
        several = f"{', '.join(authors[:-1])} and {authors[-1]}" if authors[1:] else authors[0]
        place = next((plain[n] for n in ("journal", "booktitle", "publisher") if n in plain), "")
        address = f"doi:{plain['doi']}" if "doi" in plain else ""
        if "eprint" in plain:
            address = f"arXiv:{plain['eprint']}"
        told = (several, plain["title"], place, plain["year"], address)
        return ". ".join(each for each in told if each) + "."


def cites(
    *keys: str, when: Mapping[str, tuple[str, ...]] | None = None
) -> Callable[[Declared], Declared]:
    """Declare the sources of a part, or of a section of the scenario.

    Args:
        keys: keys of ``references.bib``; none: the part is fedchain's own.
        when: further keys by a parameter that has a value (``clip=automatic``) or that is not null
            (``clip_quantile``).

    >>> @cites("kingma2015", when={"decay": ("polyak1992",)})
    ... def rule(*, decay: float | None = None): ...
    >>> sources_of(rule), sources_of(rule, {"decay": 0.5})
    (('kingma2015',), ('kingma2015', 'polyak1992'))
    """

    def declare(made: Declared) -> Declared:
        _SOURCES[made] = keys, when or {}
        return made

    return declare


def sources_of(
    made: Callable[..., Any], given: Mapping[str, Any] | None = None
) -> tuple[str, ...] | None:
    """Return the keys of the sources of a part with some parameters; None if it declares nothing.

    ``given`` has the parameters as plain YAML values.
    """
    if made not in _SOURCES:
        return None
    keys, when = _SOURCES[made]
    values = given or {}
    used = (more for words, more in when.items() if _holds(words, values))
    return tuple(dict.fromkeys([*keys, *(key for more in used for key in more)]))


def declared_keys() -> set[str]:
    """Return every key that a part names under some of its parameters; only of loaded modules."""
    named = set[str]()
    for keys, when in _SOURCES.values():
        named.update(keys, *when.values())
    return named


@functools.cache
def references() -> Mapping[str, Reference]:
    """Return all entries of ``references.bib`` by key, in the order of the file."""
    text = resources.files(__package__).joinpath("references.bib").read_text(encoding="utf-8")
    return {source.key: source for source in _entries(text)}


def _entries(text: str) -> Iterator[Reference]:
    for entry in _ENTRY.finditer(text):
        yield Reference(entry[2], entry[1], dict(_FIELD.findall(entry[3])), entry[0])


def _holds(words: str, given: Mapping[str, Any]) -> bool:
    name, equals, value = words.partition("=")
    return str(given.get(name)) == value if equals else given.get(name) is not None


def _name(author: str) -> str:
    last, _, first = author.partition(", ")
    return f"{first} {last}".strip()


def _plain(value: str) -> str:
    r"""Return a BibTeX value as Unicode text.

    >>> _plain("{B}yzantine-tolerant {SGD} by Gajdo{\\v{s}}ech, 436--454")
    'Byzantine-tolerant SGD by Gajdošech, 436-454'
    """
    composed = _ACCENT.sub(lambda found: (found[2] or found[3]) + _MARKS[found[1]], value)
    bare = re.sub(r"[{}]", "", composed).replace("--", "-").replace("`", "'")
    return unicodedata.normalize("NFC", bare)

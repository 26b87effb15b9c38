r"""Names: shows file names as text that terminals, files and shells accept.

Python represents a byte of a file name that is not text as a lone surrogate character, which cannot
be printed.
"""

from __future__ import annotations

import codecs
import re
import shlex
import sys
from pathlib import Path

SHOWN = "fedchain.shown"
"""Name of the codec error handler that replaces characters that an encoding lacks."""
SIMPLER = str.maketrans({"·": "-", "–": "-", "±": "+-", "≤": "<=", "µ": "u", "ε": "epsilon"})
"""Replacements for characters of fedchain's texts that a terminal may lack."""
_HALVES = re.compile("[\ud800-\udfff]")
_OWN = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*")
_BARE = re.compile(r"[\w.:\\/+-]+")
_UNSEEN = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def counted_words(number: int, noun: str) -> str:
    """Return a number and its noun, in the plural unless the number is 1.

    >>> counted_words(1, "compute node"), counted_words(3, "round")
    ('1 compute node', '3 rounds')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def legible(text: str) -> str:
    r"""Return a text with escapes in place of a file name's bytes that are not characters.

    >>> legible("br\udcfcst"), legible("br\udcc3\udcbcst"), legible("brüst")
    ('br\\xfcst', 'brüst', 'brüst')
    """
    return _in_letters(text) if _HALVES.search(text) else text


def escaped(quoted_text: str) -> str:
    r"""Return a quoted string of JSON or YAML with escapes in place of lone surrogates.

    >>> escaped('"br\udcfcst"')
    '"br\\udcfcst"'
    """
    return _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", quoted_text)


def command(*words: str | Path) -> str:
    """Return a fedchain command that a user can paste into a shell.

    ``words`` follow ``fedchain``; a Path is quoted, a string is left as it is.

    >>> command("verify", Path("runs/my run"))
    "fedchain verify 'runs/my run'"
    """
    return " ".join(["fedchain", *(quoted(w) if isinstance(w, Path) else w for w in words)])


def quoted(path: Path, windows: bool = sys.platform == "win32") -> str:
    r"""Return a path quoted as one shell word that no program mistakes for an option.

    ``windows`` is True for cmd and PowerShell, and False for a POSIX shell. A path with a line
    break or non-text bytes needs a shell that understands ``$'..'``.

    >>> quoted(Path("a b"), windows=False), quoted(Path("a b"), windows=True)
    ("'a b'", '"a b"')
    >>> quoted(Path("-x"), windows=False), quoted(Path("br\udcfcst"), windows=False)
    ('./-x', "$'br\\374st'")
    """
    text = str(path)
    if text.startswith("-"):
        text = f".{'/' if not windows else chr(92)}{text}"
    if windows:
        return text if _BARE.fullmatch(text) else f'"{text}"'
    if not _UNSEEN.search(text):
        return shlex.quote(text)
    plain = text.replace("\\", r"\\").replace("'", r"\'")
    octal = _UNSEEN.sub(lambda found: "".join(f"\\{b:03o}" for b in _bytes_of(found[0])), plain)
    return f"$'{octal}'"


def short_kind(kind: object) -> str:
    """Return the name of a part for pictures and tables: of a user's part, only the function.

    >>> short_kind("my_lab.rules:halfway"), short_kind("krum"), short_kind("at 10:30")
    ('halfway', 'krum', 'at 10:30')
    """
    text = str(kind)
    return text.partition(":")[2] if _OWN.fullmatch(text) else text


def _bytes_of(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte: from a Windows name or YAML
        return text.encode("utf-8", "surrogatepass")


def _in_letters(text: str) -> str:
    return _bytes_of(text).decode("utf-8", "backslashreplace")


def _show(error: UnicodeError) -> tuple[bytes, int]:
    """Replace characters that an encoding lacks; this is an error handler of ``codecs``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = _in_letters(error.object[error.start : error.end]).translate(SIMPLER)
    return text.encode(error.encoding, "replace"), error.end


codecs.register_error(SHOWN, _show)

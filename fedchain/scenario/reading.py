"""Reader: turns YAML 1.2 text into a tree of limited size and depth.

Tags are not allowed. Every problem is reported with its line and column.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fedchain.errors import Problem, ScenarioError
from fedchain.registry import Where
from fedchain.scenario.tree import Located, Mark, Node, Scalar

MAX_BYTES = 256 * 1024
"""Largest size of a scenario file in bytes."""
MAX_DEPTH = 20
"""Maximum depth of nested blocks."""
MAX_VALUES = 20_000
"""Maximum number of values in a file, counted after aliases are expanded."""

INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
OTHER_BASE = re.compile(r"0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
NO_BLANK = re.compile("(?:^|[-:,{[]) *([\t\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000\ufeff])")
"""A character that looks like a space, at a place where only a real space is allowed."""
REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}


def scalar(text: str) -> Scalar:
    """Return the value of an unquoted scalar by the core schema of YAML 1.2.

    >>> scalar("1e-5"), scalar(".inf"), scalar("yes"), scalar("0o17")
    (1e-05, inf, 'yes', 15)
    """
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    if OTHER_BASE.fullmatch(text):
        return int(text, 0)
    return float(text) if REAL.fullmatch(text) else text


def read_text(path: Path) -> str:
    """Return the text of a scenario file.

    Raises:
        ScenarioError: the file does not exist, is too large, is binary, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        folder = "is a directory"  # Windows says that permission is denied
        reason = folder if path.is_dir() else (error.strerror or "cannot be read").lower()
        raise refused(str(path), f"{reason}; give the path of a scenario file") from error
    if len(data) > MAX_BYTES:
        raise refused(
            str(path), f"larger than {MAX_BYTES // 1024} KiB; a scenario is a page of text"
        )
    return text_in(data, str(path))


def text_in(data: bytes, source: str) -> str:
    """Return the text in the bytes of a scenario file.

    Raises:
        ScenarioError: the bytes are binary data, or are not UTF-8.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refused(source, f"byte {error.start} is not UTF-8 text; save it as UTF-8") from error
    if "\0" in text:
        raise refused(source, "holds binary data; a scenario is YAML text")
    return text


def refused(source: str, text: str) -> ScenarioError:
    """Return an error about a whole file or option, without a line number."""
    return ScenarioError([Problem((), text)], f"{source}: {text}")


def read_yaml(text: str, source: str, *, option: bool = False) -> tuple[Node, list[Located]]:
    """Parse YAML text into a tree.

    Args:
        text: one YAML document.
        source: the file or option that contains the text, for messages.
        option: whether the text is a command-line option, whose problems have no line numbers.

    Returns:
        The tree, and the problems that do not stop the parser: duplicate keys, tags, keys that are
        not text, and numbers too large for a float.

    Raises:
        ScenarioError: the syntax is broken, an anchor is missing, or a limit is exceeded.
    """
    text = "".join(map(_without_last_tabs, text.splitlines(keepends=True)))
    lines = [] if option else text.splitlines()
    reader = _Reader(source, lines, _events(text, source, lines))
    root = reader.document()
    return root, reader.problems


def _without_last_tabs(line: str) -> str:
    """Remove blanks with a tab at the end of a line, which the parser would read as text."""
    whole = line.rstrip("\r\n")
    kept = whole.rstrip(" \t")
    return kept + line[len(whole) :] if "\t" in whole[len(kept) :] else line


def _events(text: str, source: str, lines: list[str]) -> Iterator[Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        words = " ".join(str(w) for w in (error.context, error.problem) if w)
        mark = _mark(source, lines, at.line, at.column) if at else Mark(source)
        begun = error.context_mark.line if error.context_mark else 0
        for number, line in enumerate(lines[begun : mark.line], begun):
            if blank := NO_BLANK.search(line):
                name = unicodedata.name(blank[1], "a tab").lower()
                words = f"{name} (U+{ord(blank[1]):04X}) where YAML wants a plain space"
                mark = _mark(source, lines, number, blank.start(1))
                break
        raise Located(Problem((), words), mark).error() from error
    except YAMLError as error:
        raise refused(source, str(error).splitlines()[0]) from error
    except (ValueError, IndexError, OverflowError) as error:
        # The parser passes some impossible escapes to chr(), which raises.
        raise refused(source, f"no YAML: {error}") from error


def _mark(source: str, lines: list[str], line: int, column: int) -> Mark:
    if not lines:
        return Mark(source)
    return Mark(source, line + 1, column + 1, lines[line] if line < len(lines) else "")


@dataclass
class _Reader:
    """Builder of one document's tree from the parser's events."""

    source: str
    lines: list[str]
    events: Iterator[Any]
    problems: list[Located] = field(default_factory=list)
    anchors: dict[str, Node] = field(default_factory=dict)
    count: int = 0
    """Number of values read so far."""

    def document(self) -> Node:
        """Return the document's tree; an empty text gives an empty node."""
        root = Node(value=None, mark=_mark(self.source, self.lines, 0, 0))
        documents = 0
        for event in self.events:
            kind = type(event).__name__
            documents += kind == "DocumentStartEvent"
            if documents > 1:
                raise self._stop(event, (), "a second document; a scenario is one document")
            if kind.startswith(("Mapping", "Sequence", "Scalar", "Alias")):
                root = self._node(event, ())
        return root

    def _node(self, event: Any, where: Where) -> Node:
        if len(where) > MAX_DEPTH:
            raise self._stop(event, where[:3], f"more than {MAX_DEPTH} blocks inside blocks")
        self.count += 1
        if self.count > MAX_VALUES:
            raise self._stop(event, where[:3], f"more than {MAX_VALUES} values")
        kind, mark = type(event).__name__, self._at(event)
        if kind == "AliasEvent":
            if event.anchor not in self.anchors:
                quoted = f"no anchor &{event.anchor} above; text that begins with * needs quotes"
                raise self._stop(event, where, quoted)
            node = self.anchors[event.anchor]
            if len(where) + node.depth > MAX_DEPTH:
                raise self._stop(event, where[:3], f"more than {MAX_DEPTH} blocks inside blocks")
            return node
        if event.tag is not None:
            self._note(mark, where, f"the tag {event.tag} is not allowed; write plain values")
        if kind == "MappingStartEvent":
            node = self._mapping(mark, where)
        elif kind == "SequenceStartEvent":
            node = self._sequence(mark, where)
        else:
            node = Node(value=self._scalar(event, where), mark=mark)
        if node.size > MAX_VALUES:
            raise self._stop(event, where, f"more than {MAX_VALUES} values, aliases written out")
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _sequence(self, mark: Mark, where: Where) -> Node:
        entries: list[Node] = []
        size = 1
        for event in self.events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            entries.append(self._node(event, (*where, len(entries))))
            size += entries[-1].size
        depth = 1 + max((node.depth for node in entries), default=0)
        return Node(value=tuple(entries), mark=mark, size=size, depth=depth)

    def _mapping(self, mark: Mark, where: Where) -> Node:
        entries: dict[str, Node] = {}
        size = 1
        for event in self.events:
            if type(event).__name__ == "MappingEndEvent":
                break
            key_mark, key = self._at(event), self._node(event, where)
            name = key.value if isinstance(key.value, str) else str(key.plain())
            after = next(self.events)
            value = self._node(after, (*where, name))
            size += key.size + value.size
            empty = value.value is None and getattr(after, "value", None) == ""
            if empty:  # the parser gives it the place of the next word
                value = replace(value, mark=key_mark)
            if not isinstance(key.value, str):
                words = "must be text; put it in quotes"
                if empty:  # {clip: 1,5}
                    words = "has no value; a comma ends a value, so decimals are written as 1.5"
                self._note(key_mark, where, f"the key {name[:40]} {words}")
            elif name in entries:
                first = entries[name].key or key_mark
                where_first = f"line {first.line}" if first.line else "the same option"
                self._note(
                    key_mark, (*where, name), f"duplicate key; the first is in {where_first}"
                )
            else:
                entries[name] = replace(value, key=key_mark)
        depth = 1 + max((node.depth for node in entries.values()), default=0)
        return Node(value=entries, mark=mark, size=size, depth=depth)

    def _scalar(self, event: Any, where: Where) -> Scalar:
        if not event.implicit[0]:
            return str(event.value)
        value = scalar(event.value)
        if isinstance(value, float) and math.isinf(value) and "inf" not in event.value.lower():
            self._note(self._at(event), where, f"too large a number, got {event.value[:40]}")
        return value

    def _at(self, event: Any) -> Mark:
        return _mark(self.source, self.lines, event.start_mark.line, event.start_mark.column)

    def _note(self, mark: Mark, where: Where, text: str) -> None:
        self.problems.append(Located(Problem(where, text), mark))

    def _stop(self, event: Any, where: Where, text: str) -> ScenarioError:
        return Located(Problem(where, text), self._at(event)).error()

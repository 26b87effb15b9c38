"""The header of a PLY file: its order of bytes, its elements, and the grid that it names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fedchain.scans.formats.contents import LONGEST_HEADER, Contents

NUMBER_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip
"""Numpy's name for each of PLY's number types."""
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
"""Numpy's sign for each order of bytes; ascii has none."""
MOST_PLY_PROPERTIES = 256
_IS = r"[\s:=]+(\d{1,9})"
_SENSOR = rf"obj_info\s[^(]*\(\s*width{_IS}\s*;\s*height{_IS}\s*[;)].*"
_SCANNER = re.compile(_SENSOR, re.IGNORECASE)
_WIDTH = re.compile(rf"(?:obj_info\s+num_cols|comment\s+width){_IS}|{_SENSOR}", re.IGNORECASE)
_HEIGHT = re.compile(rf"(?:obj_info\s+num_rows|comment\s+height){_IS}|{_SENSOR}", re.IGNORECASE)


@dataclass(frozen=True)
class Property:
    """One property of an element: a number, or a list of numbers."""

    name: str
    kind: str
    """Numpy's type of the number, or of the numbers of the list, without the order of bytes."""
    length: str | None = None
    """Numpy's type of the length of the list; None for a single number."""


@dataclass(frozen=True)
class Element:
    """One kind of row of the file, such as ``vertex``."""

    name: str
    count: int
    """Number of rows."""
    properties: tuple[Property, ...]

    @property
    def lists(self) -> bool:
        """Whether any property of this element is a list. Then its rows may differ in length."""
        return any(one.length for one in self.properties)


@dataclass(frozen=True)
class PlyHeader:
    """What stands in the header of a PLY file."""

    order: str
    """``<`` or ``>`` for the order of bytes, or nothing for ascii."""
    elements: tuple[Element, ...]
    comments: tuple[str, ...]
    """Texts after ``comment``."""
    width: int | None
    """Width of the grid, or None if the header names none."""
    height: int | None
    millimetres: bool
    """Whether a scanner's program such as PhoXi Control wrote the file, in millimetres."""
    end: int
    """Byte at which the elements begin."""


def read_header(file: Contents) -> PlyHeader:
    """Read the header of a PLY file.

    Only the first ``LONGEST_HEADER`` bytes are needed.

    Raises:
        DataError: the file is no PLY file, or its header breaks the rules of PLY.
    """
    head = file.data[:LONGEST_HEADER]
    if not re.match(rb"ply[ \t]*\r?\n", head):
        raise file.fail("is no PLY file; allowed: a file that begins with 'ply'")
    end = re.search(rb"\nend_header[ \t]*\r?\n", head)
    if end is None:
        raise file.fail(f"has no end_header in its first {len(head)} bytes")
    text = head[: end.start()].decode("ascii", "replace")
    lines = [line.strip() for line in text.split("\n")]
    formats = [word[1] for line in lines if len(word := line.split()) > 1 and word[0] == "format"]
    order = formats[0] if formats else "none"
    if order not in ORDERS:
        raise file.fail(f"has format {order!r}; allowed: {', '.join(ORDERS)}")
    comments = (line[7:].strip() for line in lines if line.startswith("comment"))
    return PlyHeader(
        order=ORDERS[order],
        elements=_elements(file, lines),
        comments=tuple(comments),
        width=_one(file, lines, _WIDTH, 1),
        height=_one(file, lines, _HEIGHT, 2),
        millimetres=any(map(_SCANNER.fullmatch, lines)),
        end=end.end(),
    )


def _one(file: Contents, lines: Iterable[str], pattern: re.Pattern[str], place: int) -> int | None:
    """Return the width (``place`` 1) or the height (``place`` 2) that the header gives, if any."""
    matches = filter(None, map(pattern.fullmatch, lines))
    found = {int(match[1] or match[1 + place]) for match in matches}
    if len(found) > 1:
        what = ("num_cols (the width)", "num_rows (the height)")[place - 1]
        said = " and ".join(map(str, sorted(found)))
        raise file.fail(f"is not organised: says {said} as {what}; allowed: one number")
    return found.pop() if found else None


def _elements(file: Contents, lines: Iterable[str]) -> tuple[Element, ...]:
    elements: list[Element] = []
    for word in (line.split() for line in lines):
        if word[:1] == ["element"]:
            if len(word) != 3 or not re.fullmatch(r"[0-9]{1,12}", word[2]):
                raise file.fail(f"has {' '.join(word)[:80]!r}; allowed: 'element NAME COUNT'")
            elements.append(Element(word[1], int(word[2]), ()))
        elif word[:1] == ["property"]:
            if not elements:
                raise file.fail("has a property before its first element")
            last = elements[-1]
            elements[-1] = Element(last.name, last.count, (*last.properties, _property(file, word)))
    for one in elements:
        if len(one.properties) > MOST_PLY_PROPERTIES:
            count = len(one.properties)
            raise file.fail(f"has {count} properties; allowed: at most {MOST_PLY_PROPERTIES}")
        if len({each.name for each in one.properties}) < len(one.properties):
            raise file.fail(f"has two properties of one name in {one.name}; allowed: each once")
    return tuple(elements)


def _property(file: Contents, word: list[str]) -> Property:
    if len(word) == 3 and word[1] in NUMBER_TYPES:
        return Property(word[2], NUMBER_TYPES[word[1]])
    if len(word) == 5 and word[1] == "list" and {word[2], word[3]} <= NUMBER_TYPES.keys():
        length = NUMBER_TYPES[word[2]]
        if length[0] in "iu":
            return Property(word[4], NUMBER_TYPES[word[3]], length)
    shown = " ".join(word[1:])[:80]
    raise file.fail(f"has property {shown!r}; allowed: a type of number and a name")

"""Lines: how a page record is written, as one JSON object on a line."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from fedchain.arrays import Array

FORMAT = 1
"""Version of the page records."""
PageRecord = dict[str, Any]
"""One page record: the keys ``p`` (the version) and ``is`` (the kind), then the kind's fields."""


def page_record(kind: str, **fields: Any) -> PageRecord:
    """Return a page record of a kind.

    >>> page_record("lost", count=2)
    {'p': 1, 'is': 'lost', 'count': 2}
    """
    return {"p": FORMAT, "is": kind, **fields}


def line_of(record: PageRecord) -> str:
    r"""Return a page record as one line of JSON in ASCII, without the line feed.

    ``<`` is written as an escape, so that no text of a run can end the element of a page that
    contains the line.

    >>> line_of(page_record("run", name="</script>"))
    '{"p":1,"is":"run","name":"\\u003c/script>"}'
    """
    text = json.dumps(record, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def b64(data: bytes | memoryview) -> str:
    """Return bytes as base64 text.

    >>> b64(bytes([1, 2]))
    'AQI='
    """
    return base64.b64encode(data).decode()


def bits(flags: Array) -> str:
    """Return flags as base64 text: row by row, the first flag in the highest bit of a byte.

    >>> base64.b64decode(bits(np.array([[True, False], [False, True]]))).hex()
    '90'
    """
    return b64(np.packbits(flags.reshape(-1).astype(bool)).tobytes())

"""Single files of the page, built from records by hand."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

from fedchain.page.lines import line_of

STATIC = Path(__file__).parents[2] / "fedchain" / "page" / "static"
FRAME = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>fedchain</title>
<style>{style}</style>
<div id="page"></div>
{records}
<script>{script}</script>
</html>
"""


def single_file(*runs: list[dict[str, Any]]) -> str:
    """Return a page with the records of runs, of which the first is shown."""
    return FRAME.format(
        style=_static("page.css"),
        records="\n".join(map(_packed, runs)),
        script=_static("points.js") + "\n" + _static("page.js"),
    )


def _packed(records: list[dict[str, Any]]) -> str:
    text = "".join(f"{line_of(record)}\n" for record in records)
    data = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    name = next(record["folder"] for record in records if record["is"] == "run")
    return (
        '<script type="application/x-fedchain-records" data-encoding="gzip+base64" '
        f'data-run="{name}">{data}</script>'
    )


def _static(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")

"""Single files of the page, from records that a test may change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedchain.page.frame import page_html
from fedchain.page.lines import line_of
from fedchain.page.single_file import records_element

STATIC = Path(__file__).parents[2] / "fedchain" / "page" / "static"


def single_file(*runs: Sequence[dict[str, Any]], metas: dict[str, str] | None = None) -> str:
    """Return a page with the records of runs, of which the first is shown."""
    return page_html(
        title="fedchain",
        inside="",
        metas=metas or {},
        records=[_element(records) for records in runs],
        clouds=True,
        connect="'self'" if metas else "'none'",
    )


def _element(records: Sequence[dict[str, Any]]) -> str:
    name = next(record["name"] for record in records if record["is"] == "run")
    return records_element(map(line_of, records), name="records", run=name)

"""Single file: a run's page in one HTML file, which needs no server and no network."""

from __future__ import annotations

import base64
import gzip
import html
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from fedchain.names import counted_words, legible
from fedchain.page.frame import page_html
from fedchain.page.ledger import LedgerView
from fedchain.page.lines import line_of
from fedchain.page.plain import Plain
from fedchain.page.records import Feed
from fedchain.results import Run

BUDGET = 800_000
"""Bytes of a file up to which whole blocks are added."""


@dataclass(frozen=True)
class ReplayFile:
    """A page in one file."""

    html: str
    """The file's content."""
    left_out: str
    """What was left out to keep the file small, in words; empty if nothing was."""


def replay(run: Run, budget: int = BUDGET) -> ReplayFile:
    """Return the page of a run in one file.

    It has all records of the run, and as many whole blocks, beginning with the first, as fit into
    ``budget`` bytes. From these blocks the page computes the models again.

    Args:
        run: the run.
        budget: bytes of the file up to which whole blocks are added.

    Raises:
        RunError: the folder has no ledger, or cannot be read.
        LedgerError: the ledger is damaged.
    """
    plain, lines, clouds = Plain(), list[str](), False
    with closing(Feed(run)) as feed:
        for told in feed.records():
            if told is not None:
                plain.take(told[0])
                lines.append(line_of(told[0]))
                clouds |= told[0]["is"] == "cloud"
        without = _file(run, plain, lines, "", clouds)
        bodies = list(_within(feed.view, budget - len(without.html.encode())))
        blocks = feed.view.main_chain()
    missing = len(blocks) - len(bodies)
    whole = counted_words(len(blocks), "block")
    left_out = f"the messages of {missing} of {whole}" if missing else ""
    return _file(run, plain, [*lines, *bodies], left_out, clouds)


def records_element(lines: Iterable[str], *, name: str, run: str = "") -> str:
    """Return the ``script`` element with page records, compressed, as HTML.

    Args:
        lines: the records, each as ``line_of`` writes it.
        name: id of the element.
        run: name of the run, by which the page offers it; empty: it is not offered.
    """
    return packed_element("records", "\n".join(lines), name=name, run=run)


def packed_element(kind: str, text: str, *, name: str, run: str = "") -> str:
    """Return a ``script`` element with a compressed text, which the browser does not run, as HTML.

    Args:
        kind: what the text is: ``records``, or ``lesson``.
        text: the text.
        name: id of the element.
        run: name of the run to which the text belongs; empty: it belongs to none.
    """
    packed = gzip.compress(text.encode(), 9, mtime=0)
    shown = f' data-run="{html.escape(legible(run))}"' if run else ""
    return (
        f'<script type="application/x-fedchain-{kind}" id="{html.escape(name)}"{shown} '
        f'data-encoding="gzip+base64">{base64.b64encode(packed).decode()}</script>'
    )


def _file(run: Run, plain: Plain, lines: Sequence[str], left_out: str, clouds: bool) -> ReplayFile:
    said = f"<p>This file leaves out {html.escape(left_out)}.</p>" if left_out else ""
    made = page_html(
        title=f"{run.manifest['name']} · fedchain",
        inside=plain.html() + said,
        metas={"fedchain-left-out": left_out} if left_out else {},
        records=[records_element(lines, name="records", run=run.folder.absolute().name)],
        clouds=clouds,
    )
    return ReplayFile(made, left_out)


def _within(view: LedgerView, budget: int) -> Iterator[str]:
    """Yield the lines of whole blocks of the main chain, from the first on, within a budget."""
    for block in view.main_chain():
        if (record := view.body(block)) is None:
            return
        line = line_of(record)
        budget -= len(gzip.compress(line.encode(), 9)) * 4 // 3
        if budget < 0:
            return
        yield line

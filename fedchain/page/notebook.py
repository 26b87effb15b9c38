"""Notebook: the replay of a run inside a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from fedchain.page.single_file import replay
from fedchain.results import Run

HEIGHT = 720
"""Height of the page in a notebook, in pixels."""


@dataclass(frozen=True)
class Shown:
    """The page of a run, which a notebook draws under the cell that ends with it."""

    run: Run
    """The run."""

    def _repr_html_(self) -> str:
        # The frame may run scripts, and nothing else: no cookies, no notebook, no network.
        page = escape(replay(self.run).html)
        return (
            f'<iframe sandbox="allow-scripts" srcdoc="{page}" title="fedchain" '
            f'style="width:100%;height:{HEIGHT}px;border:0"></iframe>'
        )


def show(run: Run) -> Shown:
    """Show a run in a notebook: its replay, in a frame of its own that reaches nothing outside.

    Args:
        run: the run, finished or not. Its page is made when the notebook draws it.
    """
    return Shown(run)

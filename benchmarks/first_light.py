"""Draws masks.png and terminal.svg of a run of scenarios/first_light.yaml; about two minutes.

python benchmarks/first_light.py FOLDER
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
from marks import replace
from matplotlib import image
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from rich.console import Console

import fedchain
from fedchain.commands.formats import in_lines
from fedchain.commands.terminal import Terminal, summary_lines
from fedchain.reports.figures.style import Drawing, finished, render, styled
from fedchain.results import Run
from fedchain.runs.callbacks import RoundEnd
from fedchain.scans.pictures import ERRORS, GAP, PANEL_SIDE

SCENARIO = Path(__file__).resolve().parents[1] / "scenarios" / "first_light.yaml"
PANELS = ("before: intensity", "before: depth", "truth", "after: the model", "errors")


LETTERS = 96
"""Width of the picture of the terminal, in letters."""


class Excerpt(Terminal):
    """The terminal of a run, without the rounds in the middle, and without what moves."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._preparing.stop()
        self._bar.disable = True
        console.export_text()  # forgets what moved until now

    def on_round_end(self, ended: RoundEnd) -> None:
        """Show the rounds around the beginning, the first attack, and the end."""
        record = ended.record
        if record.round in (4, 26):
            self._bar.print("  ...", style="dim")
        if record.round <= 3 or 18 <= record.round <= 25 or record.round >= 38:
            super().on_round_end(ended)
        else:
            self._cells(record, again=False)  # counts its stale blocks


def terminal_svg(folder: str) -> tuple[Run, str]:
    """Run the scenario and return the run and what its terminal showed."""
    nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - lives as long as the console
    console = Console(
        record=True, color_system="truecolor", width=LETTERS, file=nowhere, highlight=False,
        force_terminal=True,
    )  # fmt: skip
    callback = Excerpt(console)
    console.print("[bold green]$[/] fedchain run first_light")
    os.chdir(folder)
    run = fedchain.run(fedchain.load(SCENARIO), callbacks=[callback])
    callback.close()
    console.print()
    for line in summary_lines(run.summary()):
        told = in_lines(line, LETTERS) if isinstance(line, str) else line
        console.print(told, soft_wrap=isinstance(told, str), markup=False)
    svg = console.export_svg(title="fedchain")
    # The reader's fonts are good enough; a picture should not fetch any fonts.
    return run, re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)


def masks(run: Run) -> Drawing:
    """Return the samples of a run under the names of their panels."""
    files = sorted((run.folder / "samples").glob("*.png"))
    pictures = [image.imread(file)[..., :3] for file in files]
    shown = np.concatenate([row for p in pictures for row in (p, np.ones((8, p.shape[1], 3)))][:-1])
    with styled():
        figure = Figure(figsize=(6.7, 6.7 * shown.shape[0] / shown.shape[1] + 0.5))
        ax = figure.add_axes((0.005, 0.05, 0.99, 0.9))
        ax.imshow(shown, interpolation="nearest")
        ax.set_axis_off()
        for place, name in enumerate(PANELS):
            ax.text(place * (PANEL_SIDE + GAP) + PANEL_SIDE / 2, -8, name, ha="center", fontsize=10)
        key: list[Artist] = [
            Patch(color=np.array(colour) / 255, label=words) for words, colour in ERRORS.items()
        ]
        figure.legend(handles=key, loc="lower center", ncols=4, fontsize=9)
    return finished("masks", "", figure)


def main() -> None:
    """Run the scenario, and draw both pictures into a folder."""
    out = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        run, svg = terminal_svg(folder)
        replace(out / "terminal.svg", svg.encode())
        replace(out / "masks.png", render(masks(run), "png"))


if __name__ == "__main__":
    main()

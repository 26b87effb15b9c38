"""Draws the pictures of the README from real runs; about two minutes.

python docs/pictures/draw.py [SWEEP/AUDIT..]: runs scenarios/first_light.yaml for masks.png and
terminal.svg; given the folders of sweeps and audits, it draws their pictures instead.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib import image
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from rich.console import Console

import fedchain
from fedchain.commands.formats import Format
from fedchain.commands.terminal import Terminal, summary_lines
from fedchain.reports.figures import draw
from fedchain.reports.figures.style import Drawing, finished, render, styled
from fedchain.reports.study import open_study
from fedchain.results import MessageRecord, RoundRecord, Run
from fedchain.scans.pictures import ERASED, GAP, KEPT, LOST, MISSED, PANEL_SIDE

HERE = Path(__file__).resolve().parent
SCENARIO = HERE.parents[1] / "scenarios" / "first_light.yaml"
PANELS = ("before: intensity", "before: depth", "truth", "after: the model", "errors")
OF_SWEEPS = {
    "accuracy_against_epsilon": "convergence",
    "stale_share_against_delay": "stale_blocks",
    "selfish_revenue_against_share": "selfish_mining",
    "double_spends_against_confirmations": "double_spend",
    "effort_until_accuracy": "block_interval",
    "iou_against_nodes_holders": "scans_and_holders",
    "heads_over_time": "partition",
    "releases_against_stale_share": "wasted_releases",
}
"""Pictures by the figure of a sweep that they are."""
OF_EPSILON = {
    "accuracy_against_epsilon": "",
    "accuracy_over_rounds": "_rounds",
    "iou_against_epsilon": "",
    "iou_over_rounds": "_rounds",
}
"""Of the sweeps whose name begins with epsilon: what follows that name, by the figure."""
OF_AUDITS = {"claimed_and_measured": "claimed_epsilon", "reconstructed_pictures": "inversion"}
"""Pictures by the figure of an audit that they are."""
ERRORS = {
    "rightly kept": KEPT,
    "rightly erased": ERASED,
    "should be erased": MISSED,
    "should be kept": LOST,
}


class Excerpt(Terminal):
    """The terminal of a run, without the rounds in the middle."""

    def on_round_end(self, record: RoundRecord, messages: list[MessageRecord]) -> None:
        """Show the rounds around the beginning, the first attack, and the end."""
        if record.round in (4, 26):
            self._bar.print("  ...", style="dim")
        if record.round <= 3 or 18 <= record.round <= 25 or record.round >= 38:
            super().on_round_end(record, messages)


def terminal_svg(folder: str) -> tuple[Run, str]:
    """Run the scenario and return the run and what its terminal showed."""
    nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - lives as long as the console
    console = Console(
        record=True, color_system="truecolor", width=131, file=nowhere, highlight=False
    )
    console.print("[bold green]$[/] fedchain run first_light")
    callback = Excerpt(console)
    os.chdir(folder)
    run = fedchain.run(fedchain.load(SCENARIO), callback=callback)
    callback.close()
    console.print()
    for line in summary_lines(Format.rich, run.summary()):
        console.print(line, soft_wrap=isinstance(line, str), markup=False)
    svg = console.export_svg(title="fedchain")
    # The fonts of the reader are good enough; a picture should not fetch any.
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
    """Draw what was asked for."""
    for folder in map(Path, sys.argv[1:]):
        if (folder / "audit.json").is_file():
            for name, picture in OF_AUDITS.items():
                if (figure := folder / "figures" / f"{name}.png").is_file():
                    shutil.copyfile(figure, HERE / f"{picture}.png")
            continue
        study = open_study(folder)
        own = study.name.replace("-", "_")
        of_epsilon = {name: own + ending for name, ending in OF_EPSILON.items()}
        pictures = of_epsilon if own.startswith("epsilon") else OF_SWEEPS
        for drawing in draw(study):
            if drawing.name in pictures:
                (HERE / f"{pictures[drawing.name]}.png").write_bytes(render(drawing, "png"))
    if len(sys.argv) > 1:
        return
    with tempfile.TemporaryDirectory() as folder:
        run, svg = terminal_svg(folder)
        (HERE / "terminal.svg").write_text(svg, encoding="utf-8")
        (HERE / "masks.png").write_bytes(render(masks(run), "png"))


if __name__ == "__main__":
    main()

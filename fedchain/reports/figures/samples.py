"""Figure of the pictures of held-out samples that a run wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

from fedchain.errors import RunError
from fedchain.reports.figures.style import WIDTH_IN, Drawing, finished, styled
from fedchain.reports.study import Study

MOST = 6
"""Most pictures in the figure."""
PIXELS = 4_000_000
"""Most pixels of a picture that is read: samples of a run are far smaller."""


def samples(study: Study) -> Drawing | None:
    """Draw the pictures in samples/ one below the other, each under its name."""
    files = sorted((study.first.folder / "samples").glob("*.png"))[:MOST]
    if study.kind == "sweep" or not files:
        return None
    pictures = [_read(file) for file in files]
    heights = [0.22 + WIDTH_IN * p.shape[0] / p.shape[1] for p in pictures]
    with styled():
        figure = Figure(figsize=(WIDTH_IN, sum(heights)), layout="constrained")
        rows = figure.subplots(len(files), squeeze=False, height_ratios=heights)[:, 0]
        for ax, file, picture in zip(rows, files, pictures, strict=True):
            ax.imshow(picture, interpolation="nearest")
            ax.set_title(file.stem.replace("_", " "), pad=2)
            ax.set_axis_off()
    caption = (
        "Held-out samples: intensity and depth as scanned, the truth, what the model keeps, and "
        "its errors (orange: should be erased; yellow: should be kept)."
    )
    return finished("samples", caption, figure)


def _read(file: Path) -> npt.NDArray[np.uint8]:
    try:
        with Image.open(file, formats=["PNG"]) as picture:
            if picture.width * picture.height > PIXELS:
                size = f"{picture.width} x {picture.height}"
                raise RunError(f"{file}: more than {PIXELS} pixels, got {size}")
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise RunError(f"{file}: not a picture that can be read: {error}") from error

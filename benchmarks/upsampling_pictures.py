"""Pictures of clouds that become denser: as they are, and with 4 and 16 times as many points.

    python benchmarks/upsampling_pictures.py OUT

Writes OUT/upsampled.png: a generated shape that ``refine`` makes denser, beside midpoints.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch

from fedchain.arrays import Matrix
from fedchain.surfaces.generated import generate_shape, unit_sphere
from fedchain.surfaces.upsampling import UpsamplingMethod, upsample

ROWS: tuple[UpsamplingMethod, ...] = "midpoints", "refine"
"""The methods that are drawn, one a row."""
VIEW = 20, 40
"""Elevation and azimuth of the eye, in degrees."""


def main() -> None:
    """Draw the generated shape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    shape = generate_shape(11, ["picture"], "creatures", 1250, 0)
    draw_clouds(out, {"upsampled": shape.points})


def draw_clouds(out: Path, clouds: Mapping[str, Matrix]) -> None:
    """Write a picture of each cloud: OUT/NAME.png."""
    from matplotlib.figure import Figure

    out.mkdir(parents=True, exist_ok=True)
    for name, points in clouds.items():
        figure = Figure(figsize=(9.6, 3.4 * len(ROWS)), layout="constrained")
        for row, method in enumerate(ROWS):
            columns = [points, *(upsample(points, method, factor=k) for k in (4, 16))]
            for column, cloud in enumerate(columns):
                place = row * len(columns) + column + 1
                ax = figure.add_subplot(len(ROWS), len(columns), place, projection="3d")
                _draw(
                    ax, cloud, f"{method}: {len(cloud):,}" if column else f"{len(cloud):,} points"
                )
        figure.savefig(out / f"{name}.png", dpi=80)


def _draw(ax, cloud: Matrix, title: str) -> None:  # type: ignore[no-untyped-def]
    centre, radius = unit_sphere(cloud)
    x, y, z = ((cloud - centre) / radius).T
    size = 80 / len(cloud) ** 0.5
    ax.scatter(x, z, y, c=y + 0.5 * x, cmap="viridis", s=size, linewidths=0, depthshade=False)
    ax.view_init(*VIEW)
    ax.set_box_aspect((1, 1, 1), zoom=1.5)
    ax.set(xlim=(-0.8, 0.8), ylim=(-0.8, 0.8), zlim=(-0.8, 0.8))
    ax.set_axis_off()
    ax.set_title(title, fontsize=10, y=0.97)


if __name__ == "__main__":
    main()

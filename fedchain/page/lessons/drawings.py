"""Drawings: the pictures of worksheets and slides, as SVG made from the lessons' data."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from fedchain.arrays import Vector
from fedchain.page.lessons.numbers import EPSILONS, Data, letter, setting

Points = Sequence[tuple[float, float]]
"""Places in a chart."""
PLANE, CLOUD = 400, 210
"""Widths of the square pictures, in pixels of CSS."""
WIDE, HIGH = 460, 220
"""Width and height of a chart."""
LEFT, TOP, RIGHT, BOTTOM = 34, 26, 84, 34
"""Margins of a chart."""
MOST_PRINTED = 1500
"""Largest number of points of a printed scan; of more, one in n is drawn."""


def plane(data: Data, solved: bool) -> str:
    """Return the arrows of lesson 3 in a plane, with their letters; solved: with sum and step."""
    arrows = np.array(data["arrows"])
    lengths = np.hypot(*arrows.T)
    unit = (PLANE / 2 - 30) / lengths.max()
    parts = [
        f'<circle class="faint" r="{np.median(lengths) * unit:.1f}"/>',
        f'<path class="faint" d="M{-PLANE / 2} 0h{PLANE}M0 {-PLANE / 2}v{PLANE}"/>',
    ]
    parts += [_arrow(letter(place), arrow) for place, arrow in enumerate(arrows * unit)]
    if solved:
        total = np.array(data["sum"])
        ahead = total / np.hypot(*total) * lengths.max() * unit * 0.9
        parts.append(_arrow("sum", ahead, kind="faint"))
        parts.append(_arrow("step", np.array(data["gradient"]) * unit, kind="bold"))
    inside = f'<g transform="translate({PLANE / 2} {PLANE / 2})">{"".join(parts)}</g>'
    return svg(PLANE, PLANE, inside)


def _arrow(name: str, arrow: Vector, kind: str = "ink") -> str:
    x, y = arrow
    turn, away = -math.degrees(math.atan2(y, x)), 1 + 16 / math.hypot(x, y)
    return (
        f'<path class="{kind}" d="M0 0L{x:.1f} {-y:.1f}"/>'
        f'<path class="full" transform="translate({x:.1f} {-y:.1f}) rotate({turn:.1f})" '
        'd="M2 0l-10 -4.5v9z"/>'
        f'<text x="{x * away:.1f}" y="{-y * away + 4:.1f}" text-anchor="middle">{name}</text>'
    )


def epsilon_chart(data: Data, measured: bool) -> str:
    """Return the axes of lesson 4, with the measured runs or without."""
    by_epsilon: dict[float, list[float]] = {}
    for curve in data["curves"]:
        by_epsilon.setdefault(float(curve["epsilon"]), []).append(curve["iou"][-1])
    names = [setting(e) if math.isfinite(e) else EPSILONS[-1] for e in sorted(by_epsilon)]
    ticks = [(float(place), name) for place, name in enumerate(names)]
    columns = [by_epsilon[e] for e in sorted(by_epsilon)]
    dots = [(float(at), iou) for at, ious in enumerate(columns) for iou in ious]
    line = [(float(at), float(np.mean(ious))) for at, ious in enumerate(columns)]
    everything = [(at, data["keep_everything"]) for at, _ in ticks]
    lines = {"keep all": everything, **({"measured": line} if measured else {})}
    return chart(ticks, ("ε", "IoU"), 1.0, lines, dots if measured else [])


def forks_chart(data: Data, measured: bool) -> str:
    """Return the axes of lesson 2, with the recorded chains and the law or without."""
    dots = [(point["delay_s"] / point["interval_s"], point["lost"]) for point in data["points"]]
    most = max(x for x, _ in dots)
    law = [(x, x / (1 + x)) for x in np.linspace(0, most, 33)]
    ticks = [(float(x), setting(float(x))) for x in sorted({x for x, _ in dots})[1:]]
    axes = "x = delay / time between blocks", "share of blocks that are lost"
    return chart(ticks, axes, 0.5, {"x / (1 + x)": law} if measured else {}, dots * measured)


def cloud_from_above(data: Data) -> str:
    """Return the points of lesson 7 from above."""
    points = np.frombuffer(base64.b64decode(data["points"]), "<i2").reshape(-1, 3)
    flat = points[:: -(-len(points) // MOST_PRINTED), ::2].astype(float)
    flat = (flat - flat.min(axis=0)) / np.ptp(flat, axis=0).max() * (CLOUD - 10) + 5
    dots = "".join(f"M{x:.0f} {y:.0f}h1.5" for x, y in flat)
    return svg(CLOUD, int(flat[:, 1].max()) + 6, f'<path class="dots" d="{dots}"/>')


def chart(
    ticks: Sequence[tuple[float, str]],
    axes: tuple[str, str],
    top: float,
    lines: Mapping[str, Points],
    dots: Points,
) -> str:
    """Return a chart whose vertical axis runs from 0 to ``top``."""
    low = min(0.0, ticks[0][0])
    high = max(ticks[-1][0], *(x for points in lines.values() for x, _ in points), 0.0)

    def at(x: float, y: float) -> str:
        right = LEFT + (x - low) / (high - low) * (WIDE - LEFT - RIGHT)
        return f"{right:.1f} {TOP + (1 - y / top) * (HIGH - TOP - BOTTOM):.1f}"

    parts = []
    for y in np.linspace(0, top, 6):
        start, end = at(low, y), at(high, y)
        across, down = start.split()
        parts.append(
            f'<path class="faint" d="M{start}L{end}"/>'
            f'<text x="{float(across) - 6}" y="{float(down) + 4}" text-anchor="end">'
            f"{setting(float(y))}</text>"
        )
    for x, name in ticks:
        across = at(x, 0).split()[0]
        parts.append(f'<text x="{across}" y="{HIGH - 18}" text-anchor="middle">{name}</text>')
    middle = (LEFT + WIDE - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HIGH - 3}" text-anchor="middle">{escape(axes[0])}</text>')
    parts.append(f'<text x="0" y="12">{escape(axes[1])}</text>')
    for name, points in lines.items():
        across, down = at(*points[-1]).split()
        parts.append(
            f'<path class="ink" d="M{"L".join(at(*point) for point in points)}"/>'
            f'<text x="{float(across) + 6}" y="{float(down) + 4}">{escape(name)}</text>'
        )
    for point in dots:
        across, down = at(*point).split()
        parts.append(f'<circle class="dot" cx="{across}" cy="{down}" r="3"/>')
    return svg(WIDE, HIGH, "".join(parts))


def svg(width: int, height: int, inside: str) -> str:
    """Return an SVG element."""
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'aria-hidden="true">{inside}</svg>'
    )

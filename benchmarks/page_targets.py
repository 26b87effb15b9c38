"""Targets of the benchmark's page: the bound of each, what was measured, and whether it is met."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from page_numbers import (
    Results,
    Row,
    fastest,
    find,
    less,
    ratio,
    shown,
    stages_of,
    sum_of,
    table,
)
from plan import FLOWER, OPACUS


def targets_section(rows: list[Row], results: Results) -> str:
    """Return the table of targets: the bound, the measured value, and whether it is met."""
    lines = []
    for what, wanted, value in targets(rows, results):
        if value is None:
            continue
        bound = float(wanted.split()[-1])
        met = value >= bound if wanted.startswith("at least") else value <= bound
        lines.append([what, wanted, shown(value), "yes" if met else "**no**"])
    if not lines:
        return ""
    return "\n## Targets\n" + table(["", "wanted", "measured", "met"], lines)


def targets(rows: list[Row], results: Results) -> Iterable[tuple[str, str, float | None]]:
    """Yield every target: its description, its bound, and the measured value."""
    segments = "one batch, products by segment"
    noise, floors = (
        find(rows, "mlp 50 private", "noise alone, 2 threads"),
        results.get("floors", {}),
    )
    for holders in (50, 1000):
        ours, floor = (find(rows, f"mlp {holders}", name) for name in ("fedchain", segments))
        yield f"K = {holders}: fedchain / products by segment", "at most 1.35", ratio(ours, floor)
        private = find(rows, f"mlp {holders} private", "fedchain")
        whole = None if floor is None or noise is None else floor + noise * holders / 50
        words = f"K = {holders}, private: fedchain / (products by segment + noise)"
        yield words, "at most 1.35", ratio(private, whole)
    yield (
        "K = 50: Flower / fedchain",
        "at least 100",
        ratio(find(rows, "mlp 50", FLOWER), find(rows, "mlp 50", "fedchain")),
    )
    full = find(rows, "mlp 50 private", "fedchain, the full protocol")
    products, protocol = find(rows, "mlp 50", segments), sum_of(floors, "hash", "sign", "verify")
    if None not in (products, noise, protocol):
        least = products + noise + protocol
        yield "K = 50, private: the full protocol / its floors", "at most 1.4", ratio(full, least)
    yield (
        "K = 50, private: fastest simulator / the full protocol",
        "at least 1",
        ratio(fastest(rows, "mlp 50 private"), full),
    )
    if (stages := stages_of(rows, "mlp 50 private")) and noise and floors:
        floor = noise + (sum_of(floors, "hash", "sign") or 0)
        value = ratio(stages["noise"] + stages["signing"], floor)
        yield "K = 50: noise, quantising and signing / their floors", "at most 1.4", value
    image = find(rows, "unet", "fedchain")
    mode = min((ms for name in OPACUS if (ms := find(rows, "unet", name))), default=None)
    yield "U-Net: Opacus' best mode / fedchain", "at least 6", ratio(mode, image)
    yield from kernel_targets(results)
    yield from process_targets(rows, results.get("start", {}))
    yield from rule_targets(results.get("rules", {}))


def kernel_targets(results: Results) -> Iterable[tuple[str, str, float | None]]:
    """Yield the targets of the kernels: processor time without them, divided by that with them."""
    if "kernels" not in results:
        return
    for name, bound in (("first_light", 8), ("small_unet", 2.2)):
        yield f"gradients of {name}", f"at least {bound}", less(results["gradients"][name])
    fast, slow = results["kernels"]["normals, numpy's log"]
    yield "normal numbers, beside numpy's logarithm", "at least 2.5", ratio(slow, fast)


def process_targets(rows: list[Row], start: Results) -> Iterable[tuple[str, str, float | None]]:
    """Yield the targets of whole processes."""
    if not start:
        return
    peers = [row for row in rows if row["group"] == "mlp 50" and row["peer"]]
    runs = [[run for run in row["runs"] if run["found"]] for row in peers]
    runs = [[r for r in each if r["found"]["checked"] is None] or each for each in runs if each]
    for key, words in (
        ("seconds", "the fastest's seconds"),
        ("peak_mb", "the smallest's memory"),
    ):
        least = min((statistics.median(run[key] for run in each) for each in runs), default=None)
        ours = statistics.median(run[key] for run in start["run"])
        yield f"Whole process, K = 50: {words} / `fedchain run`", "at least 1", ratio(least, ours)
    for name, command, bound in (
        ("help", "`fedchain --help`", 0.3),
        ("import", "`import fedchain`", 0.5),
    ):
        seconds = statistics.median(run["seconds"] for run in start[name])
        yield f"{command}, seconds", f"at most {bound}", seconds


def rule_targets(rules: Results) -> Iterable[tuple[str, str, float | None]]:
    """Yield the targets of the aggregation rules."""
    ours, theirs = rules.get("fedchain", {}), rules.get("byzfl", {})
    for name, bound in (("l_nearest", 2.5), ("trimmed_mean", 8), ("median", 8)):
        reads = ratio(ours.get(name), ours.get("read_float32"))
        yield f"{name}, reads of the input as float32", f"at most {bound}", reads
    for name in ("l_nearest", "krum", "trimmed_mean", "median"):
        yield f"{name}: ByzFL / fedchain", "at least 7", ratio(theirs.get(name), ours.get(name))

"""The page of the benchmark: tables, ratios and targets, made from the measurements."""

from __future__ import annotations

import statistics

from page_numbers import (
    Results,
    Row,
    exponent,
    find,
    less,
    milliseconds,
    ratio,
    shown,
    stages_of,
    sum_of,
    table,
)
from page_targets import targets_section

HEAD = """# Performance
{gets}This page compares fedchain with other simulators, Opacus and plain torch on the same
workloads. `make bench` writes it in about a quarter of an hour; do not edit it.

{processor}, {cores} cores, {memory_gb} GB, {system}; Python {python}, torch {torch},
numpy {numpy}. {date}. Every row is a process of its own with two threads of torch (fedchain: two
threads of its own). The rows of a table took turns, and the tables show medians. A fixed piece of
arithmetic shows other load: it took {least:.1f} ms at best and {worst:.2f} times that in the median
process. A `*` marks rows in which it took more than 1.3 times the best.
"""
DENSE = """
## A dense network
The network 784-64-10 has 50,890 weights. K holders of 60 records each all take part in every
round, with one full-batch gradient. *Private*: each holder's gradient is clipped as a whole (*a
record each*: the gradient of each record) and gets its own Gaussian noise. pfl has a mechanism for
this; the others were given one in a few lines of torch. *One batch, products by segment* is plain
torch: one batch of all records, then one matrix product for each holder and layer.

fedchain's row is the learning part of a round: gradients, clipping, noise, normalisation to the
integers that are sent, exact l-nearest (the others: the mean), update. *The full protocol* adds
hashes, signatures, work of 8 bits, three compute nodes that check each other, and the ledger on
disk. A row without privacy fails unless its last weights agree with a plain loop in float64 to 1e-4
(fedchain is checked round by round, since rounding may bring a ReLU to its other side).

The table shows milliseconds a round without start-up. The last two columns are measured from
outside, from cold start to end: 50 holders, not private, 53 rounds (Flower: 11). Memory is the
largest sum over all processes.
"""
IMAGES = """
## A small U-Net
The U-Net has two levels, 8 channels and 29,393 weights; its inputs are 64 x 64 x 2. Each of 10
holders has 8 scans. The gradient of every scan is clipped; only the full protocol adds noise.
Opacus' expanded weights do not support transposed convolutions. Its ghost clipping has no rule for
the norms of convolutions, and takes single examples' gradients there.
"""


def written(results: Results) -> str:
    """Return the page as Markdown."""
    rows = [row for row in results["rows"] if row["runs"]]
    gauges = [run["gauge"] for row in rows for run in row["runs"] if run["gauge"]]
    best = min(gauges, default=0.0)
    worst = statistics.median(gauges) / best if gauges else 0.0
    machine = results["machine"]
    gets = what_a_user_gets(results)
    parts = [
        HEAD.format(**machine, date=results["date"], least=best, worst=worst, gets=gets),
        kernels_section(results),
        dense_section(rows, best, results.get("start", {})),
        images_section(rows, best),
        *([rules_section(results["rules"])] if "rules" in results else []),
        stages_section(rows, results.get("floors", {})),
        growth_section(rows),
        targets_section(rows, results),
    ]
    return "".join(part for part in parts if part).rstrip() + "\n"


def what_a_user_gets(results: Results) -> str:
    """Return a paragraph in plain words; empty if the kernels were not measured."""
    if "kernels" not in results:
        return ""
    small, wide = (less(results["gradients"][name]) for name in ("first_light", "small_unet"))
    fast, slow = results["kernels"]["normals, numpy's log"]
    return (
        "With the compiled kernels, the gradients of the model of `first_light` take "
        f"{small:.0f} times less\nprocessor time than with torch's layers, those of a small U-Net "
        f"{wide:.1f} times less, and normal noise\n{slow / fast:.1f} times less than by numpy's "
        "logarithm and cosine. What the kernels compute has the same\nbits on every processor. "
        "Without a C compiler everything works, at the lower speed.\n\n"
    )


def kernels_section(results: Results) -> str:
    """Return the table of the kernels beside numpy and torch; empty if they were not measured."""
    if "kernels" not in results:
        return ""
    lines = []
    for name, ways in results["gradients"].items():
        pair = ways["clipped, engine"]["processor"], ways["clipped, layers"]["processor"]
        each = [shown(1000 * seconds) for seconds in pair]
        lines.append([f"gradients of {name}, ms a round", *each, shown(less(ways))])
    for name, (fast, slow) in results["kernels"].items():
        each = [shown(1000 * seconds) for seconds in (fast, slow)]
        lines.append([f"{name}, ms", *each, shown(slow / fast)])
    text = (
        "\n## Kernels\nProcessor time with the compiled kernels and without. "
        "Gradients are clipped one by one\n(`benchmarks/gradients.py`); the other lines are passes "
        "over 50 rows of 50,890 numbers (`benchmarks/kernels.py`).\n"
    )
    return text + table(["", "kernels", "without", "ratio"], lines)


def dense_section(rows: list[Row], best: float, start: Results) -> str:
    """Return the table of the dense network."""
    mine = [row for row in rows if row["group"].startswith("mlp")]
    if not mine:
        return ""
    groups = list(dict.fromkeys(row["group"] for row in mine))
    names = list(dict.fromkeys(row["name"] for row in mine))
    lines = []
    for name in names:
        cells = []
        for group in groups:
            row = next((r for r in mine if (r["group"], r["name"]) == (group, name)), None)
            cells.append(shown(milliseconds(row), loaded(row, best)) if row else "-")
        of_50 = [r for r in mine if (r["group"], r["name"]) == ("mlp 50", name)]
        lines.append([titled(mine, name), *cells, *whole(of_50)])
    heads = [f"K = {group.removeprefix('mlp ').replace(' ', ', ')}" for group in groups]
    if runs := start.get("run"):
        seconds, memory = (
            statistics.median(run[key] for run in runs) for key in ("seconds", "peak_mb")
        )
        blank = ["-"] * len(groups)
        lines.append(["`fedchain run`, ledger and all", *blank, shown(seconds), shown(memory)])
    return DENSE + table(["", *heads, "process, s", "memory, MB"], lines) + failures(mine)


def titled(rows: list[Row], name: str) -> str:
    """Return a row's name with the version of the peer."""
    row = next(r for r in rows if r["name"] == name)
    found = next((run["found"] for run in row["runs"] if run["found"]), {})
    return f"{name} {found['version']}" if row["peer"] and found else name


def whole(rows: list[Row]) -> list[str]:
    """Return the whole process's median seconds and memory; checked runs do not count."""
    runs = [run for row in rows for run in row["runs"] if run["found"]]
    free = [run for run in runs if run["found"]["checked"] is None] or runs
    if not free:
        return ["-", "-"]
    return [shown(statistics.median(run[key] for run in free)) for key in ("seconds", "peak_mb")]


def loaded(row: Row, best: float) -> str:
    """Return a mark if another program kept the machine busy."""
    gauges = [run["gauge"] for run in row["runs"] if run["found"]]
    return "*" if gauges and statistics.median(gauges) > 1.3 * best else ""


def failures(rows: list[Row]) -> str:
    """Return a line for every row that did not run."""
    reasons = {row["name"]: run["reason"] for row in rows for run in row["runs"] if run["reason"]}
    return "".join(f"\n{name}: did not run, {reason}\n" for name, reason in reasons.items())


def images_section(rows: list[Row], best: float) -> str:
    """Return the table of the U-Net."""
    mine = [row for row in rows if row["group"] == "unet"]
    if not mine:
        return ""
    ours = find(mine, "unet", "fedchain")
    lines = [
        [
            row["name"],
            shown(milliseconds(row), loaded(row, best)),
            shown(ratio(milliseconds(row), ours)),
        ]
        for row in mine
    ]
    return IMAGES + table(["", "ms a round", "times fedchain"], lines) + failures(mine)


def rules_section(rules: Results) -> str:
    """Return the table of the aggregation rules."""
    ours, theirs = rules["fedchain"], rules["byzfl"]
    read = ours.get("read_float32")
    lines = [
        [
            name,
            shown(ms),
            shown(ratio(ms, read)),
            shown(theirs.get(name)),
            shown(ratio(theirs.get(name), ms)),
        ]
        for name, ms in ours.items()
        if not name.startswith("read")
    ]
    head = ["rule", "fedchain, ms", "reads of the input", "ByzFL, ms", "ByzFL / fedchain"]
    text = (
        "\n## Aggregation rules\nThe rules combine 100 gradients of a million entries each, "
        f"already received. One read of as many float32 takes {shown(read)} ms. ByzFL has no "
        "l-nearest; its row shows MultiKrum, which also keeps the nearest gradients.\n"
    )
    return text + table(head, lines)


def stages_section(rows: list[Row], floors: Results) -> str:
    """Return the table of the stages of a round with the full protocol, with their times."""
    what = {
        "gradients": (
            "one batch, products by segment",
            find(rows, "mlp 50", "one batch, products by segment"),
        ),
        "noise": (
            "normal numbers in place, 2 threads",
            find(rows, "mlp 50 private", "noise alone, 2 threads"),
        ),
        "signing": ("SHA-256 of what is sent, signatures", sum_of(floors, "hash", "sign")),
        "network": ("every signature checked once", sum_of(floors, "verify")),
        "aggregation": ("one read of what was sent", sum_of(floors, "read")),
        "ledger": (
            "the same bytes written and synced; fedchain writes beside the round",
            sum_of(floors, "write"),
        ),
    }
    text = ""
    if stages := stages_of(rows, "mlp 50 private"):
        lines = []
        for stage, ms in stages.items():
            words, floor = what.get(stage, ("-", None))
            share = f"{ms / sum(stages.values()):.1%}"
            lines.append([stage, shown(ms), share, shown(floor), words])
        head = ["dense network, 50 holders, private", "ms", "share", "floor, ms", "which is"]
        text += table(head, lines)
    if stages := stages_of(rows, "unet"):
        total = sum(stages.values())
        lines = [[stage, shown(ms), f"{ms / total:.1%}"] for stage, ms in stages.items()]
        text += table(["U-Net, 10 holders, private", "ms", "share"], lines)
    intro = (
        "\n## Where a round with the full protocol spends its time\n"
        "The floor is the least time that a stage needs: the time of the work in the last column.\n"
    )
    return intro + text if text else ""


def growth_section(rows: list[Row]) -> str:
    """Return the table of the growth of time with holders, weights, records and rounds."""
    lines = []
    names = list(dict.fromkeys(r["name"] for r in rows if r["ours"] or r["peer"]))
    for name in names:
        pairs = [
            (float(row["group"].split()[1]), milliseconds(row))
            for row in rows
            if row["name"] == name and row["group"].removeprefix("mlp ").isdigit()
        ]
        pairs = [(k, ms) for k, ms in pairs if ms]
        if len(pairs) > 1:
            lines.append([f"{name}: holders", "-".join(shown_sizes(pairs)), shown_fit(pairs)])
    for what in ("weights", "records"):
        mine = [row for row in rows if row["group"] == f"growth {what}"]
        pairs = [(float(row["name"]), ms) for row in mine if (ms := milliseconds(row))]
        if len(pairs) > 1:
            lines.append([f"fedchain: {what}", "-".join(shown_sizes(pairs)), shown_fit(pairs)])
    for row in rows:
        if row["group"] == "growth rounds" and row["runs"][0]["found"]:
            each = row["runs"][0]["found"]["rounds_ms"]
            pairs = [(float(n), sum(each[:n])) for n in (len(each) // 5, len(each) // 2, len(each))]
            lines.append(
                ["fedchain: rounds, full protocol", "-".join(shown_sizes(pairs)), shown_fit(pairs)]
            )
    if not lines:
        return ""
    words = "Time grows as size^p. The table shows the exponent p, fitted over the sizes."
    text = f"\n## Growth\n{words}\n"
    return text + table(["", "sizes", "exponent"], lines)


def shown_sizes(pairs: list[tuple[float, float]]) -> list[str]:
    """Return the smallest and the largest size."""
    return [f"{min(pairs)[0]:.0f}", f"{max(pairs)[0]:.0f}"]


def shown_fit(pairs: list[tuple[float, float]]) -> str:
    """Return the exponent of the growth with two digits."""
    return f"{exponent(*zip(*pairs, strict=True)):.2f}"

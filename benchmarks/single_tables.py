"""Tables that are on one page only, in Markdown, made from the outcomes of commands."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measuring import machine
from page_tables import (
    Axis,
    Made,
    Outcome,
    Row,
    cell,
    chosen,
    grid_of,
    points_of,
    read,
    short,
    table,
    values_of,
)

DIRECTIONS = tuple(
    f"{inputs}, {split}"
    for split in ("IID", "Dirichlet 1")
    for inputs in ("all 64", "16 of public records", "16 random")
)
SCAN_GROUPS = ("each for itself", "groups of 5", "all 20 together")
STEP = "update.learning_rate"


def effort_table(outcomes: Sequence[Outcome]) -> str:
    """Return the costs of forks, by the mean interval between blocks."""
    asked = {"stale_share": 3, "releases": 2, "time_s": 0, "epsilon": 2}
    lines = []
    for row in read(outcomes[0].folder / "tables" / "effort.csv"):
        cells = [row["ledger.work.interval_s"].removesuffix(".0")]
        for name, digits in asked.items():
            mean, high = (float(row[f"{name}_{end}"]) for end in ("mean", "high"))
            cells.append(f"{short(mean, digits)} ± {short(high - mean, digits)}")
        lines.append(cells)
    words = "interval, s", "stale share", "releases per holder and block"
    return table([*words, "seconds until .85", "epsilon until .85"], lines)


def pivoted_table(outcomes: Sequence[Outcome]) -> str:
    """Return the table of the score by the axis, as the report of a sweep writes it."""
    text = (outcomes[0].folder / "tables" / "accuracy_by_privacy_epsilon.md").read_text("utf-8")
    return text.partition("\n\n")[0] + "\n"


def kept_table(outcomes: Sequence[Outcome]) -> str:
    """Return the share of the gain over keeping everything that remains with noise.

    The gain of a run with noise is divided by the gain without noise at the same seed.
    """
    folder = outcomes[0].folder
    grid, points = grid_of(folder), points_of(folder)
    *finite, none = grid["privacy.epsilon"]
    keep = {row["run"]: baseline(folder, row["run"], "keep_everything", "iou") for row in points}
    lines = []
    for name, groups in zip(SCAN_GROUPS, grid["nodes.groups"], strict=True):
        gains = {
            epsilon: {
                row["seed"]: float(row["iou"]) - keep[row["run"]]
                for row in chosen(points, {"nodes.groups": groups, "privacy.epsilon": epsilon})
            }
            for epsilon in grid["privacy.epsilon"]
        }
        shares = [[gains[e][s] / gains[none][s] for s in gains[e]] for e in finite]
        lines.append([name, *map(cell, shares)])
    return table(["noise", "ε 1", "4", "8"], lines)


def lost_table(outcomes: Sequence[Outcome]) -> str:
    """Return the IoU by holders, and the loss of IoU by noise between runs of the same seed."""
    folder = outcomes[0].folder
    grid, points = grid_of(folder), points_of(folder)
    alone, groups = grid["nodes.groups"]
    four, none = grid["privacy.epsilon"]
    lines = []
    for holders in grid["nodes.holders"]:
        found = {
            (who, epsilon): values_of(points, "iou", {
                "nodes.holders": holders, "nodes.groups": who, "privacy.epsilon": epsilon,
            })
            for who in (alone, groups) for epsilon in (four, none)
        }  # fmt: skip
        lost = [
            [b - a for a, b in zip(found[who, four], found[who, none], strict=True)]
            for who in (alone, groups)
        ]
        shown = found[alone, four], found[groups, four], found[alone, none], *lost
        lines.append([holders, *map(cell, shown)])
    head = "each for itself", "groups of ten: 8 honest, 1 may be lost", "no noise"
    return table(["holders", *head, "lost, for itself", "lost, in groups"], lines)


def against_first(rows: Axis, columns: Axis, metric: str) -> Made:
    """Return a grid table; a bold cell differs from the first column at 5 % (Welch's t-test)."""

    def made(outcomes: Sequence[Outcome]) -> str:
        from scipy.stats import ttest_ind

        grid, points = grid_of(outcomes[0].folder), points_of(outcomes[0].folder)
        heads, lines = columns.entries(grid), []
        for word, where in rows.entries(grid):
            found = [values_of(points, metric, {**where, **more}) for _, more in heads]
            tests = [ttest_ind(found[0], each, equal_var=False).pvalue for each in found[1:]]
            bold = [False, *(p < 0.05 for p in tests)]
            cells = zip(map(cell, found), bold, strict=True)
            lines.append([word, *(f"**{text}**" if differs else text for text, differs in cells)])
        return table([rows.heading, *(word for word, _ in heads)], lines)

    return made


def tuned_table(rows: Axis, columns: Axis, metric: str) -> Made:
    """Return a grid table in which each cell uses the step size that was best on other seeds.

    The first sweep of the maker chooses the step sizes; the table shows the second sweep.
    """

    def made(outcomes: Sequence[Outcome]) -> str:
        tuning, points = (points_of(each.folder) for each in outcomes[:2])
        grid = grid_of(outcomes[1].folder)
        heads, lines = columns.entries(grid), []
        for word, where in rows.entries(grid):
            cells = [stepped(tuning, points, metric, {**where, **more}) for _, more in heads]
            lines.append([word, *(f"{cell(values)} ({short(step, 2)})" for step, values in cells)])
        return table([rows.heading, *(word for word, _ in heads)], lines)

    return made


def stepped(
    tuning: Sequence[Row], points: Sequence[Row], metric: str, where: Mapping[str, str]
) -> tuple[float, list[float]]:
    """Return the best step size in one sweep, and its results in another sweep."""
    steps = dict.fromkeys(row[STEP] for row in tuning)
    best = max(steps, key=lambda s: statistics.mean(values_of(tuning, metric, {**where, STEP: s})))
    return float(best), values_of(points, metric, {**where, STEP: best})


def directions_table(outcomes: Sequence[Outcome]) -> str:
    """Return the accuracy by task and epsilon, and that of models of the public records alone."""
    tuning, points = (points_of(each.folder) for each in outcomes[:2])
    folder = outcomes[1].folder
    epsilons = grid_of(folder)["privacy.epsilon"]
    lines = []
    for word, task in zip(DIRECTIONS, grid_of(folder)["task"], strict=True):
        cells, where = [], {"task": task}
        for epsilon in epsilons:
            step, found = stepped(tuning, points, "accuracy", {**where, "privacy.epsilon": epsilon})
            cells.append(f"{cell(found)} ({short(step, 1)})")
        public = "public_pca" in task
        few = {**where, "privacy.epsilon": epsilons[0], STEP: grid_of(folder)[STEP][0]}
        cells.append(cell(public_alone(folder, points, few)) if public else "")
        lines.append([word, *cells])
    return table(["inputs", "\u03b5 1", "8", "none", "public records alone"], lines)


def warm_table(outcomes: Sequence[Outcome]) -> str:
    """Return the accuracy without public records, from them alone, and with a warm start."""
    cold_tuning, cold, warm_tuning, warm = (points_of(each.folder) for each in outcomes[:4])
    lines = []
    for epsilon in grid_of(outcomes[3].folder)["privacy.epsilon"]:
        where = {"privacy.epsilon": epsilon}
        without_step, without = stepped(cold_tuning, cold, "accuracy", where)
        step, found = stepped(warm_tuning, warm, "accuracy", where)
        alone = public_alone(outcomes[3].folder, warm, {**where, STEP: repr(step)})
        cells = [f"{cell(without)} ({short(without_step, 2)})", cell(alone)]
        cells += [f"{cell(found)} ({short(step, 2)})", gain(found, alone)]
        lines.append([epsilon, *cells])
    words = "without (step)", "public records alone", "warm start (step)"
    return table(["total epsilon", *words, "warm start less public alone, by pairs"], lines)


def public_table(outcomes: Sequence[Outcome]) -> str:
    """Return the accuracy by number of public records: from them alone, and with a warm start."""
    folder = outcomes[4].folder
    points, numbers = points_of(folder), grid_of(folder)["task.records"]
    found = [values_of(points, "accuracy", {"task.records": n}) for n in numbers]
    alone = [public_alone(folder, points, {"task.records": n}) for n in numbers]
    gains = [gain(*pair) for pair in zip(found, alone, strict=True)]
    lines = [["alone", *map(cell, alone)], ["warm start", *map(cell, found)]]
    return table(["public records", *numbers], [*lines, ["difference", *gains]])


def public_alone(folder: Path, points: Sequence[Row], where: Mapping[str, str]) -> list[float]:
    """Return the accuracy of models of the public records alone, in the order of the seeds."""
    runs = [row["run"] for row in chosen(points, where)]
    return [baseline(folder, run, "public_only", "accuracy") for run in runs]


def gain(values: Sequence[float], others: Sequence[float]) -> str:
    """Return the mean difference of paired values, with its sign."""
    text = cell([a - b for a, b in zip(values, others, strict=True)])
    return text if text.startswith("-") else f"+{text}"


def masks_table(outcomes: Sequence[Outcome]) -> str:
    """Return the milliseconds of secure aggregation by the size of the groups."""
    told: dict[str, float] = outcomes[0].told
    sizes = list(dict.fromkeys(name.split()[2].strip(",") for name in told if "groups" in name))
    whole = [told[f"groups of {size}, 0 lost"] for size in sizes]
    lost = [told[f"groups of {size}, {int(size) // 3} lost"] for size in sizes]
    lines = [["nobody lost, ms", *(f"{ms:.0f}" for ms in whole)]]
    lines += [["as many as may be lost (a third), ms", *(f"{ms:.0f}" for ms in lost)]]
    return table(["groups of", *sizes], lines)


def weights_table(outcomes: Sequence[Outcome]) -> str:
    """Return the accuracies of each rule by how much holders count, with the gain by records."""
    told: dict[str, Any] = {k: v for k, v in outcomes[0].told.items() if k != "differing"}
    gains = [statistics.mean(b) - statistics.mean(a) for a, b, _ in told.values()]
    lines = [
        [f"`{name}`", *map(cell, found), short(gain)]
        for (name, found), gain in zip(told.items(), gains, strict=True)
    ]
    return table(["rule", "all alike", "by records", "up to the median", "gain"], lines)


def agreed_table(outcomes: Sequence[Outcome]) -> str:
    """Return the milliseconds and shares of what is agreed, without forks and with."""
    from agreed import LINES

    told = outcomes[0].told
    kinds = list(told)
    lines = [
        [words, *(f"{told[kind][name]:.2f}, {told[kind][f'{name}_share']:.1%}" for kind in kinds)]
        for name, words in LINES.items()
    ]
    whole = ["a round in all, CPU time", *(f"{told[kind]['cpu']:.1f}" for kind in kinds)]
    blocks = ["blocks signed", *(f"{told[kind]['blocks']:.2f}" for kind in kinds)]
    rows = ["rows computed", *(f"{told[kind]['computed']:.2f}" for kind in kinds)]
    sent = ["rows sent", *(f"{told[kind]['sent']:.2f}" for kind in kinds)]
    return table(["per round; ms, share of the round", *kinds], [blocks, rows, sent, whole, *lines])


def results_table(outcomes: Sequence[Outcome]) -> str:
    """Return the scores of seed 0 and over all seeds, beside baselines, and the machine."""
    known = {"first-light": ("simulated scans, 20 holders, 2 sign-flippers from round 20", "IoU"),
             "breast-cancer": ("logistic regression, 10 holders", "accuracy")}  # fmt: skip
    lines = []
    for outcome in outcomes:
        points = points_of(outcome.folder)
        manifest = manifest_of(outcome.folder, points[0]["run"])
        words, metric = known[manifest["name"]]
        key = metric.lower()
        private, plain = (
            values_of(points, key, {"privacy.kind": kind}) for kind in ("gaussian", "none")
        )
        found = {n.split("_")[0]: v[key] for n, v in manifest["baselines"].items() if key in v}
        lines.append(
            [
                f"`fedchain run {manifest['name'].replace('-', '_')}`",
                words,
                f"{metric} {short(private[0])} at epsilon {manifest['epsilon']['total']:.2f}",
                cell(private),
                cell(plain),
                ", ".join(f"{name} {short(value)}" for name, value in found.items()),
            ]
        )
    seeds = f"{len(private)} seeds"
    heads = ["command", "task", "private, seed 0", f"private, {seeds}", f"no privacy, {seeds}"]
    return table([*heads, "no learning, seed 0"], lines).rstrip() + "\n\n" + measured_on(manifest)


def with_machine(made: Made) -> Made:
    """Return a maker of a sweep's table that also says on which machine it was measured."""

    def both(outcomes: Sequence[Outcome]) -> str:
        folder = outcomes[0].folder
        manifest = manifest_of(folder, points_of(folder)[0]["run"])
        return f"{made(outcomes).rstrip()}\n\n{measured_on(manifest)}"

    return both


def measured_on(manifest: Mapping[str, Any]) -> str:
    """Return a sentence on the machine on which a run was made."""
    here, arithmetic = machine(), manifest["arithmetic"]
    return (
        f"Mean and 95 % interval (Student's t) over the seeds. Measured on {here['processor']}, "
        f"{here['cores']} cores, torch {here['torch']} ({arithmetic['cpu_capability']}), kernels "
        f"{arithmetic['kernels']}.\n"
    )


def manifest_of(sweep: Path, run: str) -> dict[str, Any]:
    """Return the manifest of a run of a sweep."""
    text = (sweep / "runs" / run / "manifest.json").read_text(encoding="utf-8")
    manifest: dict[str, Any] = json.loads(text)
    return manifest


def seeds_table(outcomes: Sequence[Outcome]) -> str:
    """Return a score for every seed, with privacy and without."""
    points = points_of(outcomes[0].folder)
    seeds = list(dict.fromkeys(row["seed"] for row in points))
    lines = []
    for word, kind in (("private", "gaussian"), ("without privacy", "none")):
        found = values_of(points, "iou", {"privacy.kind": kind})
        lines.append([word, *map(short, found), short(statistics.mean(found))])
    return table(["", *(f"seed {seed}" for seed in seeds), "mean"], lines)


def membership_table(outcomes: Sequence[Outcome]) -> str:
    """Return how well members are distinguished from other records, by claimed epsilon."""
    rows = rows_of(outcomes[0], "membership")
    lines = []
    for claimed in dict.fromkeys(row["claimed"] for row in rows):
        at = {row["attack"]: row for row in rows if row["claimed"] == claimed}
        shares = at["lira"]["true_positives"][:2]
        rates = ", ".join(f"{100.0 * each['share']:.2g} %" for each in shares)
        lines.append([claim(claimed), short(at["loss"]["auc"]), short(at["lira"]["auc"]), rates])
    words = "true positives at .1 % and 1 % false positives, lira"
    return table(["digits, 10 holders, 40 rounds", "AUC, loss", "AUC, lira", words], lines)


def linkability_table(outcomes: Sequence[Outcome]) -> str:
    """Return how well messages of one holder are linked, by measure and claimed epsilon."""
    rows = rows_of(outcomes[0], "linkability")
    measures = list(dict.fromkeys(row["likeness"] for row in rows))
    claims = list(dict.fromkeys(row["claimed"] for row in rows))
    found = {(row["claimed"], row["likeness"]): short(row["auc"], 2) for row in rows}
    lines = [[claim(c), *(found[c, m] for m in measures)] for c in reversed(claims)]
    return table(["digits, 10 holders, 40 rounds", *measures], lines)


def claim(epsilon: float | None) -> str:
    """Return a claimed epsilon in words."""
    return "no noise" if epsilon is None else f"epsilon {short(epsilon, 1 if epsilon < 100 else 0)}"


def rows_of(outcome: Outcome, attack: str) -> list[dict[str, Any]]:
    """Return the rows of one attack in an audit's folder."""
    found = json.loads((outcome.folder / "audit.json").read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = found["attacks"][attack]
    return rows


def baseline(folder: Path, run: str, name: str, metric: str) -> float:
    """Return the score of a baseline in a run of a sweep."""
    manifest = json.loads((folder / "runs" / run / "manifest.json").read_text(encoding="utf-8"))
    return float(manifest["baselines"][name][metric])

"""What the lessons' runs leave: chains, curves, masks and points, as the lessons' page reads them.

Each function takes finished runs and returns the content of one data file. Bytes are base64, bits
of a mask are packed row by row, the most significant bit first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fedchain.aggregation.directions import Directions
from fedchain.aggregation.inner_products import agreement_of
from fedchain.learning.evaluation import Evaluation
from fedchain.ledger.chain.state import weights_parts
from fedchain.ledger.storage.store import Store
from fedchain.ledger.tools.chain_file import exported
from fedchain.page.lines import b64, bits
from fedchain.page.records import page_records
from fedchain.reports.laws import stale_share
from fedchain.results import Run
from fedchain.results.folder import LEDGER
from fedchain.scans.segmentation import kept_by
from fedchain.scans.simulator.folder import simulate_folder
from fedchain.scans.training.evaluation import THE_MODEL, judge
from fedchain.scans.training.folders import list_folder
from fedchain.scans.training.images import OpenSet
from fedchain.scans.training.model_file import read_model
from fedchain.scans.training.shipped import shipped_model
from fedchain.scenario import Scenario, scenario_digest
from fedchain.simulation.setup import build_setup

Content = dict[str, Any]
"""The content of a data file."""
ASKED_DELAY_S = 0.15
"""Delay that lesson 2 asks about, in seconds: that of its scenario without the sweep."""
TREE_HEIGHT = 24
"""Height up to which a lesson draws the tree of a chain."""
LOOKED_AT = 2
"""Round of lesson 3 that is played by hand."""
SCAN_SHOWN = 4
"""Number of the held-out scan whose masks lesson 4 shows."""
TURNTABLES = {"turntables": 4, "views": 8, "size": (192, 256), "seed": 0}
"""What is simulated for lesson 7: scanners that the shipped model has not seen."""
VIEW_SHOWN = "turntable_03/scan_000"
"""The scan of lesson 7."""
STEPS_OF_INT16 = 30_000
"""Largest coordinate of a point as a whole number of 16 bits."""


def hash_record(run: Run) -> Content:
    """Return the last model and the last header of a chain."""
    with Store.open(run.folder / LEDGER, writable=False) as store:
        header, state = store.block(store.head).header, store.state(store.head)
    encoded = b"".join(bytes(part) for part in weights_parts(state))
    return {
        "model": b64(encoded),
        "first": len(encoded) - state.weights.nbytes,
        "header": b64(header.encoded),
        "weights_hash": header.weights_hash.hex(),
    }


def recorded_name(scenario: Scenario) -> str:
    """Return the name of a recorded run, which a new version of fedchain does not change."""
    return f"{scenario.name}-{scenario_digest(scenario)[:12]}-s{scenario.seed}"


def forks_record(runs: Sequence[Run]) -> Content:
    """Return the share of stale blocks of each run, and the tree of the first seed's chains."""
    points, trees = [], {}
    for run in runs:
        scenario, chain = run.manifest["scenario"], run.manifest["chain"]
        delay = scenario["network"]["latency_ms"]["value"] / 1000
        interval = scenario["ledger"]["work"]["interval_s"]
        x = delay / interval
        law = stale_share(x, len(chain["nodes"]))
        share = chain["stale_share"]
        point = {"delay_s": delay, "interval_s": interval, "seed": run.manifest["seed"]}
        points.append({**point, "lost": share, "law": law})
        if run.manifest["seed"] == 0:
            trees[f"{delay:g}"] = _tree(run)
    return {"asked_delay_s": ASKED_DELAY_S, "points": points, "trees": trees}


def _tree(run: Run) -> list[list[Any]]:
    """Return blocks as [height, place of the parent, seconds, whether on the main chain]."""
    with Store.open(run.folder / LEDGER, writable=False) as store:
        blocks = {block.header.hash: block.header for block in store.blocks()}
        name, main = store.head, set()
        while name in blocks:
            main.add(name)
            name = blocks[name].parent
    low = [name for name, header in blocks.items() if header.height <= TREE_HEIGHT]
    place = {name: at for at, name in enumerate(low)}
    return [
        [header.height, place.get(header.parent, -1), header.time_ms / 1000, name in main]
        for name in low
        for header in [blocks[name]]
    ]


def round_record(run: Run) -> Content:
    """Return the messages of one round as arrows of two coordinates, and the step of the chain."""
    with Store.open(run.folder / LEDGER, writable=False) as store:
        block = next(b for b in store.blocks() if b.header.height == LOOKED_AT)
        names = block.header.parent, block.header.hash
        before, after = (store.state(name).weights for name in names)
    rows = np.array([message.direction / 2.0**message.exponent for message in block.messages])
    fates = {event["id"]: event for event in run.messages_in(LOOKED_AT)}
    told = [fates[message.id.hex()] for message in block.messages]
    directions = Directions.of(np.round(rows * 2**20))
    norms = np.array([message.norm for message in block.messages])
    rate = run.manifest["scenario"]["update"]["learning_rate"]
    return {
        "arrows": (rows * norms[:, None]).tolist(),
        "sum": rows.sum(axis=0).tolist(),
        "cosines": agreement_of(directions).cosines.tolist(),
        "holders": [fate["holder"] for fate in told],
        "attacks": [fate["attack"] for fate in told],
        "used": [fate["used"] for fate in told],
        "keep": run.manifest["scenario"]["aggregation"]["keep"],
        "gradient": ((before - after) / rate).tolist(),
        "round": LOOKED_AT,
    }


def epsilon_record(runs: Sequence[Run]) -> Content:
    """Return the IoU of each run after each round, and what the first seed's models keep."""
    curves, masks = [], {}
    for run in runs:
        epsilon = run.manifest["scenario"]["privacy"]["epsilon"]
        seed = run.manifest["seed"]
        iou = [row["iou"] for row in run.metrics]
        curves.append({"epsilon": epsilon, "seed": seed, "iou": iou})
        if seed == 0:
            task, kept = _last_masks(run)
            masks[f"{float(epsilon):g}"] = bits(kept[SCAN_SHOWN])
    image, target = task.held_out.inputs[SCAN_SHOWN], task.held_out.targets[SCAN_SHOWN]
    light = np.where(np.isfinite(target), image[0], image[0].min())
    grey = (light - light.min()) / max(np.ptp(light), 1e-9) * 255
    keep_everything = run.manifest["baselines"]["keep_everything"]["iou"]
    return {
        "curves": curves,
        "keep_everything": keep_everything,
        "scan": {
            "height": target.shape[0],
            "width": target.shape[1],
            "intensity": b64(grey.astype(np.uint8).tobytes()),
            "valid": bits(np.isfinite(target)),
            "truth": bits(target == 1),
            "kept": masks,
        },
    }


def _last_masks(run: Run) -> tuple[Any, Any]:
    task = build_setup(run.scenario).task
    with Store.open(run.folder / LEDGER, writable=False) as store:
        weights = store.state(store.head).weights
    outputs = Evaluation(task)(np.asarray(weights, np.float64))[1]
    return task, kept_by(outputs, task.held_out.targets.shape)


def poison_record(scans: Run, table: Run) -> Content:
    """Return the page records of two runs that lesson 5 lets a reader scrub."""
    kinds = ("run", "round", "message", "gram")
    return {
        name: [record for record in page_records(run) if record["is"] in kinds]
        for name, run in (("scans", scans), ("table", table))
    }


def tampering_record(run: Run) -> Content:
    """Return the whole chain as a chain file."""
    with Store.open(run.folder / LEDGER, writable=False) as store:
        data, weights = b"".join(exported(store)), store.rules.dimension
        counts = [len(block.messages) for block in store.blocks()]
    work = run.manifest["scenario"]["ledger"]["work"]
    return {
        "chain": b64(data),
        "difficulty_bits": work["difficulty_bits"],
        "blocks": len(counts),
        "messages": sum(counts),
        "weights": weights,
    }


def points_record() -> Content:
    """Return the points of a simulated scan, the truth, and what three filters keep."""
    trained = read_model(shipped_model())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "scans"
        for _ in simulate_folder(folder, **TURNTABLES):
            pass
        listed, file = next(
            (each, scan)
            for each in list_folder(folder).sets
            for scan in each.scans
            if scan.name == VIEW_SHOWN
        )
        read = OpenSet.for_model(listed, trained.card).image(file)
        judged = judge(file, read, trained, {})
    valid = read.valid
    points = read.scan.positions[read.box][valid].astype(np.float64)
    points *= 1, -1, -1  # as clouds of the page have them: y down, z away from the reader
    points -= (points.min(axis=0) + points.max(axis=0)) / 2
    scale = np.abs(points).max() / STEPS_OF_INT16
    whole = np.round(points / scale).astype("<i2")
    names = {"model": THE_MODEL, "keep_everything": "keep_everything", "morphology": "morphology"}
    return {
        "points": b64(whole.tobytes()),
        "count": len(whole),
        "scale_m": scale,
        "truth": bits(judged[THE_MODEL].keep[valid]),
        "kept": {name: bits(judged[method].kept[valid]) for name, method in names.items()},
    }

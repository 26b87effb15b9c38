"""Runs made up in the run folder's format, so that studies are tested without training."""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

STAGES = (
    "gradients",
    "noise",
    "signing",
    "network",
    "aggregation",
    "work",
    "ledger",
    "evaluation",
)


@dataclass(frozen=True)
class MadeUpRun:
    folder: Path
    manifest: dict[str, Any]
    metrics: list[dict[str, Any]]
    messages: list[dict[str, Any]]


def make_run(
    folder: Path,
    *,
    rounds: int = 12,
    holders: int = 6,
    epsilon: float = 8.0,
    seed: int = 0,
    attack_from: int | None = None,
    score: str = "accuracy",
    name: str = "made-up",
    **scenario: Any,
) -> MadeUpRun:
    draw = np.random.default_rng(1000 + seed)
    private = math.isfinite(epsilon)
    best = 0.95 - (0.4 / (1 + epsilon) if private else 0.0) + draw.normal(0, 0.01)
    metrics, messages = [], []
    for t in range(1, rounds + 1):
        attacked = attack_from is not None and t >= attack_from
        block = f"{t:064x}"
        for k in range(holders):
            byzantine = attacked and k == holders - 1
            used = not byzantine and (k + t) % 5 != 0
            messages.append(
                {
                    "round": t,
                    "block": block,
                    "holder": k,
                    "id": f"{t * 100 + k:064x}",
                    "norm": 0.3,
                    "cosine": -0.4 if byzantine else 0.5,
                    "used": used,
                    "reason": "" if used else "far from the sum",
                    "epsilon": epsilon * math.sqrt(t / rounds) if private else None,
                    "attack": "sign_flip" if byzantine else "",
                    "late": False,
                }
            )
        here = [m for m in messages if m["round"] == t]
        metrics.append(
            {
                "round": t,
                "height": t,
                "block": block,
                "miner": t % 3,
                "time_s": 10.0 * t,
                "messages": holders,
                "used": sum(m["used"] for m in here),
                "byzantine": int(attacked),
                "byzantine_used": 0,
                "epsilon": epsilon * math.sqrt(t / rounds) if private else None,
                "releases": t,
                "stale_blocks": 0,
                "reorganisations": 0,
                "loss": 2.0 * math.exp(-t / 4) + 0.2,
                score: best * (1 - math.exp(-t / 3)),
                **{f"seconds_{s}": 0.02 * (8 - i) for i, s in enumerate(STAGES)},
            }
        )
    attacks = [] if attack_from is None else [
        {"kind": "sign_flip", "holders": [holders - 1], "from_round": attack_from}
    ]
    manifest = {
        "format": 1,
        "status": "finished",
        "name": name,
        "seed": seed,
        "digest": "abc123",
        "scenario": {
            "version": 1,
            "name": name,
            "description": "A made-up run <with> odd & characters.",
            "seed": seed,
            "rounds": rounds,
            "task": {"kind": "digits"},
            "nodes": {"holders": holders, "compute": 3, "identity": "registered"},
            "privacy": {"kind": "gaussian", "epsilon": epsilon if private else ".inf"},
            "aggregation": {"kind": "l_nearest", "keep": holders - 2},
            "attacks": attacks,
            **scenario,
        },
        "versions": {"fedchain": "0.1.0", "python": "3.11"},
        "platform": "Linux",
        "started": "2026-01-01T00:00:00+00:00",
        "ended": "2026-01-01T00:01:00+00:00",
        "head": f"{rounds:064x}",
        "height": rounds,
        "rounds": rounds,
        "seconds": {"total": 12.0, **{s: 0.02 * 12 * (8 - i) for i, s in enumerate(STAGES)}},
        "peak_rss_mb": 310.0,
        "score": score,
        "baselines": {"majority": {score: 0.1, "loss": 2.3}},
        "epsilon": {
            "per_release": 1.5,
            "total": epsilon if private else None,
            "delta": 1e-5,
            "worst_holder_releases": rounds,
        },
    }
    privacy = {"guarantee": "Each row is (8, 1e-5)-differentially private."}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "privacy.json").write_text(json.dumps(privacy))
    write_rows(folder / "metrics.csv", metrics)
    write_rows(folder / "messages.csv", messages)
    return MadeUpRun(folder, manifest, metrics, messages)


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def make_samples(folder: Path, count: int = 2) -> None:
    draw = np.random.default_rng(0)
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture = draw.integers(0, 255, (64, 256, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "samples" / f"sample_{number}.png")

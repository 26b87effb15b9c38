"""Runs made up in the run folder's format, so that studies are tested without training."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fedchain.reports.opening import read_run
from fedchain.reports.study import Recorded

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


def make_run(
    folder: Path,
    *,
    rounds: int = 12,
    holders: int = 6,
    epsilon: float = 8.0,
    seed: int = 0,
    attack_from: int | None = None,
    captured: float = 0.0,
    score: str = "accuracy",
    name: str = "made-up",
    status: str = "finished",
    digest: str = "abc123",
    **scenario: Any,
) -> Recorded:
    private = math.isfinite(epsilon)
    draw = np.random.default_rng(1000 + seed + int(100 * epsilon if private else 7))
    best = 0.95 - (0.4 / (1 + epsilon) if private else 0.0) + draw.normal(0, 0.02)
    events: list[dict[str, Any]] = []
    for t in range(1, rounds + 1):
        attacked = attack_from is not None and t >= attack_from
        block = f"{t:064x}"
        for k in range(holders):
            byzantine = attacked and k == holders - 1
            used = captured > 0 if byzantine else (k + t) % 5 != 0
            events.append(
                {
                    "event": "message",
                    "round": t,
                    "block": block,
                    "holder": k,
                    "id": f"{t * 100 + k:064x}",
                    "norm": 0.3,
                    "cosine": -0.4 if byzantine else 0.5,
                    "used": used,
                    "share": captured if byzantine else 0.25 if used else 0.0,
                    "score": -0.4 if byzantine else 0.5,
                    "reason": "" if used else "far from the sum",
                    "epsilon": epsilon * math.sqrt(t / rounds) if private else None,
                    "attack": "sign_flip" if byzantine else "",
                    "late": False,
                    "members": 1,
                }
            )
        here = events[-holders:]
        events.append(
            {
                "event": "round",
                "round": t,
                "height": t,
                "block": block,
                "miner": t % 3,
                "time_s": 10.0 * t,
                "messages": holders,
                "used": sum(m["used"] for m in here),
                "byzantine": int(attacked),
                "byzantine_used": int(attacked and captured > 0),
                "byzantine_share": captured if attacked else 0.0,
                "epsilon": epsilon * math.sqrt(t / rounds) if private else None,
                "releases": t,
                "stale_blocks": 0,
                "reorganisations": 0,
                "metrics": {
                    "loss": 2.0 * math.exp(-t / 4) + 0.2 * (1 - best),
                    score: best * (1 - math.exp(-t / 3)),
                },
                "seconds": {s: 0.02 * (8 - i) for i, s in enumerate(STAGES)},
            }
        )
    attacks = (
        []
        if attack_from is None
        else [{"kind": "sign_flip", "holders": [holders - 1], "from_round": attack_from}]
    )
    manifest = {
        "format": 2,
        "status": status,
        "name": name,
        "seed": seed,
        "digest": digest,
        "scenario": {
            "version": 1,
            "name": name,
            "description": "A made-up run <with> odd & characters.",
            "seed": seed,
            "rounds": rounds,
            "task": {"kind": "digits"},
            "nodes": {"holders": holders, "compute": 3, "identity": "registered"},
            "privacy": {"kind": "gaussian", "epsilon": epsilon if private else "inf"},
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
        "judged_by": "cosine with the sum",
        "score": score,
        "baselines": {"majority": {score: 0.1, "loss": 2.3}},
        "epsilon": {
            "per_release": 1.5,
            "total": epsilon if private else None,
            "delta": 1e-5,
            "worst_holder_releases": rounds,
        },
    }
    privacy = {"guarantee": "each row is <private>", "warnings": ["delta is large"]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "privacy.json").write_text(json.dumps(privacy))
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (folder / "events.ndjson").write_text(lines)
    return read_run(folder, messages=True)


def make_sweep(folder: Path, epsilons: tuple[float, ...] = (0.5, 2.0, math.inf)) -> None:
    """Three seeds at every epsilon, and one point that failed."""
    lines = ["privacy.epsilon,seed,run,status,error,accuracy,epsilon"]
    for epsilon in epsilons:
        for seed in range(3):
            name = f"made-up-{epsilon:g}-s{seed}"
            make_run(folder / "runs" / name, epsilon=epsilon, seed=seed)
            lines.append(f"{epsilon},{seed},{name},finished,,0.9,{epsilon}")
    lines.append("8.0,0,made-up-8-s0,failed,no <memory>,,")
    described = {
        "format": 1,
        "name": "made-up",
        "description": "",
        "grid": {"privacy.epsilon": [str(epsilon) for epsilon in epsilons]},
        "seeds": 3,
        "x": None,
        "y": "accuracy",
    }
    (folder / "sweep.json").write_text(json.dumps(described))
    (folder / "points.csv").write_text("\n".join(lines) + "\n")


def make_block_sweep(folder: Path) -> None:
    """Two seeds at every point of three axes, one of which is of whole blocks."""
    grid = {
        "nodes.groups": ["null", "{size: 10, honest: 0.8}"],
        "nodes.holders": ["10", "20"],
        "privacy.epsilon": ["0.5", "2.0", "inf"],
    }
    lines = [",".join([*grid, "seed,run,status,error"])]
    points = itertools.product(*grid.values(), range(2))
    for number, (groups, holders, epsilon, seed) in enumerate(points):
        make_run(folder / "runs" / f"r{number}", epsilon=float(epsilon), seed=seed, rounds=4)
        lines.append(f'"{groups}",{holders},{epsilon},{seed},r{number},finished,')
    described = {"format": 1, "name": "blocks", "description": "", "grid": grid, "seeds": 2}
    described |= {"x": "privacy.epsilon", "y": "accuracy"}
    (folder / "sweep.json").write_text(json.dumps(described))
    (folder / "points.csv").write_text("\n".join(lines) + "\n")


def make_samples(folder: Path, count: int = 2) -> None:
    draw = np.random.default_rng(0)
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture = draw.integers(0, 255, (64, 256, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "samples" / f"sample_{number}.png")


def make_audit(folder: Path, lower_bound: float = 3.5) -> dict[str, Any]:
    """Leave what audits of a run found: each attack once."""
    proved = {"lower_bound": lower_bound, "delta": 1e-5, "confidence": 0.95, "trials": 100}
    found = {"false_positives": 0.01, "share": 0.02, "ceiling": 0.5}
    picture = [[0.0, 1.0], [0.5, 0.25]]
    likeness = {"psnr": 8.0, "psnr_prior": 20.0, "ssim": -0.01, "ssim_prior": 0.3}
    pictures = {name: [picture] for name in ("truth", "prior", "found")}
    attacks: dict[str, Any] = {
        "canaries": [{"claimed": 4.0, **proved, "false_positive": 0.1, "false_negative": 0.2}],
        "one-run": [{"claimed": 4.0, **proved, "guesses": 10, "correct": 9}],
        "membership": [
            {
                "claimed": 4.0,
                **proved,
                "attack": "lira",
                "auc": 0.5,
                "true_positives": [found],
                "curve": [found],
            }
        ],
        "inversion": [
            {"claimed": None, "trials": 1, **likeness, "range": [0.0, 1.0], "pictures": pictures}
        ],
        "linkability": [
            {
                "claimed": 4.0,
                "trials": 9,
                "likeness": "norm",
                "confidence": 0.95,
                "rounds": 3,
                "auc": 0.5,
                "auc_half": None,
            }
        ],
    }
    (folder / "audit.json").write_text(json.dumps({"format": 1, "attacks": attacks}))
    return attacks

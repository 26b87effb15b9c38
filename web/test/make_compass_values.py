"""Write what numpy computes from the messages of runs: the values that the compass is tested with.

The values come from whole directions, not from their cosines, and from no code of the page.
``python web/test/make_compass_values.py RUN:ROUND .. > web/test/compass_values.json``
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fedchain.ledger.storage.store import Store
from fedchain.results.run import Run
from fedchain.transition import agreed_rule

KEEPS = (1, 5, 9)


def main(places: list[str]) -> None:
    """Print the values of each RUN:ROUND as one JSON list."""
    made = []
    for place in places:
        folder, round_ = place.rsplit(":", 1)
        made.append(values_of(Run.open(folder), int(round_)))
    sys.stdout.write(json.dumps(made, separators=(",", ":")) + "\n")


def values_of(run: Run, round_: int) -> dict[str, Any]:
    """Return a block's gram record, what messages.csv says of it, and values by numpy."""
    told = sorted(run.messages_in(round_), key=lambda row: row["id"])
    told = [row for row in told if not row["late"]]
    with Store.open(Path(run.folder) / "ledger", writable=False) as store:
        block = store.block(bytes.fromhex(told[0]["block"]))
        rule = agreed_rule(store.rules)
    assert [m.id.hex() for m in block.messages] == [row["id"] for row in told]
    sent = [m.direction.astype(np.float64) / 2.0**m.exponent for m in block.messages]
    rows, norms = np.array(sent), np.array([m.norm for m in block.messages])
    records = np.array([m.declaration.records for m in block.messages], dtype=np.float64)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = (units @ units.T)[np.triu_indices(len(rows), 1)].astype("<f4")
    honest = np.array([row["attack"] == "" for row in told])
    parameters = dict(rule.parameters)
    shares = np.array([row["share"] for row in told])
    return {
        "rule": {"kind": rule.kind, **parameters, "first": []},
        "ids": [row["id"] for row in told],
        "holders": [row["holder"] for row in told],
        "attack": [row["attack"] for row in told],
        "norms": norms.tolist(),
        "records": records.tolist(),
        "cosines": base64.b64encode(cosines.tobytes()).decode(),
        "sum_cosines": [row["cosine"] for row in told],
        "used": [row["used"] for row in told],
        "shares": shares.tolist(),
        "sides": np.sign(component(rows)).tolist(),
        "noise_alone": 1.0 / float(np.linalg.norm(rows.sum(axis=0))),
        "steps": [
            step_of(rows, norms, records, honest, parameters, keep, shares)
            for keep in (parameters.get("keep"), *KEEPS)
        ]
        if rule.kind == "l_nearest"
        else [step_of(rows, norms, records, honest, parameters, None, shares)],
    }


def component(rows: np.ndarray) -> np.ndarray:
    """Return the loadings on the first principal component of what is orthogonal to the sum."""
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    sum_ = units.sum(axis=0) / np.linalg.norm(units.sum(axis=0))
    rest = units - np.outer(units @ sum_, sum_)
    return np.linalg.svd(rest, full_matrices=False)[0][:, 0]


def step_of(
    rows: np.ndarray,
    norms: np.ndarray,
    records: np.ndarray,
    honest: np.ndarray,
    rule: dict[str, Any],
    keep: int | None,
    shares: np.ndarray,
) -> dict[str, Any]:
    """Return the step of the ``keep`` nearest, or by the run's shares where ``keep`` is None."""
    sum_ = rows.sum(axis=0)
    factors = {
        "restore": norms,
        "unit": np.ones_like(norms),
        "median_clip": np.minimum(norms, np.median(norms)),
    }[rule["scale"]]
    counts = records if rule.get("weights") == "records" else np.ones_like(records)
    chosen = np.ones(len(rows), dtype=bool)
    if keep is not None:
        near = rows @ sum_ / np.linalg.norm(rows, axis=1)
        chosen = np.isin(np.arange(len(rows)), np.argsort(-near, kind="stable")[:keep])
        shares = np.where(chosen, counts, 0.0) / counts[chosen].sum()
    step = (shares * factors) @ rows
    mean = (counts * honest * factors / (counts * honest).sum()) @ rows
    return {
        "keep": keep,
        "used": (shares > 0).tolist(),
        "length": float(np.linalg.norm(step)),
        "with_sum": cosine(step, sum_),
        "with_honest": cosine(step, mean),
    }


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the cosine of two vectors."""
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


if __name__ == "__main__":
    main(sys.argv[1:])

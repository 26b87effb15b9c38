"""ByzFL's aggregates of small gradients, for tests/aggregation/byzfl_values.json.

    python benchmarks/peers/byzfl_values.py > tests/aggregation/byzfl_values.json

Needs byzfl 0.0.11 (benchmarks/peers/byzfl.txt). Where ByzFL computes a variant, its code is changed
in memory, and the name of the entry says how: CAF and SMEA take one step of the power method from a
random vector, and CAF's largest projection is over vectors that no longer count, too.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
from byzfl.aggregators import aggregators, preaggregators

FEW, ROWS, COLUMNS = 2, 9, 6


def changed() -> types.ModuleType:
    """Return ByzFL's rules with many power steps, and with the maximum over vectors that count."""
    source = inspect.getsource(aggregators).replace("max_iters=1", "max_iters=3000")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "changed_aggregators.py"
        file.write_text(source.replace("tau.max()", "tau[c > 0].max()"), encoding="utf-8")
        sys.path.insert(0, folder)
        try:
            return importlib.import_module(file.stem)
        finally:
            sys.path.remove(folder)


def inputs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return whole numbers, 2^20 times each direction, and norms, by the name of a case."""
    generator = np.random.default_rng(5)
    rows = generator.normal(size=(ROWS, COLUMNS)) + 1.0
    colluding = rows.copy()
    colluding[:FEW] = -2.0 * rows[FEW:].mean(axis=0) + 1e-3 * generator.normal(size=(FEW, COLUMNS))
    long = rows.copy()
    long[0] *= 1e4
    equal = rows.copy()
    equal[4] = equal[3]
    cases = {"random": rows, "colluding": colluding, "long": long, "equal": equal}
    return {name: quantised(each) for name, each in cases.items()}


def quantised(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the directions as whole numbers, and the norms."""
    norms = np.linalg.norm(rows, axis=1)
    return np.rint(rows / norms[:, None] * 2.0**20).astype(int), norms


def values(whole: np.ndarray, norms: np.ndarray, own: types.ModuleType) -> dict[str, list]:
    """Return what ByzFL makes of the gradients, by the name of the rule."""
    directions = whole / 2.0**20
    rows, n = directions * norms[:, None], len(norms)
    nu = 0.001 * float(np.median(norms))
    centred = aggregators.CenteredClipping(tau=1.5, L=2)
    np.random.seed(0)  # noqa: NPY002 - ByzFL draws from it
    first = [centred(rows.copy()), centred(rows[::-1].copy())]
    mixed = preaggregators.NNM(f=FEW)(rows.copy())
    bucketed = np.stack([rows[k : k + 2].mean(axis=0) for k in range(0, n, 2)])
    found = {
        "median": aggregators.Median()(rows),
        "trimmed_mean": aggregators.TrMean(f=FEW)(rows),
        "mean_around_median": aggregators.Meamed(f=FEW)(rows),
        "geometric_median": aggregators.GeometricMedian(nu=nu, T=32)(rows),
        "krum, neighbours of f + 1, directions": aggregators.Krum(f=FEW + 1)(directions),
        "multi-krum, neighbours of f + 1, directions": aggregators.MultiKrum(f=FEW + 1)(directions),
        "centred_clipping": first[0],
        "centred_clipping, second block in reverse": first[1],
        "mda": aggregators.MDA(f=FEW)(rows),
        "smea, 3000 power steps": own.SMEA(f=FEW)(rows),
        "caf, 3000 power steps, largest of those that count": own.CAF(f=FEW)(rows),
        "norm_clipping": preaggregators.Clipping(c=2.0)(rows.copy()).mean(axis=0),
        "nnm, trimmed_mean": aggregators.TrMean(f=FEW)(mixed),
        "nnm, caf, 3000 power steps, largest of those that count": own.CAF(f=FEW)(mixed),
        "bucketing in order, median": aggregators.Median()(bucketed),
        "bucketing in order, geometric_median": aggregators.GeometricMedian(nu=nu, T=32)(bucketed),
    }
    return {name: np.asarray(each).tolist() for name, each in found.items()}


def main() -> None:
    """Print one JSON object: case to its input and to the value of every rule."""
    made, own = {}, changed()
    for name, (whole, norms) in inputs().items():
        made[name] = {"whole": whole.tolist(), "norms": norms.tolist(), **values(whole, norms, own)}
    rows = [f'"{case}": {json.dumps(each)}' for case, each in made.items()]
    print("{" + ",\n".join(rows) + "}")


if __name__ == "__main__":
    main()

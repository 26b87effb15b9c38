"""The cost model beside measured rounds: seconds, bytes on the wire, bytes on disk.

    python benchmarks/predictions.py [case ..] [--json FILE] [--into docs/scale.md]
    python benchmarks/predictions.py --given FILE --into docs/scale.md

Measures the rates of this machine, predicts a round of each case, runs each case in a separate
process, and prints prediction, measurement and error. ``--into`` writes the tables of a page anew.
``--given`` reads the file of an earlier ``--json`` instead of measuring. Other programs on the
machine disturb the measurement, so a gauge of other load is printed with the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedchain.machine import prepare

prepare()  # before numpy reads how many threads one operation may take

import far  # noqa: E402
import measuring  # noqa: E402
import workloads  # noqa: E402
from marks import filled, replace  # noqa: E402

from fedchain import load, run  # noqa: E402
from fedchain.forecasts.rates import Rates, RoundTimes, measured  # noqa: E402
from fedchain.forecasts.trial import tried  # noqa: E402
from fedchain.ledger.chain.block import START_BYTES, encode_block  # noqa: E402
from fedchain.ledger.chain.message import encode_message  # noqa: E402
from fedchain.ledger.storage.store import Store  # noqa: E402
from fedchain.results import LEDGER  # noqa: E402
from fedchain.scenario import Scenario, from_mapping  # noqa: E402

SCENARIOS = Path(__file__).parents[1] / "scenarios"
GOAL = 0.25
"""Largest error of a good prediction."""
FEW, SOME = 6, 16
"""Number of rounds of slow cases, and of all other cases."""


def mlp(holders: int, rounds: int, *, private: bool = True, **task: Any) -> Scenario:
    """Return the dense network of the other benchmarks, measured in every round."""
    values = workloads.scenario("mlp", holders, rounds, private=private, clip=1.0)
    values["task"] |= task
    return from_mapping({**values, "evaluate": {"every": 1, "samples": 0}})


def cohort(rounds: int) -> Scenario:
    """Return 10,000 registered holders, 100 of them asked in a round."""
    return from_mapping({
        "version": 1,
        "name": "cohort",
        "rounds": rounds,
        "nodes": {"holders": 10_000, "cohort": 100, "compute": 3},
        "task": {"kind": "scale:drawn", "model": {"kind": "mlp", "hidden": [64]}},
        "privacy": {"kind": "gaussian", "noise_multiplier": 1.0, "clip": 1.0},
        "aggregation": {"kind": "l_nearest", "keep": 80},
        "update": {"kind": "adam", "learning_rate": 0.01},
    })  # fmt: skip


def scans(rounds: int) -> Scenario:
    """Return ten holders of the small U-Net of ``first_light``."""
    smaller = {"nodes.holders": 10, "aggregation.keep": 7, "attacks": [], "rounds": rounds}
    records = {"task.records_per_holder": 40, "task.held_out": 100}
    return load(SCENARIOS / "first_light.yaml", set={**smaller, **records})


CASES: dict[str, tuple[str, Scenario]] = {
    "mlp-10": ("dense 784-64-10, K = 10, private", mlp(10, SOME)),
    "mlp-50": ("dense 784-64-10, K = 50, private", mlp(50, SOME)),
    "mlp-50-plain": ("dense 784-64-10, K = 50", mlp(50, SOME, private=False)),
    "mlp-200": ("dense 784-64-10, K = 200, private", mlp(200, SOME)),
    "dense-million": ("dense, d = 1,000,120, K = 8, private", mlp(8, FEW, hidden=1258)),
    "logistic": (
        "logistic regression, breast cancer, K = 10, private",
        load(SCENARIOS / "breast_cancer.yaml", set={"rounds": SOME}),
    ),
    "u-net-32": ("U-Net 32 x 32, d = 2,035, K = 10 x 40 scans, private", scans(FEW)),
    "u-net-64": (
        "U-Net 64 x 64, d = 29,393, K = 10 x 8 scans, private",
        from_mapping(workloads.scenario("unet", 10, FEW, private=True, clip=1.0)
                     | {"evaluate": {"every": 1, "samples": 0}}),
    ),
    "cohort": ("dense 32-64-2, 100 asked of 10,000, private", cohort(SOME)),
}  # fmt: skip
"""Cases that are predicted and measured, by name: a description and a scenario."""


def main() -> None:
    """Predict and measure, print the figures, and write the requested files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="case", help=" or ".join(CASES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--given", type=Path, metavar="FILE", help="figures of an earlier run")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="write its tables anew")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if unknown := set(asked.cases) - set(CASES):
        parser.error(f"no case {', '.join(sorted(unknown))}; one of {', '.join(CASES)}")
    if asked.here:
        print(json.dumps(found(CASES[asked.cases[0]][1])))
        return
    figures = json.loads(asked.given.read_text()) if asked.given else compared(asked.cases)
    print("\n".join(told(figures)))
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")
    if asked.into:
        made = {f"predictions {name}": text for name, text in tables(figures).items()}
        replace(asked.into, filled(asked.into.read_text(encoding="utf-8"), made).encode())


def compared(cases: list[str]) -> dict[str, Any]:
    """Return the rates, and the prediction and measurement of each case."""
    rates = measured()
    return {
        "machine": "{processor}, {cores} cores, {memory_gb} GB, {system}, Python {python}, "
        "torch {torch}".format(**measuring.machine()),
        "rates": rates.model_dump(),
        "cases": {
            name: {"words": CASES[name][0], **predicted(CASES[name][1], rates), **apart(name)}
            for name in cases or CASES
        },
    }


def predicted(scenario: Scenario, rates: Rates) -> dict[str, Any]:
    """Return the forecast of a round, and the figures for the tables of larger rounds."""
    trial = tried(scenario)
    stages = trial.seconds(rates)
    return {
        "predicted": {
            "seconds": sum(stages.values()),
            "wire": trial.wire_bytes()["all"],
            "stored": trial.stored_bytes(),
        },
        "stages": stages,
        "tried": vars(far.Tried.of(trial)),
    }


def apart(name: str) -> dict[str, Any]:
    """Run a case in a new process, whose caches and memory no earlier case has filled."""
    done = measuring.timed([sys.executable, __file__, name, "--here"])
    if done.reason:
        raise SystemExit(f"{name}: {done.reason}")
    return {"measured": done.found, "gauge": done.gauge}


def found(scenario: Scenario) -> dict[str, float]:
    """Run a case, and return the median seconds and the mean bytes of a round."""
    watch = Growing()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".fedchain-") as folder:
        done = run(scenario, folder, callbacks=[watch])
        grown = growing_bytes(done.folder) - watch.began
        with Store.open(done.folder / LEDGER, writable=False) as store:
            blocks = list(store.blocks())
    compute, asked = scenario.nodes.miners, scenario.nodes.asked
    fetched = asked * (START_BYTES + tried(scenario).weights)
    sent = sum(
        compute * sum(len(encode_message(message)) for message in block.messages)
        + (compute - 1) * len(encode_block(block))
        for block in blocks
    )
    return {
        "seconds": watch.median,
        "wire": sent / len(blocks) + fetched,
        "stored": grown / len(blocks),
    }


class Growing(RoundTimes):
    """Records the size of the run folder when the rounds begin."""

    began = 0

    def on_run_begin(self, folder: Path, setup: Any) -> None:  # noqa: ARG002
        """Record the size."""
        self.began = growing_bytes(folder)


def growing_bytes(folder: Path) -> int:
    """Return the size of the files that grow with every round, in bytes: ledger and events.

    The files that exist only while the database is open are not counted.
    """
    files = [*(folder / LEDGER).rglob("*"), folder / "events.ndjson"]
    beside = ("-wal", "-shm")
    return sum(f.stat().st_size for f in files if f.is_file() and not f.name.endswith(beside))


def told(figures: Mapping[str, Any]) -> list[str]:
    """Return one line per case: predicted, measured, error."""
    lines = [described(figures)]
    for case in figures["cases"].values():
        said, seen = case["predicted"], case["measured"]
        lines.append(case["words"])
        for what, unit, scale in (("seconds", "ms", 1e3), ("wire", "MB", 1e-6),
                                  ("stored", "MB", 1e-6)):  # fmt: skip
            error = said[what] / seen[what] - 1
            mark = "" if abs(error) < GOAL else "  beyond the goal"
            values = f"{said[what] * scale:9.3f} {unit} said {seen[what] * scale:9.3f} measured"
            lines.append(f"  {what:8}{values} {error:+6.0%}{mark}")
    return lines


def tables(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables of the page, by the name between their marks."""
    rates, cases = Rates(**figures["rates"]), figures["cases"]
    small, large = (far.Tried(**cases[name]["tried"]) for name in ("mlp-50", "dense-million"))
    compared_rows = [
        (
            case["words"],
            *(f"{1e3 * case[kind]['seconds']:.1f}" for kind in ("predicted", "measured")),
            error(case, "seconds"),
            *(f"{case[kind]['wire'] / 1e6:.2f}" for kind in ("predicted", "measured")),
            error(case, "wire"),
            *(f"{case[kind]['stored'] / 1e6:.2f}" for kind in ("predicted", "measured")),
            error(case, "stored"),
        )
        for case in cases.values()
    ]
    heading = ("round", "ms said", "ms measured", "error", "MB on the wire said", "counted",
               "error", "MB stored said", "measured", "error")  # fmt: skip
    return {
        "rates": f"{described(figures)}\n\n"
        + far.table(("what", "a second", "one takes"), rates.rows()),
        "predictions": far.table(heading, compared_rows),
        **far.tables(rates, small, large),
    }


def described(figures: Mapping[str, Any]) -> str:
    """Return a description of the machine, and whether other programs shared it."""
    gauges = [case["gauge"] for case in figures["cases"].values()]
    return (
        f"Measured on {figures['machine']}. Other load: a fixed piece of arithmetic took "
        f"{min(gauges):.1f} to {max(gauges):.1f} ms beside the cases."
    )


def error(case: Mapping[str, Any], what: str) -> str:
    """Return the error of a prediction as a share of the measured value."""
    return f"{case['predicted'][what] / case['measured'][what] - 1:+.0%}"


if __name__ == "__main__":
    main()

"""fedchain simulates federated, differentially private training of scan models on a blockchain.

>>> import fedchain
>>> scenario = fedchain.load("breast_cancer", set={"rounds": 3})
>>> run = fedchain.run(scenario)  # doctest: +SKIP
>>> run.verify().ok, run.metrics[-1]["accuracy"]  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from fedchain.version import __version__

if TYPE_CHECKING:
    from fedchain.audits import audit as audit
    from fedchain.errors import FedchainError as FedchainError
    from fedchain.errors import LedgerError as LedgerError
    from fedchain.errors import RunError as RunError
    from fedchain.errors import ScenarioError as ScenarioError
    from fedchain.reports.report import report as report
    from fedchain.results import Run as Run
    from fedchain.runs.running import resume as resume
    from fedchain.runs.running import run as run
    from fedchain.scenario import Scenario as Scenario
    from fedchain.scenario import load as load
    from fedchain.sweeps.sweep import sweep as sweep

_HOMES = {
    "FedchainError": "errors",
    "LedgerError": "errors",
    "Run": "results",
    "RunError": "errors",
    "Scenario": "scenario",
    "ScenarioError": "errors",
    "audit": "audits",
    "load": "scenario",
    "report": "reports.report",
    "resume": "runs.running",
    "run": "runs.running",
    "sweep": "sweeps.sweep",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    """Import a public name at its first use: ``--help`` must be quick, and torch loads slowly."""
    if name not in _HOMES:
        raise AttributeError(f"module 'fedchain' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fedchain.{_HOMES[name]}"), name)

"""fedchain simulates federated, differentially private training of scan models on a blockchain.

>>> import fedchain
>>> scenario = fedchain.load("breast_cancer", set={"rounds": 3})
>>> run = fedchain.run(scenario)  # doctest: +SKIP
>>> fedchain.verify(run.folder).ok, run.metrics[-1]["accuracy"]  # doctest: +SKIP
>>> model = run.module()  # doctest: +SKIP
"""

import importlib

from fedchain.version import __version__

# ``python -m fedchain`` imports this file while the current folder comes first: it imports nothing
# that a file there could pass for, not even ``typing``.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from fedchain.audits import audit
    from fedchain.checks import verify
    from fedchain.errors import FedchainError, LedgerError, RunError, ScenarioError
    from fedchain.page.notebook import show
    from fedchain.reports.citations import citations
    from fedchain.reports.report import report
    from fedchain.results import Run
    from fedchain.runs.callbacks import Callback, RoundEnd
    from fedchain.runs.running import resume, run
    from fedchain.scenario import Scenario, load
    from fedchain.sweeps.sweep import sweep

__all__ = [
    "Callback",
    "FedchainError",
    "LedgerError",
    "RoundEnd",
    "Run",
    "RunError",
    "Scenario",
    "ScenarioError",
    "__version__",
    "audit",
    "citations",
    "load",
    "report",
    "resume",
    "run",
    "show",
    "sweep",
    "verify",
]

_HOMES = {
    "Callback": "runs.callbacks",
    "FedchainError": "errors",
    "LedgerError": "errors",
    "RoundEnd": "runs.callbacks",
    "Run": "results",
    "RunError": "errors",
    "Scenario": "scenario",
    "ScenarioError": "errors",
    "audit": "audits",
    "citations": "reports.citations",
    "load": "scenario",
    "report": "reports.report",
    "resume": "runs.running",
    "run": "runs.running",
    "show": "page.notebook",
    "sweep": "sweeps.sweep",
    "verify": "checks",
}


def __dir__() -> list[str]:
    """List the public names, also those that nobody has used yet."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    # ``--help`` must be quick, and torch loads slowly.
    if name not in _HOMES:
        raise AttributeError(f"module 'fedchain' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fedchain.{_HOMES[name]}"), name)

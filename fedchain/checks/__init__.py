"""Checks of a run folder: what follows from its ledger and scenario, computed again and compared.

Nothing in the folder is believed because it stands there, and nothing is written into it.
"""

from fedchain.checks.run_check import verdict_on_chain, verify
from fedchain.checks.verdict import Checked, RunVerdict

__all__ = ["Checked", "RunVerdict", "verdict_on_chain", "verify"]

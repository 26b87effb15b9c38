"""Checks of a run folder: compute again what follows from ledger and scenario, and compare.

Nothing in the folder is trusted, and nothing is written into it.
"""

from fedchain.checks.run_check import verdict_on_chain, verify
from fedchain.checks.verdict import Checked, RunVerdict

__all__ = ["Checked", "RunVerdict", "verdict_on_chain", "verify"]

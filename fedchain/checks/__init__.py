"""Checks of a run folder: compare its files with what its ledger and its scenario lead to.

Nothing in the folder is trusted, and nothing is written into it.
"""

from fedchain.checks.run_check import verdict_on_chain, verify
from fedchain.checks.verdict import Checked, RunVerdict

__all__ = ["Checked", "RunVerdict", "verdict_on_chain", "verify"]

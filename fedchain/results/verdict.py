"""Verdict on the ledger of a run, beside the manifest and the scenario in the folder."""

from __future__ import annotations

from dataclasses import replace

from fedchain.files import check_folder
from fedchain.ledger.tools.verification import BlockProgress, Verification, verify
from fedchain.results.agreed import ALONE, compared
from fedchain.results.folder import LEDGER, MANIFEST
from fedchain.results.run import Run
from fedchain.results.statuses import OVER
from fedchain.transition import steps_of


def ledger_verdict(
    run: Run, progress: BlockProgress | None, trust_user_parts: bool
) -> Verification:
    """Check the ledger of a run: see ``Run.verify``."""
    check_folder(run.folder)
    found = verify(run.folder / LEDGER, steps_of(trust_user_parts), progress)
    if not (run.folder / MANIFEST).is_file() and (run.folder / LEDGER).is_dir():
        return replace(found, notes=(*found.notes, ALONE))  # an imported chain
    stated = run.manifest["head"]
    if found.ok and run.manifest["status"] in OVER and found.block != (stated or found.block):
        return replace(found, ok=False, reason=f"head: manifest.json names {str(stated)[:8]}")
    if not found.ok:
        return found
    secret = bool(run.manifest.get("secret"))
    return compared(found, run.folder, run.folder / LEDGER, secret, trust_user_parts)

"""Copies of runs: damages a copy, and exports and imports the chain."""

from __future__ import annotations

import shutil
from pathlib import Path

from fedchain.errors import RunRefused, cannot
from fedchain.files import check_folder, copy_files, write_output
from fedchain.ledger.storage.store import Store
from fedchain.ledger.tools.chain_file import exported, replayed
from fedchain.ledger.tools.tampering import tamper
from fedchain.ledger.tools.verification import BlockProgress, Verification
from fedchain.results.folder import LEDGER, MANIFEST, RunFolder
from fedchain.results.run import Run
from fedchain.system import move_folder, place_beside
from fedchain.transition import steps_of


def tampered_copy(source: Path, copy: Path, height: int, field: str) -> None:
    """Copy a run into a new folder, and damage a field of one block in the copy's ledger.

    ``field`` is one of ``fedchain.ledger.tools.tampering.DAMAGEABLE``.

    Raises:
        RunError: the source is no run, or the copy exists already or cannot be written.
        ValueError: the field or the block does not exist.
    """
    Run.open(source)
    if copy.exists():
        raise RunRefused(f"{copy}: is there already; a damaged copy goes into a new folder")
    if source.resolve() in copy.resolve().parents:
        raise RunRefused(f"{copy}: lies in the run's folder; a place outside of it is allowed")
    files = [file for file in source.iterdir() if file.is_file() and file.name[0] != "."]
    try:
        tamper(source / LEDGER, copy / LEDGER, height, field)
        copy_files({file: copy / file.name for file in files})
    except BaseException as error:
        shutil.rmtree(copy, ignore_errors=True)  # it was not there before
        if isinstance(error, OSError):
            raise cannot(copy, "be written", error) from error
        raise


def name_of_export(run: Path) -> str:
    """Return the name of the file into which the chain of a run is written.

    It is the folder's name; or, if the run has a secret, only the scenario's name: the digest in
    the folder's name covers a plain hash of the data, with which a guess could be confirmed.

    Raises:
        RunError: as in ``RunFolder.manifest``.
    """
    name = run.resolve().name
    if (run / MANIFEST).is_file() and (manifest := RunFolder(run).manifest).get("secret"):
        name = manifest["name"]
    return f"{name}.fedchain"


def exported_to(run: Path, file: Path, progress: BlockProgress | None = None) -> int:
    """Write the chain of a run, or an imported chain, into one file.

    Returns:
        The number of blocks after the genesis block.

    Raises:
        RunError: there is no ledger, or the file cannot be written.
        LedgerError: the ledger is damaged.
    """
    check_folder(run)
    with Store.open(run / LEDGER, writable=False) as store:
        write_output(file, exported(store, progress))
        return len(store)


def imported_from(
    file: Path, folder: Path, trust_user_parts: bool = False, progress: BlockProgress | None = None
) -> Verification:
    """Check an exported chain, and write its ledger to a new folder if every block is valid.

    Args:
        file: the file from ``exported_to``.
        folder: the new folder. A failure leaves no folder behind.
        trust_user_parts: whether to run user-defined code that the chain names.
        progress: called with the number of checked blocks and the number of all blocks.

    Raises:
        RunError: the file cannot be read, or the folder exists already or cannot be written.
    """
    if folder.exists():
        raise RunRefused(f"{folder}: is there already; give a new folder")
    try:
        with place_beside(folder) as place:
            draft = place / folder.name
            draft.mkdir()
            found = replayed(file, draft / LEDGER, steps_of(trust_user_parts), progress)
            if found.ok:
                move_folder(draft, folder)
    except OSError as error:
        raise cannot(folder, "be made", error) from error
    return found

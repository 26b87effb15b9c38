"""Export and import of a chain: a run's ledger as one file, and a ledger from such a file."""

from __future__ import annotations

from pathlib import Path

from fedchain.errors import RunRefused, cannot
from fedchain.ledger.storage.store import Store
from fedchain.ledger.tools.chain_file import exported, replayed
from fedchain.ledger.tools.verification import BlockProgress, Verification
from fedchain.results.folder import write_whole
from fedchain.results.run import LEDGER
from fedchain.system import move_folder, place_beside
from fedchain.transition import steps_of


def exported_to(run: Path, file: Path, progress: BlockProgress | None = None) -> int:
    """Write the chain of a run, or an imported chain, as one file; never a part of it.

    Returns:
        The number of blocks above genesis.

    Raises:
        RunError: there is no ledger, or the file cannot be written.
        LedgerError: the ledger is damaged.
    """
    with Store.open(run / LEDGER, writable=False) as store:
        write_whole(file, exported(store, progress))
        return len(store)


def imported_from(
    file: Path,
    folder: Path,
    trust_user_parts: bool = False,
    progress: BlockProgress | None = None,
) -> Verification:
    """Check a chain's file, and make a folder with its ledger if every block is valid.

    Args:
        file: written by ``exported_to``.
        folder: of the new ledger; it must not exist, and does not exist after a failure.
        trust_user_parts: whether to run code of the user's own that the chain names.
        progress: called with (blocks done, blocks in all).

    Raises:
        RunError: the file cannot be read; the folder exists already, or cannot be written.
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

"""Agreed values: compares the scenario of a run folder with the genesis block of its chain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fedchain.agreement import disagreements
from fedchain.errors import FedchainError
from fedchain.ledger.storage.store import Store
from fedchain.ledger.tools.verification import Verification
from fedchain.results.resolved import names_user_parts, read_resolved

UNREAD = (
    "genesis against data and seed: registered numbers of records, model, commitment; and who "
    "attacks, which no genesis says"
)
FOREIGN = "genesis against the scenario, which names code of somebody's own (--trust-user-parts)"
ALONE = (
    "whoever knows the seed can make and sign another chain, and a chain alone does not tell "
    "whether its seed is secret: compare the head with one that you know from elsewhere"
)
SECRET = (
    "the seed is secret (--secret), says manifest.json: to all who lack its file, the commitment "
    "in genesis tells nothing of the data. Whoever has it can make and sign another chain: compare "
    "the head with one that you know from elsewhere"
)
OPEN = (
    "the seed stands in this folder: whoever has or guesses it can draw the noise again, confirm "
    "guessed records with the commitment in genesis, and make and sign another chain: compare the "
    "head with one that you know from elsewhere"
)


def compared(
    found: Verification, folder: Path, ledger: Path, secret: bool, trust_user_parts: bool
) -> Verification:
    """Compare the genesis of a valid ledger with the scenario, and return the new verdict.

    Args:
        found: the verdict so far.
        folder: the run folder.
        ledger: the folder of the ledger.
        secret: whether the run's manifest says that its seed is secret.
        trust_user_parts: whether to import user-defined code that the scenario names.

    Returns:
        A refusal that names each key with different values; or, if all values agree, the verdict
        with a list of unchecked values and a note on the seed.
    """
    notes = (*found.notes, SECRET if secret else OPEN)
    try:
        if not trust_user_parts and names_user_parts(folder):
            return replace(found, unchecked=(*found.unchecked, FOREIGN), notes=notes)
        scenario = read_resolved(folder, trust_user_parts=trust_user_parts)
        with Store.open(ledger, writable=False) as store:
            learns = store.rules.holders > 0
            wrong = list(disagreements(store.rules, scenario))
    except (FedchainError, ValueError, ArithmeticError) as error:
        wrong = [str(error)]
    if wrong:
        return replace(found, ok=False, height=0, block="", reason="\n".join(wrong))
    unread = (UNREAD,) if learns else ()
    return replace(found, unchecked=(*found.unchecked, *unread), notes=notes)

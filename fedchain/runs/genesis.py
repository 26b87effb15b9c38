"""Genesis of a run: builds the setup, and compares its genesis block with a run folder's."""

from __future__ import annotations

from pathlib import Path

from fedchain.agreement import differing
from fedchain.errors import RunRefused, ScenarioError
from fedchain.ledger.storage.store import Store
from fedchain.machine import exact_arithmetic
from fedchain.results import LEDGER, Run
from fedchain.runs.secret import Secret, required_secret
from fedchain.scenario import Scenario
from fedchain.simulation.setup import RunSetup, build_setup

HIDDEN = {"commitment", "ledger.identity_root"}
"""Keys of genesis whose values depend on the secret."""


def setup_of(scenario: Scenario, secret: Secret | None) -> RunSetup:
    """Build the setup of a run.

    Raises:
        ScenarioError: a part refuses its parameters.
        RunRefused: an environment variable lets torch compute with lower precision.
    """
    try:
        with exact_arithmetic():
            return build_setup(scenario, None if secret is None else secret.bits)
    except (ValueError, ArithmeticError) as error:  # from checks inside a part
        raise ScenarioError([], str(error)) from error


def check_genesis(folder: Path, setup: RunSetup, secret: Secret | None) -> None:
    """Check that a run folder has the genesis block of a setup.

    Raises:
        RunRefused: the folder has another genesis block.
    """
    with Store.open(folder / LEDGER, writable=False) as store:
        rules, there = store.rules, store.genesis.header.hash
    here = setup.genesis.header.hash
    if here == there:
        return
    keys = {key for key, *_ in differing(rules, setup.rules)}
    if secret is not None and keys <= HIDDEN:
        raise RunRefused(
            f"{secret.file}: is not the secret of {folder}: its commitment is not that of genesis; "
            "the file with which the run was begun is allowed, beside the same data"
        )
    shown = sorted(keys - HIDDEN or keys)
    named = f" ({', '.join(shown)})" if shown else ""
    raise RunRefused(
        f"{folder}: this machine computes genesis {here.hex()[:8]} where the run began with "
        f"{there.hex()[:8]}{named}; resume it with the data, and the versions that manifest.json "
        "names"
    )


def check_secret(found: Run, file: str | Path | None) -> None:
    """Check that a run has the secret in ``file``, or no secret if ``file`` is None.

    Raises:
        RunRefused: the run has another secret, or the file cannot be used.
    """
    secret = required_secret(found, file)
    if secret is not None:
        check_genesis(found.folder, setup_of(found.scenario, secret), secret)

"""Beginning of a run: makes the run folder with everything that ``resume`` needs."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

from fedchain.errors import RunRefused, cannot
from fedchain.files import write_whole
from fedchain.ledger.storage.store import Store
from fedchain.results import LEDGER, RunFolder
from fedchain.runs.manifest import initial_manifest
from fedchain.scenario import resolved_yaml
from fedchain.simulation.setup import RunSetup, retention_of
from fedchain.system import move_folder, place_beside


def make_folder(path: Path, setup: RunSetup, source: str | None, force: bool) -> None:
    """Make a run folder, completely or not at all.

    Args:
        path: the run folder.
        setup: the setup of the run.
        source: text for ``scenario.yaml``; None: the scenario with every value resolved.
        force: whether to delete the folder of an earlier run.

    Raises:
        RunError: the folder exists, is in use, or cannot be written.
    """
    resolved = resolved_yaml(setup.scenario)
    with contextlib.ExitStack() as stack:
        try:
            place = stack.enter_context(place_beside(path))
        except OSError as error:
            raise cannot(path.parent, "be written", error) from error
        draft = place / path.name
        write_whole(draft / "scenario.yaml", source or resolved)
        write_whole(draft / "resolved.yaml", resolved)
        RunFolder(draft).write_manifest(initial_manifest(setup))
        policy = retention_of(setup.scenario)
        Store.create(draft / LEDGER, setup.rules, setup.genesis, setup.state, policy).close()
        try:
            if force and path.exists():
                RunFolder(path).throw_away(place / "earlier")
            move_folder(draft, path)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                raise RunRefused(f"{path}: another process has just begun it") from error
            raise cannot(path, "be made", error) from error

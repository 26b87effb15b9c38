"""Origin of a run: refuses to compute with code and data that are not those of the run."""

from __future__ import annotations

from collections.abc import Sequence

from fedchain.errors import RunRefused
from fedchain.results.run import Run
from fedchain.scenario import changes_since, provenance_of


def check_unchanged(run: Run, why: str) -> None:
    """Check that the user's code, the data and fedchain are as they were when the run began.

    Args:
        run: the run.
        why: the reason why they must be, for the error message.

    Raises:
        RunRefused: something was changed since then.
        ScenarioError: as in ``Run.scenario``.
    """
    _refuse(run, why, changes_since(run.manifest["provenance"], provenance_of(run.scenario)))


def check_task_unchanged(run: Run, why: str) -> None:
    """Check that the code and the data of the task are as they were when the run began.

    Arguments and errors are those of ``check_unchanged``.
    """
    now, began = provenance_of(run.scenario, "task"), run.manifest["provenance"]
    code, data = ({k: began[part].get(k) for k in getattr(now, part)} for part in ("code", "data"))
    _refuse(run, why, changes_since({"fedchain": now.fedchain, "code": code, "data": data}, now))


def _refuse(run: Run, why: str, changes: Sequence[str]) -> None:
    if changes:
        told = "; ".join(changes)
        raise RunRefused(
            f"{run.folder}: {why}, and meanwhile something was changed ({told}); put it back, "
            "or begin a new run"
        )

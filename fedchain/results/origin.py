"""Origin of a run: refuses to compute with code and data that are not those of the run."""

from __future__ import annotations

from fedchain.errors import RunRefused
from fedchain.results.run import Run
from fedchain.scenario import changes_since, provenance_of


def check_unchanged(run: Run, why: str, *, any_version: bool = False) -> None:
    """Check that the user's code, the data and fedchain are as they were when the run began.

    Args:
        run: the run.
        why: the reason why they must be, for the error message.
        any_version: whether the version of fedchain may be another one.

    Raises:
        RunRefused: something was changed since then.
        ScenarioError: as in ``Run.scenario``.
    """
    began, now = run.manifest["provenance"], provenance_of(run.scenario)
    if any_version:
        began = {**began, "fedchain": now.fedchain}
    if changes := changes_since(began, now):
        told = "; ".join(changes)
        raise RunRefused(
            f"{run.folder}: {why}, and meanwhile something was changed ({told}); put it back, "
            "or begin a new run"
        )

"""Preparation of a run: builds its parts and checks them before the first round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedchain.engines import Source, check_engine, chosen
from fedchain.errors import RunRefused
from fedchain.machine import COMPILED, arithmetic, exact_arithmetic
from fedchain.native.loading import SWITCH, absence
from fedchain.privacy.accounting import cross_checked
from fedchain.registry import Part
from fedchain.results import COMPLETE, OVER, Run
from fedchain.results.origin import check_unchanged
from fedchain.runs.genesis import check_genesis, check_secret, setup_of
from fedchain.runs.rehearsal import naming_files, rehearse
from fedchain.runs.secret import Secret, open_secret, required_secret, resume_command
from fedchain.scenario import Scenario, run_digest, run_name
from fedchain.scenario.own import own_parts
from fedchain.simulation.setup import RunSetup, check_hashing

OFF = f"set {SWITCH}=0"
"""How to switch the compiled kernels off."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A run that passed all checks, and can begin or go on."""

    folder: Path
    """The run folder. It does not exist yet if the run is new."""
    setup: RunSetup
    """The parts of the run."""
    source: Source
    """The parts from which the engine's workers are built."""
    engine: Part
    """Kind and parameters of the engine."""
    secret: Secret | None = None
    """The secret of the run; None: noise and keys come from the seed."""


def prepare_run(
    scenario: Scenario,
    out: str | Path = "runs",
    *,
    engine: str | None = None,
    workers: int | None = None,
    force: bool = False,
    secret: str | Path | None = None,
) -> Run | Prepared:
    """Build and check a run, without writing anything.

    Args:
        scenario: a checked scenario.
        out: folder of all runs.
        engine: kind of engine; None: the scenario's.
        workers: number of workers of the engine; None: the scenario's.
        force: whether the run replaces an earlier run of the same name.
        secret: the secret file; None: no secret.

    Returns:
        The prepared run; or the run itself, if it is over already.

    Raises:
        ScenarioError: a part refuses its parameters, or two parts do not fit together.
        DataError: the task's data cannot be read.
        PartError: the model or the loss fails, or mixes examples.
        RunError: the folder belongs to an unfinished or another run.
        FedchainError: two accountants disagree on epsilon.
    """
    path = Path(out) / run_name(scenario)
    if path.exists() and not force:
        found = Run.of(path, scenario)
        check_secret(found, secret)
        if found.manifest["status"] in OVER:
            return found
        raise RunRefused(
            f"{path}: is not finished; go on with: {resume_command(path, secret)}, "
            "or begin anew with --force"
        )
    asked = chosen(scenario, engine, workers)
    kept = None if secret is None else open_secret(secret, path, must_exist=False)
    return _checked(path, scenario, asked, kept)


def check_run(scenario: Scenario) -> None:
    """Make the checks of ``prepare_run`` that need no folder and no secret; errors are the same."""
    _checked(Path(run_name(scenario)), scenario, chosen(scenario, None, None), None)


def _checked(path: Path, scenario: Scenario, engine: Part, secret: Secret | None) -> Prepared:
    """Build the parts of a new run, and make every check."""
    with naming_files(own_parts(scenario)):
        setup = setup_of(scenario, secret)
        with exact_arithmetic():
            rehearse(setup)
        made = _built(path, setup, engine, secret)
    check_hashing(made.setup)
    cross_checked(made.setup.mechanism)
    return made


def prepare_again(
    found: Run,
    *,
    engine: str | None = None,
    workers: int | None = None,
    secret: str | Path | None = None,
) -> Run | Prepared:
    """Build and check an interrupted run from its folder.

    Options, result and errors are those of ``prepare_run``.
    """
    path = found.folder
    if found.manifest["status"] in COMPLETE:
        check_secret(found, secret)
        return found
    scenario = found.scenario
    if run_digest(scenario, found.manifest["provenance"]) != found.manifest["digest"]:
        raise RunRefused(f"{path}: resolved.yaml was changed; a run goes on as it began")
    check_unchanged(found, "a run goes on as it began")
    asked, kept = chosen(scenario, engine, workers), required_secret(found, secret)
    setup = setup_of(scenario, kept)
    check_genesis(path, setup, kept)
    made = _built(path, setup, asked, kept)
    _check_kernels(made, found.manifest["arithmetic"])
    return made


def _check_kernels(made: Prepared, begun: Mapping[str, str]) -> None:
    """Refuse to go on with kernels if a run began without them, or the other way round.

    Raises:
        RunRefused: kernels would compute the gradients of the run, and only part of it has them.
    """
    here, there = arithmetic()["kernels"], begun.get("kernels")
    if here == there or not made.setup.task.learns or made.source.gradients.plan is None:
        return
    if there == COMPILED:
        mend = f"began with compiled kernels, and would end at another block without: {absence()}"
    else:
        mend = f"began without compiled kernels, and would end at another block with them: {OFF}"
    raise RunRefused(f"{made.folder}: {mend}")


def _built(folder: Path, setup: RunSetup, engine: Part, secret: Secret | None) -> Prepared:
    source = Source(setup.scenario, setup.mechanism, setup.task)
    with exact_arithmetic():
        check_engine(engine, source)
    return Prepared(folder=folder, setup=setup, source=source, engine=engine, secret=secret)

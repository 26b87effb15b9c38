"""Running: runs a scenario in a new folder, and resumes an interrupted run."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedchain.engines import at_work
from fedchain.errors import RunError, Unusable
from fedchain.files import write_whole
from fedchain.interruption import leave_if_unguarded
from fedchain.learning.evaluation import Evaluations
from fedchain.ledger.storage.store import Store
from fedchain.machine import exact_arithmetic, start_up_passed_over
from fedchain.nodes.compute.hashing import expected_hashing_s, hashing_words
from fedchain.results import (
    EVENTS,
    LEDGER,
    OVER,
    EventLog,
    Run,
    RunFolder,
    found_again,
    logging_to,
)
from fedchain.results.travel import travelling
from fedchain.runs.beginning import make_folder
from fedchain.runs.callbacks import Callback
from fedchain.runs.divergence import LossWatch
from fedchain.runs.manifest import (
    as_json,
    final_manifest,
    sample_pictures,
    silent_names,
)
from fedchain.runs.preparation import Prepared, prepare_again, prepare_run
from fedchain.runs.privacy_statement import epsilon_spent, privacy_statement
from fedchain.runs.rounds import play_rounds, status_of
from fedchain.scenario import Scenario, ScenarioLike, as_scenario, run_name, source_of
from fedchain.simulation.setup import RunSetup
from fedchain.simulation.simulation import Simulation
from fedchain.timing import Stopwatch
from fedchain.transition import model_of

_log = logging.getLogger("fedchain")


def run(
    scenario: ScenarioLike,
    out: str | Path = "runs",
    *,
    engine: str | None = None,
    workers: int | None = None,
    force: bool = False,
    source: str | None = None,
    secret: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Run a scenario, and write its results into a new folder in ``out``.

    If there is a finished run of the same scenario, seed, code and data already, a line on stderr
    (of the logger ``fedchain``) says so, and that run is returned.

    Args:
        scenario: a scenario; or its values as a mapping, the path of its file, or the name of a
            shipped one.
        out: the folder that holds all runs.
        engine: kind of engine: threads, processes or ray; None: the scenario's.
        workers: number of workers of the engine; None: the scenario's, or one for each core.
        force: whether to delete the folder of an earlier run of the same name.
        source: text of the scenario file, to be kept as ``scenario.yaml``; None: that of the file
            which ``scenario`` names.
        secret: a file with 64 hexadecimal digits, from which noise and keys are drawn. A missing
            file is made. None: noise and keys are drawn from the seed, and protect nobody.
        callbacks: objects that follow the progress of the run, and may end it early.

    Returns:
        The run. Its status is ``finished``; ``budget_exhausted`` or ``stalled`` if it ended before
        its last round; or ``stopped`` if a callback ended it, after which ``resume`` continues it.

    Raises:
        ScenarioError, DataError, PartError, FedchainError: as in ``prepare_run``.
        RunError: the folder is in use, cannot be written, or belongs to an unfinished or another
            run; or the secret file cannot be used.

    >>> import fedchain
    >>> run = fedchain.run("breast_cancer")  # doctest: +SKIP
    """
    leave_if_unguarded()
    started = time.perf_counter()
    source, scenario = source or source_of(scenario), as_scenario(scenario)
    made = prepare_run(scenario, out, engine=engine, workers=workers, force=force, secret=secret)
    if isinstance(made, Run):
        _log.warning("%s; force=True runs it again", found_again(made))
        return made
    if made.secret is not None:
        made.secret.keep()
    make_folder(made.folder, made.setup, source, force)
    _run_folder(made, callbacks, started)
    return Run(made.folder, scenario)


def resume(
    folder: str | Path,
    *,
    engine: str | None = None,
    workers: int | None = None,
    secret: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    trust_user_parts: bool = False,
) -> Run:
    """Resume an interrupted run. It ends at the same block as without the interruption.

    Args:
        folder: a run folder.
        engine: as in ``run``.
        workers: as in ``run``.
        secret: the secret file of the run; None: the run has no secret.
        callbacks: as in ``run``; they are called for repeated rounds too.
        trust_user_parts: whether to import user-defined code that the folder's scenario names.

    Raises:
        RunError: the folder has no run or cannot be used, the secret is wrong, or this machine
            computes another genesis block.
        ScenarioError: the folder's scenario names user-defined code that is not trusted.
    """
    leave_if_unguarded()
    found = Run.open(folder, trust_user_parts=trust_user_parts)
    return _resume(found, engine, workers, secret, callbacks)


def run_or_resume(
    scenario: Scenario,
    out: Path,
    *,
    workers: int | None = None,
    secret: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Run a scenario to its end: begin the run, or resume it where it stopped."""
    path = out / run_name(scenario)
    if not path.exists():
        return run(scenario, out, workers=workers, secret=secret, callbacks=callbacks)
    return _resume(Run.of(path, scenario), None, workers, secret, callbacks)


def _resume(
    found: Run,
    engine: str | None,
    workers: int | None,
    secret: str | Path | None,
    callbacks: Sequence[Callback],
) -> Run:
    started = time.perf_counter()
    made = prepare_again(found, engine=engine, workers=workers, secret=secret)
    if isinstance(made, Run):
        return made
    _run_folder(made, callbacks, started)
    return Run(found.folder, made.setup.scenario)


def _run_folder(made: Prepared, callbacks: Sequence[Callback], started: float) -> None:
    """Run the scenario of a folder to its end. Write the manifest even if the run fails."""
    with contextlib.ExitStack() as at_end:
        _run_locked(made, callbacks, at_end, started)


def _run_locked(
    made: Prepared,
    callbacks: Sequence[Callback],
    at_end: contextlib.ExitStack,
    started: float,
) -> None:
    path = made.folder
    folder = RunFolder(path)
    folder.lock()
    try:
        manifest, status = {**folder.manifest, "stopped": None}, "failed"
        folder.write_manifest({**manifest, "status": "running"})
        try:
            status, figures = _run_to_the_end(folder, made, callbacks, at_end, started)
            manifest |= figures
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        except Unusable as error:  # it was writable when the run began
            raise RunError(str(error)) from error
        finally:
            elapsed = time.perf_counter() - started
            # On a full disk the first error is the one to raise, so an error here is dropped.
            untold = () if status in OVER else (RunError,)
            with contextlib.suppress(*untold):
                folder.write_manifest(final_manifest(path, manifest, status, elapsed))
    finally:
        folder.unlock()


def _run_to_the_end(
    folder: RunFolder,
    made: Prepared,
    callbacks: Sequence[Callback],
    at_end: contextlib.ExitStack,
    started: float,
) -> tuple[str, dict[str, Any]]:
    """Run the scenario to its end; return the status, and final values for the manifest.

    ``at_end`` gets what is to be called when the manifest is written.
    """
    path, setup = folder.path, made.setup
    with (
        exact_arithmetic(),
        logging_to(path / "run.log"),
        Store.open(path / LEDGER) as store,
        contextlib.closing(EventLog(path / EVENTS)) as events,
        at_work(made.engine, made.source) as ask,
        contextlib.closing(Evaluations(setup.task, events.metrics_of)) as evaluations,
        travelling(path, len(setup.compute_ids), setup.scenario.trace) as travel,
        start_up_passed_over(),
        contextlib.closing(
            Simulation(
                setup=setup,
                store=store,
                ask=ask,
                measure=evaluations.measure,
                watch=Stopwatch(),
                trace=travel,
            )
        ) as simulation,
    ):
        _log_start(setup, time.perf_counter() - started)
        _log.info("%d blocks are on disk, %d events", len(store), events.recorded)
        for callback in callbacks:
            callback.on_run_begin(path, setup)
            at_end.callback(callback.on_run_end, Run(path))
        watch = LossWatch(setup)
        stopped = play_rounds(setup, store, events, simulation, callbacks, travel, watch)
        chain = simulation.chain
        # If two last blocks have equal work, the store has the first as its head, but the chain has
        # the one with the smaller hash. The chain is right.
        store.set_head(chain.head)
        store.keep_state(chain.head, simulation.blocks.state(chain.head))
        if stopped is None:
            store.prune(chain.height, 0)
        _write_results(folder, setup, simulation, evaluations)
        figures = {**figures_of(setup, simulation), "stopped": stopped}
        figures |= {"faults": list(watch.faults.values())}
        return status_of(simulation, figures["silent"], stopped), figures


def _log_start(setup: RunSetup, elapsed: float) -> None:
    """Log what the start of a run took, in seconds, and what its hashing will take."""
    # Most of the start-up time goes into the signing keys of all rounds.
    keys = setup.scenario.slots * setup.scenario.rounds
    _log.info("ready after %.1f s, with %d keys", elapsed, keys)
    _log.info("hashing: %s", hashing_words(expected_hashing_s(setup.scenario)))


def _write_results(
    folder: RunFolder, setup: RunSetup, simulation: Simulation, evaluations: Evaluations
) -> None:
    """Write the privacy statement, pictures of held-out examples, and the tables."""
    statement = privacy_statement(setup, simulation.releases)
    write_whole(folder.path / "privacy.json", as_json(statement))
    if setup.task.learns:
        outputs = evaluations.outputs(model_of(simulation.blocks.state(simulation.chain.head)))
        for name, picture in sample_pictures(setup, outputs):
            write_whole(folder.path / "samples" / f"{name}.png", picture)
    folder.write_tables()


def figures_of(setup: RunSetup, simulation: Simulation) -> dict[str, Any]:
    """Return the values in the manifest that come from the finished simulation."""
    silent = silent_names(setup, simulation.silent)
    epsilon = epsilon_spent(setup, simulation.releases)
    return {**simulation.figures(), "silent": silent, "epsilon": epsilon}

"""Check of a whole run: from the bytes of its ledger to the tables of its report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fedchain.checks import files, rows
from fedchain.checks.ledger_check import check_without_play
from fedchain.checks.play import Progress, play
from fedchain.checks.replay import Replay
from fedchain.checks.verdict import FAILED, OK, UNCHECKED, Checked, RunVerdict
from fedchain.errors import FedchainError
from fedchain.ledger.storage.store import Store
from fedchain.ledger.tools import verification
from fedchain.ledger.tools.chain_file import verify_file
from fedchain.ledger.tools.verification import Verification
from fedchain.results import LEDGER, OVER, Run
from fedchain.results.agreed import ALONE, FOREIGN, OPEN, SECRET, compared
from fedchain.results.folder import MANIFEST
from fedchain.results.resolved import names_user_parts
from fedchain.runs.genesis import setup_of
from fedchain.runs.secret import Secret, required_secret
from fedchain.scenario import provenance_of
from fedchain.simulation.setup import RunSetup
from fedchain.transition import steps_of

REST = "who sent what and when, what forks and attacks did, messages, and manifest.json"
"""What can be checked only if the run is played again."""
FIGURES = f"metrics, epsilon, privacy.json, {REST}"
"""What can be checked only with the scenario and its data."""


def verify(
    path: str | Path,
    *,
    trust_user_parts: bool = False,
    secret: str | Path | None = None,
    metrics: bool = True,
    replay: bool = False,
    progress: Progress | None = None,
) -> RunVerdict:
    """Check a run folder, an imported chain or a chain file, and say what was not checked.

    Args:
        path: the folder of a run or of an imported chain, or a file of ``fedchain export``.
        trust_user_parts: whether to run user-defined code that the ledger or the scenario names.
        secret: the secret file of the run; None: the run has none, or the file is not here.
        metrics: whether to measure the model of each round again.
        replay: whether to compute the message of each holder again.
        progress: called with (steps done, steps in all, current activity).

    Raises:
        RunRefused: there is nothing to check at ``path``, or the secret file cannot be used.
    """
    place, tell = Path(path), progress or (lambda *_: None)
    steps = steps_of(trust_user_parts)

    def blocks(done: int, total: int) -> None:
        tell(done, total, "Checking the blocks")

    if place.is_file() or ((place / LEDGER).is_dir() and not (place / MANIFEST).is_file()):
        if place.is_file():
            found = verify_file(place, steps, blocks)
        else:
            found = verification.verify(place / LEDGER, steps, blocks)
        return verdict_on_chain(found)
    run = Run.open(place, trust_user_parts=trust_user_parts)
    kept = None if secret is None else required_secret(run, secret)
    found = verification.verify(place / LEDGER, steps, blocks)
    asked = _Check(run, found, trust_user_parts, kept, metrics, replay, tell)
    notes = (SECRET if run.manifest.get("secret") else OPEN,) if found.ok else ()
    return RunVerdict(ledger=found, checks=tuple(asked.rows()), notes=notes)


def verdict_on_chain(found: Verification) -> RunVerdict:
    """Return the verdict on a chain without a run folder, given the verdict on its ledger."""
    alone = rows.of_chain_alone(found) if found.ok else ()
    return RunVerdict(ledger=found, checks=(*rows.of_ledger(found), *alone), notes=(ALONE,))


@dataclass(frozen=True)
class _Check:
    """One check of a run folder: the arguments of ``verify``, and the verdict on the ledger."""

    run: Run
    found: Verification
    trust_user_parts: bool
    secret: Secret | None
    metrics: bool
    replay: bool
    tell: Progress

    @property
    def _over(self) -> bool:
        return self.run.manifest.get("status") in OVER

    def rows(self) -> Iterator[Checked]:
        """Yield the rows of the verdict."""
        yield from rows.of_ledger(self.found)
        yield from self._provenance()
        if not self.found.ok:
            yield Checked("the rest", UNCHECKED, "it follows from the ledger, which is refused")
            return
        folder = self.run.folder
        yield from self._beyond_the_ledger()
        if self._over:
            yield files.csv_check(folder)
            yield from files.report_check(folder)
        else:
            words = "privacy.json and tables, if there are any: a run writes them at its end"
            yield Checked("tables", UNCHECKED, words)
        yield Checked("measured", UNCHECKED, rows.MEASURED_ONCE)
        if (other := files.others(folder)) is not None:
            yield other

    def _provenance(self) -> Iterator[Checked]:
        """Yield whether code, data and fedchain are those of the run, if that can be found out."""
        stated = self.run.manifest.get("provenance")
        with contextlib.suppress(FedchainError):  # the row of the scenario will say what is wrong
            if stated is not None and (
                self.trust_user_parts or not names_user_parts(self.run.folder)
            ):
                yield rows.of_provenance(stated, provenance_of(self.run.scenario))

    def _beyond_the_ledger(self) -> Iterator[Checked]:
        """Yield the rows that need the scenario, or a row that says why they are missing."""
        folder, manifest, found = self.run.folder, self.run.manifest, self.found
        hidden = bool(manifest.get("secret"))
        agreed = compared(found, folder, folder / LEDGER, hidden, self.trust_user_parts)
        why = "the scenario in the folder is not that of genesis"
        if not agreed.ok:
            yield Checked("scenario", FAILED, agreed.reason)
        elif FOREIGN in agreed.unchecked:
            why = "they need the scenario, which names code of somebody's own (--trust-user-parts)"
            yield Checked("scenario", UNCHECKED, FOREIGN)
        else:
            yield Checked("scenario", OK, "resolved.yaml says what genesis says was agreed")
            self.tell(0, 1, "Reading data and making keys")
            try:
                setup = setup_of(self.run.scenario, self.secret)
            except FedchainError as error:
                why = f"they need the data: {error}"
            else:
                yield from self._from_setup(setup, hidden and self.secret is None)
                return
        yield rows.of_rounds(found, manifest, None)
        yield Checked("the rest", UNCHECKED, f"genesis, {FIGURES}: {why}")

    def _from_setup(self, setup: RunSetup, lacks_secret: bool) -> Iterator[Checked]:
        """Yield the row of genesis, then those of a play, or of a check without a play."""
        folder, manifest, over = self.run.folder, self.run.manifest, self._over
        with Store.open(folder / LEDGER, writable=False) as store:
            below = store.keeping.below
            genesis = rows.of_genesis(
                store.rules,
                store.genesis,
                setup,
                lacks_secret=lacks_secret,
                elsewhere=files.made_elsewhere(manifest, setup),
            )
        yield genesis
        why = "" if genesis.result == OK else "they need the keys of the run"
        if below and not self.replay:
            why = f"no directions are kept below height {below}; --replay makes the run again"
        if why:
            yield rows.of_rounds(self.found, manifest, None)
            if genesis.result != FAILED:
                yield from check_without_play(
                    folder,
                    replace(setup, hidden=setup.hidden or lacks_secret),
                    metrics=self.metrics,
                    over=over,
                    progress=self.tell,
                )
            what = FIGURES if genesis.result == FAILED else REST
            yield Checked("the rest", UNCHECKED, f"{what}: {why}")
            return
        yield from self._from_play(setup, below)

    def _from_play(self, setup: RunSetup, below: int) -> Iterator[Checked]:
        """Yield the rows of a play. The ledger has no directions below the height ``below``."""
        folder, manifest, over = self.run.folder, self.run.manifest, self._over
        again = Replay(self.replay or setup.mechanism.clip_follower is not None)
        played = play(
            folder,
            setup,
            again,
            metrics=self.metrics,
            whole=over,
            progress=self.tell,
            stopped=manifest.get("stopped"),
        )
        yield rows.of_rounds(self.found, manifest, played)
        yield rows.of_events(played, over, below)
        if setup.task.learns:
            yield rows.of_metrics(played, self.metrics)
            yield rows.of_messages(again)
        yield from files.manifest_check(manifest, setup, played)
        if played.status:
            yield files.privacy_check(folder, setup, played.releases)
        elif over:
            words = "privacy.json: the run was not played to its end"
            yield Checked("privacy", UNCHECKED, words)

"""Work: makes results that a journal does not have yet, and notes what fails."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fedchain.errors import DataError, RunRefused, cannot
from fedchain.interruption import stop_if_asked
from fedchain.registry import Section
from fedchain.scans.training.folders import digest_of
from fedchain.scans.training.journal import Result, ResultJournal
from fedchain.surfaces.process.records import FailedStage, Failure
from fedchain.system import delete, delete_drafts


@dataclass(frozen=True)
class StageOutput:
    """What a stage has made of its inputs."""

    figures: Section
    """What was measured, and what the next stages need to know."""
    files: tuple[str, ...]
    """Paths of its files, below the folder of results."""
    write: Callable[[Path], object]
    """Writes all of these files below a folder, each of them whole."""


@dataclass
class StageWork:
    """The results of a folder, made one after the other."""

    folder: Path
    """The folder of scans."""
    journal: ResultJournal
    """What is finished."""
    made: set[str] = field(default_factory=set)
    """Names of the results that this call has made."""
    before: set[str] = field(default_factory=set)
    """Names of the results that an earlier call had made."""
    others: set[str] = field(default_factory=set)
    """Names of further entries of the journal that this call needs."""
    failures: list[Failure] = field(default_factory=list)
    """What could not be done."""
    _digests: dict[Path, str] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        """The folder of results."""
        return self.journal.out

    def digest(self, path: Path) -> str:
        """Return the SHA-256 digest of a file, in hexadecimal digits; each file is read once.

        Raises:
            DataError: the file cannot be read.
        """
        if path not in self._digests:
            self._digests[path] = digest_of(path).hex()
        return self._digests[path]

    def result(
        self, name: str, inputs: Mapping[str, Path], make: Callable[[], StageOutput]
    ) -> Result:
        """Return the result of this name; make it if it is not finished, or of other inputs.

        Files are written between two entries of the journal, each of them whole. So a command that
        was killed, at any place, goes on with the same files.

        Args:
            name: name of the result.
            inputs: files that the result depends on, by names that do not depend on the machine.
            make: makes the result of these files.

        Raises:
            DataError: an input cannot be read, or nothing can be made of it.
            RunRefused: a file of somebody else is there.
            RunError: the disk fails.
        """
        stop_if_asked()
        source = digest_of_inputs({key: self.digest(path) for key, path in inputs.items()})
        there = self.journal.entries.done.get(name)
        if there is not None and there.source != source:
            self.journal.forget([name])
        known = self.journal.finished(name, source)
        if known is not None:
            self.before.add(name)
            return known
        made = make()
        self._delete({*self.journal.entries.begun.get(name, ())} - {*made.files})
        self.journal.begin(name, made.files)
        made.write(self.out)
        for file in made.files:
            self._digests.pop(self.out / file, None)
        figures = made.figures.model_dump(mode="json")
        found = Result(name=name, source=source, files=made.files, figures=figures)
        self.journal.end(found)
        self.made.add(name)
        return found

    def attempt(
        self,
        stage: FailedStage,
        name: str,
        inputs: Mapping[str, Path],
        make: Callable[[], StageOutput],
    ) -> Result | None:
        """Return the result of a stage of a scan or a set, or None if it fails; see ``result``."""
        try:
            return self.result(f"{stage}/{name}", inputs, make)
        except (DataError, RunRefused) as error:
            self.fail(stage, name, str(error))
            return None

    def fail(self, stage: FailedStage, name: str, why: str) -> None:
        """Note that a stage of a scan or a set cannot be done.

        Paths begin below the folders of scans and of results: what is written about a folder must
        not depend on its place.
        """
        for place in (self.folder, self.out):
            why = why.replace(f"{place}{os.sep}", "")
        self.failures.append(Failure(name=name, stage=stage, reason=why))

    def remove_unused(self) -> None:
        """Delete what is no result of this call: files that are half-done or of other settings.

        If results are replaced, this includes those of scans that are gone.
        """
        entries = self.journal.entries
        stale = {**entries.begun, **{name: each.files for name, each in entries.done.items()}}
        names = {*entries.begun, *(entries.done if self.journal.force else ())}
        names -= self.made | self.before | self.others
        kept = {file for name, files in stale.items() if name not in names for file in files}
        for name in names:
            self._delete({*stale[name]} - kept)
        if names:
            self.journal.write(
                begun={name: each for name, each in entries.begun.items() if name not in names},
                done={name: each for name, each in entries.done.items() if name not in names},
            )

    def _delete(self, files: Iterable[str]) -> None:
        for path in (self.out / file for file in files):
            delete_drafts(path)
            try:
                delete(path)
            except OSError as error:
                raise cannot(path, "be deleted", error) from error


def digest_of_inputs(digests: Mapping[str, str]) -> str:
    """Return one SHA-256 digest of named digests, which does not depend on their order.

    >>> digest_of_inputs({"a": "1", "b": "2"}) == digest_of_inputs({"b": "2", "a": "1"})
    True
    """
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()

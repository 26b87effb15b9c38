"""Journal of a folder of results: what is finished, so that an interrupted command can go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from fedchain.errors import DataError, RunRefused, cannot
from fedchain.files import read_bytes, write_whole
from fedchain.registry import Section

LARGEST_RESULTS = 1 << 26
"""Size of the largest journal that is read, in bytes."""


class Result(Section):
    """One result that is finished."""

    name: str
    """Name of the result: its path below the folder, without endings."""
    source: str
    """What tells the inputs of the result from others, such as the digest of their bytes."""
    files: tuple[str, ...]
    """Paths of its files, below the folder of results."""
    figures: dict[str, JsonValue]
    """What was measured, by name."""


class ResultEntries(Section):
    """The content of a journal of results."""

    version: Literal[1]
    """Version of the form."""
    settings: str
    """What tells the settings of the results from others, in words."""
    begun: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Files that may be half-done, by the name of their result."""
    done: dict[str, Result] = Field(default_factory=dict)
    """The results that are finished, by name."""


@dataclass
class ResultJournal:
    """The journal of a folder of results, which is written anew at every change."""

    path: Path
    """The file of the journal; results lie in its folder."""
    entries: ResultEntries
    """What was done."""
    force: bool
    """Whether results of other inputs are replaced."""

    @property
    def out(self) -> Path:
        """The folder of results."""
        return self.path.parent

    def finished(self, name: str, source: str) -> Result | None:
        """Return the result of this name if it is finished and its files are there, or None.

        Raises:
            RunRefused: the result there was made from other inputs.
        """
        known = self.entries.done.get(name)
        if known is None:
            return None
        if known.source == source:
            return known if all((self.out / file).exists() for file in known.files) else None
        if not self.force:
            raise RunRefused(
                f"{self.out / name}: was made from other inputs of this name; give --force to "
                "replace it"
            )
        return None

    def begin(self, name: str, files: Sequence[str]) -> None:
        """Note that the files of a result are about to be written.

        Raises:
            RunRefused: one of them is there, and was not written by a command of this journal.
        """
        known = self.entries.done.get(name)
        ours = {*self.entries.begun.get(name, ()), *(known.files if known else ())}
        for file in files:
            if (self.out / file).exists() and file not in ours and not self.force:
                raise RunRefused(f"{self.out / file}: is there already; give --force to replace it")
        self._write({"begun": {**self.entries.begun, name: tuple(files)}})

    def end(self, result: Result) -> None:
        """Note that a result is finished and its files are written."""
        begun = {name: files for name, files in self.entries.begun.items() if name != result.name}
        self._write({"begun": begun, "done": {**self.entries.done, result.name: result}})

    def _write(self, changes: Mapping[str, object]) -> None:
        self.entries = self.entries.model_copy(update=changes)
        write_whole(self.path, self.entries.model_dump_json(indent=1) + "\n")


def open_results(path: Path, settings: str, *, force: bool) -> ResultJournal:
    """Open the journal of a folder of results, or begin one.

    The journal is written at once, so that a folder that cannot be written is known before the
    work begins.

    Args:
        path: the file of the journal, in the folder of results, which need not exist.
        settings: what tells the settings from others, in words.
        force: whether results of other inputs and settings are replaced.

    Raises:
        RunRefused: the results in the folder are of other settings.
        DataError: the journal is damaged.
        RunError: the folder cannot be read or written.
    """
    wanted = ResultEntries(version=1, settings=settings)
    try:
        there = ResultEntries.model_validate_json(read_bytes(path, LARGEST_RESULTS))
    except FileNotFoundError:
        there = wanted
    except NotADirectoryError as error:
        words = "is no folder, or lies below a file; allowed: a folder, or a new name"
        raise RunRefused(f"{path.parent}: {words}") from error
    except OSError as error:
        raise cannot(path, "be read", error) from error
    except ValidationError as error:
        words = f"is damaged: {error.errors()[0]['msg']}"
        raise DataError(f"{path}: {words}; delete it, or write to another folder") from error
    if there.settings != settings:
        if not force:
            raise RunRefused(
                f"{path.parent}: has results of other settings ({there.settings}), not of "
                f"{settings}; give --force to replace them, or another folder"
            )
        ours = {**there.begun, **{name: each.files for name, each in there.done.items()}}
        there = wanted.model_copy(update={"begun": ours})
    journal = ResultJournal(path, there, force)
    journal._write({})
    return journal

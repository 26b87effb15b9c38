"""Journal of a folder of results: what is finished, so that an interrupted command can go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from pydantic import Field, JsonValue, ValidationError

from fedchain.errors import DataError, RunRefused, cannot
from fedchain.files import read_bytes, write_whole
from fedchain.registry import Section
from fedchain.scans.training.folders import ScanFile, digest_of
from fedchain.system import delete_drafts

LARGEST_JOURNAL = 1 << 26
"""Size of the largest journal that is read, in bytes."""
Figures = TypeVar("Figures", bound=Section)


class Result(Section):
    """One result that is finished."""

    name: str
    """Name of the result: the path of its scan below the folder, without endings."""
    source: str
    """What tells the inputs of the result from others, such as the digest of their bytes."""
    files: tuple[str, ...]
    """Paths of its files, below the folder of results."""
    figures: dict[str, JsonValue]
    """What was measured, by name."""

    def measured(self, kind: type[Figures]) -> Figures:
        """Return the figures as a section of this kind.

        Raises:
            DataError: a figure lacks or has a value that the section does not allow.
        """
        try:
            return kind.model_validate(self.figures, strict=False)
        except ValidationError as error:
            words = f"the journal's figures are damaged: {error.errors()[0]['msg']}"
            raise DataError(f"{self.name}: {words}; delete the journal") from error


class ResultEntries(Section):
    """The content of a journal of results."""

    version: Literal[2]
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
            words = "was made from another scan of this name, or from other inputs"
            raise RunRefused(f"{self.out / name}: {words}; give --force to replace it")
        return None

    def begin(self, name: str, files: Sequence[str]) -> None:
        """Note that the files of a result are about to be written.

        What a killed command has left of them is deleted.

        Raises:
            RunRefused: one of them is there, and was not written by a command of this journal.
        """
        known = self.entries.done.get(name)
        ours = {*self.entries.begun.get(name, ()), *(known.files if known else ())}
        for file in files:
            if (self.out / file).exists() and file not in ours and not self.force:
                raise RunRefused(f"{self.out / file}: is there already; give --force to replace it")
            if file in ours:
                delete_drafts(self.out / file)
        self.write(begun={**self.entries.begun, name: tuple(files)}, done=self.entries.done)

    def end(self, result: Result) -> None:
        """Note that a result is finished and its files are written."""
        begun = {name: files for name, files in self.entries.begun.items() if name != result.name}
        self.write(begun=begun, done={**self.entries.done, result.name: result})

    def forget(self, names: Iterable[str]) -> None:
        """Note that some results must be made again; their files may then be replaced."""
        done = dict(self.entries.done)
        gone = {name: done.pop(name).files for name in names if name in done}
        self.write(begun={**self.entries.begun, **gone}, done=done)

    def write(self, begun: Mapping[str, tuple[str, ...]], done: Mapping[str, Result]) -> None:
        """Write the journal with these entries, in the order of their names.

        Raises:
            RunError: the journal cannot be written.
        """
        ordered = {"begun": dict(sorted(begun.items())), "done": dict(sorted(done.items()))}
        self.entries = self.entries.model_copy(update=ordered)
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
    entries = _read(path) or ResultEntries(version=2, settings=settings)
    begun, done = entries.begun, entries.done
    if entries.settings != settings:
        if not force:
            raise RunRefused(
                f"{path.parent}: has results of another model or setting ({entries.settings}), "
                f"not of {settings}; give --force to replace them, or another folder"
            )
        begun = {**begun, **{name: each.files for name, each in done.items()}}
        entries, done = ResultEntries(version=2, settings=settings), {}
    journal = ResultJournal(path, entries, force)
    delete_drafts(path)
    journal.write(begun, done)
    return journal


def _read(path: Path) -> ResultEntries | None:
    """Return the content of a journal, or None if there is none; errors as of ``open_results``."""
    try:
        return ResultEntries.model_validate_json(read_bytes(path, LARGEST_JOURNAL))
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        words = "is no folder, or lies below a file; allowed: a folder, or a new name"
        raise RunRefused(f"{path.parent}: {words}") from error
    except OSError as error:
        raise cannot(path, "be read", error) from error
    except ValidationError as error:
        words = f"is damaged: {error.errors()[0]['msg']}"
        raise DataError(f"{path}: {words}; delete it, or write to another folder") from error


@dataclass(frozen=True)
class Worked:
    """What became of the scans of a folder."""

    results: tuple[Result, ...]
    """The results that are finished, in the order of the scans."""
    before: frozenset[str]
    """Names of the scans that an earlier call had finished."""
    failed: Mapping[str, str]
    """Reason why a scan has no result, by its name."""


class Named(Protocol):
    """Something of which a result is made, such as a scan or a set of scans."""

    @property
    def name(self) -> str:
        """Name of the result."""


Item = TypeVar("Item", bound=Named)


def digest_of_scan(file: ScanFile) -> str:
    """Return what tells a scan from others: the digest of its file, in hexadecimal digits.

    Raises:
        DataError: the file cannot be read.
    """
    return digest_of(file.path).hex()


def work_through(
    items: Sequence[Item],
    journal: ResultJournal,
    source: Callable[[Item], str],
    make: Callable[[Item, str], Result],
    progress: Callable[[int, int, str], None],
) -> Worked:
    """Make the result of each item that has none yet; an item that fails does not stop the others.

    Args:
        items: the scans, or sets of scans.
        journal: where finished results are noted.
        source: returns what tells the inputs of an item from others; ``digest_of_scan``.
        make: makes the result of an item and its source. It calls ``journal.begin`` before it
            writes.
        progress: called with the items done, all items, and the current one.
    """
    results, before, failed = list[Result](), set[str](), dict[str, str]()
    for item in items:
        progress(len(results) + len(failed), len(items), item.name)
        try:
            own = source(item)
            known = journal.finished(item.name, own)
            if known is None:
                known = make(item, own)
                journal.end(known)
            else:
                before.add(item.name)
            results.append(known)
        except (DataError, RunRefused) as error:
            failed[item.name] = str(error)
    return Worked(tuple(results), frozenset(before), failed)

"""Journal: which scans of a folder are filtered, so that an interrupted filtering can go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from fedchain.errors import DataError, RunRefused, cannot
from fedchain.files import read_bytes, write_whole
from fedchain.registry import Section
from fedchain.scans.training.folders import JOURNAL

LARGEST_JOURNAL = 1 << 26
"""Size of the largest journal that is read, in bytes."""
PointCount = Annotated[int, Field(ge=0)]


class Filtered(Section):
    """One scan that was filtered."""

    name: str
    """Name of the scan: its path below the folder, without endings."""
    scan: str
    """SHA-256 digest of the scan's file, in hexadecimal digits."""
    cloud: str
    """Path of the cleaned cloud, below the folder of results."""
    points: PointCount
    """Points of the scan before filtering."""
    kept: PointCount
    """Points that remain."""
    unlike: tuple[str, ...]
    """In what the scan is unlike the training scans, in words."""
    whole: bool
    """Whether every point was kept because the scan is unlike the training scans."""


class Entries(Section):
    """The content of a journal."""

    version: Literal[1]
    """Version of the form."""
    model: str
    """SHA-256 digest of the model file, or what else tells models apart."""
    even_unlike: bool
    """Whether points of scans that are unlike the training scans were erased."""
    begun: tuple[str, ...] = ()
    """Names of scans whose files may be half-done."""
    scans: dict[str, Filtered] = Field(default_factory=dict)
    """The scans that are filtered, by name."""


@dataclass
class Journal:
    """The journal of a folder of results, which is written anew at every change."""

    out: Path
    """The folder of results."""
    entries: Entries
    """What was done."""
    force: bool
    """Whether results of other scans are replaced."""

    def finished(self, name: str, scan: str) -> Filtered | None:
        """Return the scan of this name if it is filtered already, or None.

        Raises:
            RunRefused: the results are of another scan of this name, or files of this name are
                there that no filtering has written.
        """
        known = self.entries.scans.get(name)
        if known is not None and known.scan == scan:
            whole = all((self.out / path).exists() for path in (known.cloud, f"{name}.keep.npy"))
            return known if whole else None
        if known is not None and not self.force:
            raise RunRefused(
                f"{self.out / known.cloud}: was filtered from another scan of this name; give "
                "--force to replace it"
            )
        return None

    def begin(self, name: str, cloud: str) -> None:
        """Note that the files of a scan are about to be written.

        Raises:
            RunRefused: one of them is there, and no filtering has written it.
        """
        ours = name in self.entries.begun or name in self.entries.scans
        for path in (self.out / cloud, self.out / f"{name}.keep.npy"):
            if path.exists() and not ours and not self.force:
                raise RunRefused(f"{path}: is there already; give --force to replace it")
        self.write({"begun": (*self.entries.begun, name)})

    def end(self, filtered: Filtered) -> None:
        """Note that a scan is filtered and its files are written."""
        begun = tuple(name for name in self.entries.begun if name != filtered.name)
        scans = {**self.entries.scans, filtered.name: filtered}
        self.write({"begun": begun, "scans": scans})

    def write(self, changes: Mapping[str, object]) -> None:
        """Write the journal with changed entries.

        Raises:
            RunError: the journal cannot be written.
        """
        self.entries = self.entries.model_copy(update=changes)
        write_whole(self.out / JOURNAL, self.entries.model_dump_json(indent=1) + "\n")


def open_journal(out: Path, model: str, *, even_unlike: bool, force: bool) -> Journal:
    """Open the journal of a folder of results, or begin one.

    Args:
        out: the folder of results, which need not exist.
        model: what tells models apart.
        even_unlike: whether points of scans that are unlike the training scans are erased.
        force: whether results of other scans, models and settings are replaced.

    Raises:
        RunRefused: the results in the folder are of another model or setting.
        DataError: the journal is damaged.
        RunError: the folder cannot be read or written.
    """
    path, wanted = out / JOURNAL, Entries(version=1, model=model, even_unlike=even_unlike)
    try:
        there = Entries.model_validate_json(read_bytes(path, LARGEST_JOURNAL))
    except FileNotFoundError:
        return _begun(Journal(out, wanted, force))
    except NotADirectoryError as error:
        words = "is no folder, or lies below a file; allowed: a folder, or a new name"
        raise RunRefused(f"{out}: {words}") from error
    except OSError as error:
        raise cannot(path, "be read", error) from error
    except ValidationError as error:
        words = f"is damaged: {error.errors()[0]['msg']}"
        raise DataError(f"{path}: {words}; delete it, or filter into another folder") from error
    if (there.model, there.even_unlike) == (model, even_unlike):
        return Journal(out, there, force)
    if not force:
        raise RunRefused(
            f"{out}: has scans that another model or setting has filtered; give --force to "
            "replace them, or another folder"
        )
    return _begun(Journal(out, wanted.model_copy(update={"begun": tuple(there.scans)}), force))


def _begun(journal: Journal) -> Journal:
    """Write a new journal, so that a folder that cannot be written is known before the work."""
    journal.write({})
    return journal

"""Run folder: locks it, and reads and writes its manifest, tables and log."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from io import BufferedWriter, TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

from filelock import FileLock, Timeout

from fedchain.errors import OLD_FORMAT, RunRefused, cannot
from fedchain.files import (
    check_folder,
    check_unshared,
    open_to_append,
    read_json,
    write_whole,
)
from fedchain.ledger.storage.database import LEDGER_FILE
from fedchain.names import SHOWN
from fedchain.results.shapes import manifest_flaw
from fedchain.results.tables import messages_csv, metrics_csv
from fedchain.results.travel import TRAVEL
from fedchain.system import open_files_hold_folders, patiently

EVENTS = "events.ndjson"
"""Name of the file with a run's events."""
MANIFEST = "manifest.json"
"""Name of the file with the summary of a run."""
LEDGER = "ledger"
"""Name of the ledger's folder in a run folder."""
LOCK, LOG = ".lock", "run.log"
"""Names of the lock file and of the log file."""
IN_PLACE = (
    LOCK,
    LOG,
    EVENTS,
    TRAVEL,
    *(f"{LEDGER}/{LEDGER_FILE}{end}" for end in ("", "-wal", "-shm")),
)
"""Files that are changed in place. Each other file is replaced as a whole."""
RUN_FORMAT = 2
"""Version of the run folder's layout."""


class Manifest(dict[str, Any]):
    """The content of ``manifest.json``. Reading a missing key raises RunRefused."""

    def __init__(self, file: Path, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        self._file = file

    def __missing__(self, key: str) -> NoReturn:
        raise RunRefused(f"{self._file}: has no {key}, which every run of this version writes")


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / LOCK)

    def lock(self) -> None:
        """Lock the folder until this process unlocks it or ends.

        Raises:
            RunError: another process uses the folder, the folder may not be written, or
                ``check_folder`` or ``check_unshared`` refuses it.
        """
        check_folder(self.path, own=True)
        check_unshared(self.path / name for name in IN_PLACE)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise RunRefused(f"{self.path}: another process is running it") from error
        except OSError as error:
            raise cannot(self.path, "be written", error) from error

    def unlock(self) -> None:
        """Unlock the folder; do nothing if this process has not locked it."""
        self._lock.release()

    def in_use(self) -> bool:
        """Return whether a process has locked the folder now; False where that cannot be told."""
        if not (self.path / LOCK).exists():
            return False
        try:
            with FileLock(self.path / LOCK, timeout=0):
                return False
        except Timeout:
            return True
        except OSError:
            return False

    def throw_away(self, place: Path) -> None:
        """Move the folder to a place where it can be deleted.

        Args:
            place: the new path of the folder. Nothing may exist there.

        Raises:
            RunError: another process uses the folder, or it may not be moved.
            OSError: the disk fails.
        """
        self.lock()
        try:
            if open_files_hold_folders():  # the lock is an open file
                self.unlock()
            patiently(lambda: self.path.rename(place))
        except PermissionError as error:
            reason = f"{error.strerror}; is one of its files open?"
            raise RunRefused(f"{self.path}: cannot be thrown away: {reason}") from error
        finally:
            self.unlock()

    @property
    def manifest(self) -> dict[str, Any]:
        """The content of ``manifest.json``.

        Raises:
            RunError: the folder holds no run, a run of another format, or a value of a wrong type.
        """
        file = self.path / MANIFEST
        try:
            manifest = read_json(file)
        except FileNotFoundError as error:
            raise RunRefused(f"{self.path}: not a run folder: it has no manifest.json") from error
        version = manifest.get("format") if isinstance(manifest, dict) else None
        if version == 1:
            raise RunRefused(f"{self.path}: {OLD_FORMAT}")
        if version != RUN_FORMAT:
            raise RunRefused(
                f"{file}: format must be {RUN_FORMAT}, the only one this version reads"
            )
        if (flaw := manifest_flaw(manifest)) is not None:
            raise RunRefused(f"{file}: {flaw}")
        return Manifest(file, manifest)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest, and replace an earlier one."""
        text = json.dumps({"format": RUN_FORMAT, **manifest}, indent=2, allow_nan=False)
        write_whole(self.path / MANIFEST, text + "\n")

    def write_tables(self) -> None:
        """Write ``metrics.csv`` and ``messages.csv`` from the events of the run."""
        events = self.path / EVENTS
        write_whole(self.path / "metrics.csv", metrics_csv(events))
        write_whole(self.path / "messages.csv", messages_csv(events))


class _LogFile(logging.FileHandler):
    def _open(self) -> TextIOWrapper:
        opened = BufferedWriter(open_to_append(Path(self.baseFilename)))
        return TextIOWrapper(opened, "utf-8", SHOWN)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Ignore the error: if the disk is full, writing the ledger fails too and stops the run."""


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Send the log of fedchain to a file while the ``with`` block runs.

    Raises:
        RunError: the file cannot be written.
    """
    log = logging.getLogger("fedchain")
    try:
        handler = _LogFile(path)
    except OSError as error:
        raise cannot(path, "be written", error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    propagated = log.propagate
    log.propagate = False  # else a library's handler on the root logger prints between the rounds
    try:
        yield
    finally:
        log.propagate = propagated
        log.removeHandler(handler)
        with contextlib.suppress(OSError):  # a full disk leaves text in its buffer
            handler.close()

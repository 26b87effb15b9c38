"""Files named by a hash of what is in them: weights, memories, the messages of a block."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from fedchain.errors import LedgerError
from fedchain.ledger.chain.encoding import Part
from fedchain.system import delete, replace, sync_file, sync_folder

_UNFINISHED = ".new-"
_BUFFER = 2**20
"""Bytes handed to the system at once: parts one by one, or all in one call, are slower."""


class Blobs:
    """A folder of files ``ab/abcd..``; a file is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._there: set[bytes] = set()

    def path(self, address: bytes) -> Path:
        """Return where the blob of this address (32 bytes) is."""
        name = address.hex()
        return self.folder / name[:2] / name

    def put(self, blobs: Mapping[bytes, Sequence[Part]]) -> None:
        """Write blobs to temporary names, sync, rename, sync the folders.

        All are written before the first is waited for. A blob that is there is not written
        again, a damaged one is replaced.

        Args:
            blobs: the bytes of each blob, in parts, by address (32 bytes).

        Raises:
            OSError: the disk is full, or may not be written.
        """
        unknown = {a: parts for a, parts in blobs.items() if a not in self._there}
        new = {a: parts for a, parts in unknown.items() if not self._has(a, parts)}
        folders = {self.path(address).parent for address in new}
        for folder in sorted(folders):
            if not folder.exists():
                folder.mkdir()
                folders.add(self.folder)
        for address, parts in new.items():
            with self._unfinished(address).open("wb", buffering=_BUFFER) as file:
                file.writelines(parts)
        for address in new:
            sync_file(self._unfinished(address))
            replace(self._unfinished(address), self.path(address))
        for folder in folders:
            sync_folder(folder)
        self._there = set(blobs)

    def read(self, address: bytes, limit: int) -> bytes:
        """Return the bytes of a blob; whether they are what the name says is not checked here.

        Args:
            address: its name, 32 bytes.
            limit: most bytes that are read.

        Raises:
            LedgerError: the file is missing, or too large.
        """
        path = self.path(address)
        try:
            size = path.stat().st_size
            data = path.read_bytes() if size <= limit else b""
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise LedgerError(f"blob {path.name[:8]}: cannot be read: {reason}") from error
        if size > limit:
            raise LedgerError(f"blob {path.name[:8]}: has {size} bytes; at most {limit}")
        return data

    def get(self, address: bytes, limit: int) -> bytes:
        """Return the bytes of a blob that is named by their SHA-256.

        Raises:
            LedgerError: the file is missing, too large, or has other bytes than its name says.
        """
        data = self.read(address, limit)
        if (digest := hashlib.sha256(data).digest()) != address:
            raise changed(address, f"they hash to {digest.hex()[:8]}")
        return data

    def has(self, address: bytes) -> bool:
        """Say whether a blob of this name is there."""
        return self.path(address).exists()

    def remove(self, addresses: set[bytes]) -> None:
        """Delete blobs; those that are gone already do not matter.

        Raises:
            OSError: the folder may not be written.
        """
        for address in sorted(addresses):
            delete(self.path(address))
        self._there -= addresses

    def clear_unfinished(self) -> None:
        """Delete what an interrupted ``put`` left behind."""
        for path in self.folder.glob(f"{_UNFINISHED}*"):
            delete(path)

    def _has(self, address: bytes, parts: Sequence[Part]) -> bool:
        path = self.path(address)
        return path.exists() and path.read_bytes() == b"".join(parts)

    def _unfinished(self, address: bytes) -> Path:
        return self.folder / f"{_UNFINISHED}{address.hex()}"


def changed(address: bytes, how: str) -> LedgerError:
    """Return the error of a blob with other bytes than its name says."""
    return LedgerError(f"blob {address.hex()[:8]}: its bytes were changed: {how}")
